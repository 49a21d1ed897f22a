//! What an app and its operators do, step by step.

use proto::v1::{
    self, authorization_service_client::AuthorizationServiceClient,
    session_service_client::SessionServiceClient,
    session_store_service_client::SessionStoreServiceClient, set_session_request::Change,
};
use tonic::{Status, transport::Channel};

use crate::{
    daemon::Daemon,
    harness::with_token,
    seen::token_in,
    shop::{self, SHOP_TOKEN, call, cookie},
};

/// An app that asks as `shop`, and an operator's desk.
pub(crate) struct Client {
    point: AuthorizationServiceClient<Channel>,
    sessions: SessionServiceClient<Channel>,
    pub(crate) store: SessionStoreServiceClient<Channel>,
}

impl Client {
    pub(crate) async fn of(daemon: &Daemon) -> Self {
        Self::over([daemon.grpc().await, daemon.desk().await])
    }

    /// Over TCP and the unix socket.
    pub(crate) fn over([tcp, unix]: [Channel; 2]) -> Self {
        Self {
            point: AuthorizationServiceClient::new(tcp.clone()),
            sessions: SessionServiceClient::new(tcp),
            store: SessionStoreServiceClient::new(unix),
        }
    }

    pub(crate) async fn decide(&self, request: v1::AuthorizeRequest) -> v1::AuthorizeResponse {
        let request = with_token(request, Some(SHOP_TOKEN));
        let answer = self.point.clone().authorize(request).await;
        answer.unwrap().into_inner()
    }

    /// How a call with the cookie of this token comes out.
    pub(crate) async fn outcome(&self, target: &str, token: &str) -> v1::Outcome {
        let credential = cookie(&format!("__Host-session={token}"));
        self.decide(call("GET", target, &[credential]))
            .await
            .outcome()
    }

    /// Signs in, and answers the token of the cookie.
    pub(crate) async fn sign_in(&self, subject: &str) -> String {
        self.try_sign_in(subject, &[]).await.unwrap()
    }

    /// Signs in while signed in already.
    pub(crate) async fn sign_in_again(&self, subject: &str, token: &str) -> String {
        let held = cookie(&format!("__Host-session={token}"));
        self.try_sign_in(subject, &[held]).await.unwrap()
    }

    pub(crate) async fn try_sign_in(
        &self,
        subject: &str,
        credentials: &[v1::Credential],
    ) -> Result<String, Status> {
        let answer = self.decide(call("POST", "/login", credentials)).await;
        let request = v1::SetSessionRequest {
            call: answer.call,
            change: Some(Change::SignIn(shop::sign_in(subject, false))),
            ..v1::SetSessionRequest::default()
        };
        let request = with_token(request, Some(SHOP_TOKEN));
        let answer = self.sessions.clone().set_session(request).await?;
        Ok(token_in(&answer.into_inner().updates).unwrap())
    }

    /// Logs the session of this token out.
    pub(crate) async fn log_out(&self, token: &str) {
        let held = cookie(&format!("__Host-session={token}"));
        let answer = self.decide(call("POST", "/logout", &[held])).await;
        let request = v1::ClearSessionRequest {
            call: answer.call,
            scope: v1::ClearScope::This.into(),
        };
        let request = with_token(request, Some(SHOP_TOKEN));
        self.sessions.clone().clear_session(request).await.unwrap();
    }

    /// Ends all sessions of a subject, and answers how many there were.
    pub(crate) async fn revoke_subject(&self, subject: &str) -> i64 {
        let request = v1::RevokeSubjectRequest {
            subject: Some(shop::local(subject)),
            reason: "lost device".into(),
            ..v1::RevokeSubjectRequest::default()
        };
        let answer = self.store.clone().revoke_subject(request).await;
        answer.unwrap().into_inner().revoked_count
    }
}
