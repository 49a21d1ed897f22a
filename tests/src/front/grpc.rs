//! Over gRPC, as a service in another language does.

use std::sync::Arc;

use auth_core::{decision_point::ClearScope, store::Store};
use bytes::Bytes;
use proto::{
    core::wire::request,
    v1::{
        self, authorization_service_client::AuthorizationServiceClient,
        session_service_client::SessionServiceClient, wire_update,
    },
};
use serde_json::{Value, json};
use tonic::{Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::{
    Asked, Front, Handed, Observed, Reply, Write,
    server::{Server, tcp},
    set_request,
};
use crate::{
    cases::{Case, CaseFile},
    world::World,
};

/// A client of a sidecar.
#[derive(Debug)]
pub struct Grpc {
    server: Server,
    channel: Channel,
}

impl Grpc {
    /// A client of a sidecar on the world of a file.
    pub async fn new(file: &CaseFile) -> Self {
        let server = Server::start(file).await;
        let address = format!("http://{}", tcp(&server.addresses.grpc));
        let channel = Channel::from_shared(address).unwrap().connect_lazy();
        Self { server, channel }
    }

    fn request<T>(&self, caller: Option<&str>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = self.server.world.caller_token(caller);
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        request
    }

    async fn set(&self, caller: Option<&str>, message: v1::SetSessionRequest) -> Reply {
        let mut client = SessionServiceClient::new(self.channel.clone());
        match client.set_session(self.request(caller, message)).await {
            Ok(response) => {
                let changed = response.into_inner();
                let session = changed.session.unwrap_or_default();
                Reply {
                    observed: [
                        ("error", json!("")),
                        ("updates", kinds(&changed.updates)),
                        ("subject", subject(Some(&session))),
                        ("attributes", object(&session.attributes_json)),
                    ]
                    .into(),
                    handle: Some(changed.call),
                    handed: handed(&changed.updates),
                    etag: session.etag,
                }
            }
            Err(status) => failed(&status),
        }
    }

    async fn clear(&self, caller: Option<&str>, call: Bytes, scope: ClearScope) -> Reply {
        let message = v1::ClearSessionRequest {
            call,
            scope: v1::ClearScope::from(scope).into(),
        };
        let mut client = SessionServiceClient::new(self.channel.clone());
        match client.clear_session(self.request(caller, message)).await {
            Ok(response) => {
                let cleared = response.into_inner();
                Reply {
                    observed: [
                        ("error", json!("")),
                        ("updates", kinds(&cleared.updates)),
                        ("ended", json!(cleared.ended_count)),
                    ]
                    .into(),
                    ..Reply::default()
                }
            }
            Err(status) => failed(&status),
        }
    }

    async fn read(&self, caller: Option<&str>, call: Bytes) -> Reply {
        let message = v1::GetSessionRequest { call };
        let mut client = SessionServiceClient::new(self.channel.clone());
        match client.get_session(self.request(caller, message)).await {
            Ok(response) => {
                let session = response.into_inner().session;
                let attributes = session.as_ref().map(|s| s.attributes_json.clone());
                Reply {
                    observed: [
                        ("error", json!("")),
                        ("subject", subject(session.as_ref())),
                        ("attributes", object(&attributes.unwrap_or_default())),
                    ]
                    .into(),
                    etag: session.map(|session| session.etag).unwrap_or_default(),
                    ..Reply::default()
                }
            }
            Err(status) => failed(&status),
        }
    }
}

#[async_trait::async_trait]
impl Front for Grpc {
    fn name(&self) -> &'static str {
        "grpc"
    }

    /// What is no text cannot be said in protobuf.
    fn carries(&self, _: &Case) -> bool {
        true
    }

    fn world(&self) -> &World {
        &self.server.world
    }

    async fn stop(self: Box<Self>) {
        drop(self.channel);
        self.server.stop().await;
    }

    fn store(&self) -> Arc<dyn Store> {
        self.server.engine.store()
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        let is_default = asked.call.tenant == auth_core::session::Tenant::default();
        let mut message = request(asked.call);
        if is_default {
            // The caller's own.
            message.tenant.clear();
        }
        let mut client = AuthorizationServiceClient::new(self.channel.clone());
        match client.authorize(self.request(asked.caller, message)).await {
            Ok(response) => reply(response.into_inner()),
            Err(status) => failed(&status),
        }
    }

    async fn write(&self, caller: Option<&str>, handle: Bytes, write: Write) -> Reply {
        if let Some(request) = set_request(&handle, &write) {
            return self.set(caller, request.into()).await;
        }
        match write {
            Write::Clear(scope) => self.clear(caller, handle, scope).await,
            _ => self.read(caller, handle).await,
        }
    }
}

