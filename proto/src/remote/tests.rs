use auth_core::{decision::Decision, session::Tenant, wire::SessionView};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Response,
    transport::{Endpoint, Server},
};

use super::*;
use crate::{
    core::decision,
    v1::authorization_service_server::{AuthorizationService, AuthorizationServiceServer},
};

/// Answers by target: `/allow`, `/invalid`, `/slow`; remembers nothing.
struct Scripted;

#[tonic::async_trait]
impl AuthorizationService for Scripted {
    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let token = request.metadata().get("authorization").cloned();
        if token.is_none_or(|token| token != "Bearer t") {
            return Err(Status::unauthenticated("no token"));
        }
        let call = wire::call(request.into_inner(), &Tenant::default())?;
        match &*call.target {
            "/allow" => {
                let answer = Answer {
                    policy_version: "p1".into(),
                    ..undecided(Reason::new(ReasonCode::Allowed))
                };
                let message = decision::response(answer, SessionView::None, &call.tenant);
                Ok(Response::new(message))
            }
            "/slow" => std::future::pending().await,
            _ => Err(ConvertError::new("wire.target", "is odd").into()),
        }
    }

    async fn batch_authorize(
        &self,
        _: Request<v1::BatchAuthorizeRequest>,
    ) -> Result<Response<v1::BatchAuthorizeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn continue_call(
        &self,
        _: Request<v1::ContinueCallRequest>,
    ) -> Result<Response<v1::ContinueCallResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_wire_profile(
        &self,
        _: Request<v1::GetWireProfileRequest>,
    ) -> Result<Response<v1::GetWireProfileResponse>, Status> {
        Ok(Response::new(v1::GetWireProfileResponse {
            attributes: vec!["origin".into()],
            policy_version: "p1".into(),
            ..Default::default()
        }))
    }
}

async fn remote(token: &str) -> RemoteDecisionPoint {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        Server::builder()
            .add_service(AuthorizationServiceServer::new(Scripted))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let channel = Endpoint::try_from(format!("http://{address}"))
        .unwrap()
        .connect_lazy();
    RemoteDecisionPoint::new(channel, CallerToken::new(token).unwrap())
}

async fn reason(point: &RemoteDecisionPoint, target: &str) -> ReasonCode {
    let call = Call::new(WireKind::Http, "GET", target);
    let answer = point.authorize(&Caller::new("edge"), call).await;
    answer.reason.code
}

#[tokio::test]
async fn the_answer_of_the_other_end_is_ours() {
    let point = remote("t").await;
    assert_eq!(reason(&point, "/allow").await, ReasonCode::Allowed);
}

#[tokio::test]
async fn what_the_other_end_refuses_to_read_is_the_clients_doing() {
    let point = remote("t").await;
    assert_eq!(reason(&point, "/odd").await, ReasonCode::TargetInvalid);
}

#[tokio::test]
async fn every_failure_of_the_other_end_is_undetermined() {
    let refused = remote("wrong").await;
    let slow = remote("t").await.with_timeout(Duration::from_millis(20));
    let nowhere = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    let gone = RemoteDecisionPoint::new(nowhere, CallerToken::new("t").unwrap());
    for (point, target, code) in [
        (refused, "/allow", ReasonCode::StoreUnavailable),
        (slow, "/slow", ReasonCode::DeadlineExceeded),
        (gone, "/allow", ReasonCode::StoreUnavailable),
    ] {
        let call = Call::new(WireKind::Http, "GET", target);
        let answer = point.authorize(&Caller::new("edge"), call).await;
        assert_eq!(answer.decision(), Decision::Undetermined, "{code:?}");
        assert_eq!(answer.reason.code, code);
    }
}

#[tokio::test]
async fn a_profile_is_remembered_until_the_policy_changes() {
    let point = remote("t").await;
    assert_eq!(point.profile(&WireKind::Http).await.attributes, ["origin"]);
    assert!(point.known_profile(&WireKind::Http).is_some());
    reason(&point, "/allow").await;
    assert!(point.known_profile(&WireKind::Http).is_some());
    point.forget_profiles_but_of("p2");
    assert!(point.known_profile(&WireKind::Http).is_none());
}

#[tokio::test]
async fn a_session_out_of_reach_is_an_error_of_the_store() {
    let point = remote("t").await;
    let error = point.session(&Caller::new("edge"), b"x").await.unwrap_err();
    assert!(matches!(error, SessionError::Store(_)), "{error:?}");
}

#[test]
fn a_token_is_not_printed() {
    let token = CallerToken::new("secret").unwrap();
    assert!(!format!("{token:?}").contains("secret"));
    assert!(CallerToken::new("a\nb").is_err());
}