fn reply(response: v1::AuthorizeResponse) -> Reply {
    let outcome = word(response.outcome().as_str_name(), "OUTCOME_");
    let credential = word(
        response.credential_state().as_str_name(),
        "CREDENTIAL_STATE_",
    );
    let response_headers = response_headers(&response);
    let reason = response.reason.unwrap_or_default();
    let observed: Observed = [
        ("outcome", outcome),
        ("reason", word(reason.code().as_str_name(), "REASON_CODE_")),
        ("operation", json!(response.operation)),
        ("requirement", json!(reason.requirement)),
        ("checks", json!(reason.checks)),
        ("required_scopes", json!(reason.required_scopes)),
        ("detail", json!(reason.detail)),
        ("credential", credential),
        ("subject", subject(response.session.as_ref())),
        ("updates", kinds(&response.updates)),
        ("challenges", json!(response.challenges)),
        ("response_headers", response_headers),
        ("call", json!(!response.call.is_empty())),
    ]
    .into();
    Reply {
        observed,
        handed: handed(&response.updates),
        etag: response
            .session
            .map(|session| session.etag)
            .unwrap_or_default(),
        handle: (!response.call.is_empty()).then_some(response.call),
    }
}

fn response_headers(response: &v1::AuthorizeResponse) -> Value {
    let headers = response.response_headers.iter();
    let headers = headers.map(|header| (header.name.clone(), json!(header.value)));
    Value::Object(headers.collect())
}

/// The name of an enum's value without the enum's: `OUTCOME_DENY` is `deny`.
fn word(name: &str, of: &str) -> Value {
    json!(name.strip_prefix(of).unwrap_or(name).to_lowercase())
}

fn subject(session: Option<&v1::Session>) -> Value {
    let subject = session.and_then(|session| session.subject.as_ref());
    json!(
        subject
            .map(|s| format!("{}/{}", s.namespace, s.id))
            .unwrap_or_default()
    )
}

fn object(json: &[u8]) -> Value {
    if json.is_empty() {
        return json!({});
    }
    serde_json::from_slice(json).unwrap()
}

fn kinds(updates: &[v1::WireUpdate]) -> Value {
    let kind = |update: &v1::WireUpdate| match update.kind {
        Some(wire_update::Kind::SetCookie(_)) => "set_cookie",
        Some(wire_update::Kind::ExpireCookie(_)) => "expire_cookie",
        Some(wire_update::Kind::IssueToken(_)) => "issue_token",
        Some(wire_update::Kind::BindConnection(_)) => "bind_connection",
        None => "none",
    };
    json!(updates.iter().map(kind).collect::<Vec<_>>())
}

fn handed(updates: &[v1::WireUpdate]) -> Vec<Handed> {
    let one = |update: &v1::WireUpdate| match &update.kind {
        Some(wire_update::Kind::SetCookie(set)) => Some(Handed::Cookie(set.header_value.clone())),
        Some(wire_update::Kind::IssueToken(issue)) => Some(Handed::Token(issue.token.clone())),
        _ => None,
    };
    updates.iter().filter_map(one).collect()
}

fn failed(status: &Status) -> Reply {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone());
    let name = reason.unwrap_or_else(|| format!("{:?}: {}", status.code(), status.message()));
    Reply {
        observed: [("error", json!(name))].into(),
        ..Reply::default()
    }
}
