//! As Envoy does: a `Check` that describes the client's request, answered by what to change of it.

use std::{collections::HashMap, path::Path, sync::Arc};

use auth_core::{
    decision_point::DecisionPoint as _,
    outcome::Outcome,
    store::Store,
    wire::{Call, CredentialSource, WireKind},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use proto::envoy::{
    config::core::v3::{Address, HeaderMap, HeaderValue, HeaderValueOption, SocketAddress},
    service::auth::v3::{
        AttributeContext, CheckRequest, CheckResponse, HttpRequest, Peer, Request,
        authorization_client::AuthorizationClient, check_response::HttpResponse,
    },
};
use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{
    Asked, Front, Observed, Reply, Write,
    edge::Edge,
    forward_auth::updates,
    proxy::is_body,
    server::{Server, tcp},
};
use crate::{
    cases::{Case, CaseFile},
    world::World,
};

/// How Envoy sends headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One by one (`encode_raw_headers: true`).
    Raw,
    /// Values of one name joined by a comma, as it does when nothing is said.
    Joined,
}

/// An Envoy in front of a sidecar.
#[derive(Debug)]
pub struct Envoy {
    server: Server,
    /// The sidecar that Envoy asks, where it is another one.
    edge: Option<Edge>,
    channel: Channel,
    form: Form,
    /// The fields that a body has under their own names.
    bodies: Vec<String>,
}

impl Envoy {
    /// An Envoy in front of a sidecar on the world of a file.
    pub async fn new(file: &CaseFile, form: Form) -> Self {
        Self::with(Server::start(file).await, None, form).await
    }

    /// The same, where it asks a process of its own, which asks the world's sidecar.
    pub async fn remote(file: &CaseFile, form: Form, program: &Path) -> Self {
        let server = Server::start(file).await;
        let edge = Edge::start(&server, program, |address| {
            format!("envoy: {{ address: \"{address}\", caller: edge }}")
        });
        let edge = edge.await;
        Self::with(server, Some(edge), form).await
    }

    async fn with(server: Server, edge: Option<Edge>, form: Form) -> Self {
        let asked = match &edge {
            Some(edge) => edge.address,
            None => tcp(&server.addresses.envoy),
        };
        let address = format!("http://{asked}");
        let channel = Channel::from_shared(address).unwrap().connect_lazy();
        let profile = server.engine.profile(&WireKind::Http).await;
        let own = profile.data.iter().filter(|data| data.field == data.path);
        Self {
            bodies: own.map(|data| data.field.clone()).collect(),
            server,
            edge,
            channel,
            form,
        }
    }
}

#[async_trait::async_trait]
impl Front for Envoy {
    fn name(&self) -> &'static str {
        "envoy"
    }

    /// Single HTTP calls, with what their bodies hold, and gRPC calls without. Several lines of cookies are not told apart from
    /// one by whoever joins them with a comma.
    fn carries(&self, case: &Case) -> bool {
        let Some(call) = &case.call else {
            return false;
        };
        let body = call.data.as_ref();
        let is_body = body.is_none_or(|data| call.http.is_some() && is_body(&self.bodies, data));
        let is_plain = is_body
            && call.data_text.is_none()
            && (call.data_complete.is_none() || call.data.is_none())
            && !call.data_pending
            // What it can deliver is not for the call to say.
            && call.accepts.as_deref().is_none_or(|accepts| accepts == ["cookie"])
            && call.caller.is_none()
            && call.tenant.is_none()
            && !call.advisory;
        let names = || call.credentials.iter().flatten().map(|(name, _)| &**name);
        let in_envelope = names().any(|name| name.starts_with("envelope."));
        let lines = names().filter(|name| *name == "cookie").count() + call.who.list().len();
        is_plain
            && [&call.http, &call.grpc, &call.grpc_path]
                .iter()
                .any(|line| line.is_some())
            && !in_envelope
            && (self.form == Form::Raw || lines < 2)
    }

    fn world(&self) -> &World {
        &self.server.world
    }

    async fn stop(self: Box<Self>) {
        drop((self.channel, self.edge));
        self.server.stop().await;
    }

    fn store(&self) -> Arc<dyn Store> {
        self.server.engine.store()
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        let mut client = AuthorizationClient::new(self.channel.clone());
        let certificate = asked.case.call.as_ref().map(|call| &*call.certificate);
        let certificate = presented(&asked.call.peer.identity, certificate.unwrap_or_default());
        let request = request(&asked.call, self.form, &certificate);
        let is_grpc = asked.call.kind == WireKind::Grpc;
        observe(client.check(request).await.unwrap().into_inner(), is_grpc)
    }

    async fn write(&self, _: Option<&str>, _: Bytes, _: Write) -> Reply {
        panic!("a proxy writes no session")
    }
}

/// The call as Envoy describes it.
fn request(call: &Call, form: Form, certificate: &[u8]) -> CheckRequest {
    let is_grpc = call.kind == WireKind::Grpc;
    let mut http = HttpRequest {
        method: if is_grpc { "POST" } else { &call.method }
            .to_owned()
            .into(),
        path: call.target.clone().into(),
        host: call.authority.clone().into(),
        ..HttpRequest::default()
    };
    let headers = headers(call);
    match form {
        Form::Raw => {
            http.raw_body = call.data_json.clone();
            let entry = |(key, raw_value)| HeaderValue {
                key,
                raw_value,
                ..HeaderValue::default()
            };
            let headers = headers.into_iter().map(entry).collect();
            http.header_map = Some(HeaderMap { headers });
        }
        Form::Joined => {
            http.body = call.data_json.clone();
            http.headers = joined(headers);
        }
    }
    let address = Address {
        socket_address: Some(SocketAddress {
            address: call.peer.address.clone(),
        }),
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                address: Some(address),
                principal: call.peer.identity.clone().into(),
                certificate: encoded(certificate).into(),
            }),
            request: Some(Request { http: Some(http) }),
            ..AttributeContext::default()
        }),
    }
}

/// The bytes of the client's certificate: those that a case gives, else of one that names this
/// identity, since an identity comes by a certificate only.
fn presented(identity: &str, given: &str) -> Vec<u8> {
    if identity.is_empty() {
        return given.as_bytes().to_vec();
    }
    assert!(
        given.is_empty(),
        "a case gives an identity or a certificate"
    );
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(identity.try_into().unwrap())];
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    made.der().to_vec()
}

/// As Envoy hands on a certificate, with `include_peer_certificate`: URL-encoded PEM.
fn encoded(certificate: &[u8]) -> String {
    if certificate.is_empty() {
        return String::new();
    }
    let text = STANDARD.encode(certificate);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let escaped = pem.bytes().map(|byte| match byte {
        b'-' => "-".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

fn headers(call: &Call) -> Vec<(String, Bytes)> {
    let mut headers: Vec<(String, Bytes)> = call
        .credentials
        .iter()
        .map(|credential| {
            let name = match credential.source {
                CredentialSource::Authorization => "authorization",
                CredentialSource::Cookie => "cookie",
                _ => &credential.name,
            };
            (name.to_owned(), credential.value.clone())
        })
        .collect();
    for attribute in &call.attributes {
        headers.push((attribute.name.clone(), attribute.value.clone()));
    }
    if !call.data_json.is_empty() {
        let length = call.data_json.len().to_string();
        headers.push(("content-type".to_owned(), "application/json".into()));
        headers.push(("content-length".to_owned(), length.into()));
    }
    if call.kind == WireKind::Grpc {
        headers.push(("content-type".to_owned(), "application/grpc".into()));
    }
    headers
}

fn joined(headers: Vec<(String, Bytes)>) -> HashMap<String, Bytes> {
    let mut joined: HashMap<String, Bytes> = HashMap::new();
    for (name, value) in headers {
        let together = match joined.remove(&name) {
            Some(there) => [&there[..], b",", &value[..]].concat().into(),
            None => value,
        };
        joined.insert(name, together);
    }
    joined
}

fn observe(answer: CheckResponse, is_grpc: bool) -> Reply {
    let fact = |name: &str| -> Value {
        let fields = answer.dynamic_metadata.as_ref().map(|facts| &facts.fields);
        match fields
            .and_then(|fields| fields.get(name)?.kind.clone())
            .unwrap_or(prost_types::value::Kind::NullValue(0))
        {
            prost_types::value::Kind::StringValue(text) => json!(text),
            _ => Value::Null,
        }
    };
    let text = |name: &str| fact(name).as_str().unwrap_or_default().to_owned();
    let (outcome, mut observed) = match answer.http_response.as_ref().unwrap() {
        HttpResponse::OkResponse(ok) => {
            let cookies = all(&ok.response_headers_to_add, "set-cookie");
            let subject = all(&ok.headers, "sidegate-subject");
            assert!(text("principal").ends_with(&subject[0]));
            let observed: Observed = [
                ("call", json!(!text("call").is_empty())),
                ("updates", updates(&cookies)),
                ("challenges", json!([])),
            ]
            .into();
            (Outcome::Allow, observed)
        }
        HttpResponse::DeniedResponse(denied) => {
            let outcome = text("outcome");
            let row = Outcome::ALL.into_iter().find(|row| row.as_str() == outcome);
            let row = row.expect("a row of the table");
            let status = denied.status.map(|status| status.code);
            if status != Some(204) {
                assert_eq!(status, Some(i32::from(row.http_status())), "R20, {outcome}");
            }
            let code = all(&denied.headers, "grpc-status");
            let expected = is_grpc.then(|| row.grpc_code().to_string());
            assert_eq!(code, Vec::from_iter(expected), "R20, {outcome}");
            let observed: Observed = [
                ("call", json!(!text("call").is_empty())),
                ("updates", updates(&all(&denied.headers, "set-cookie"))),
                (
                    "challenges",
                    json!(all(&denied.headers, "www-authenticate")),
                ),
            ]
            .into();
            (row, observed)
        }
        HttpResponse::ErrorResponse(_) => panic!("nobody asked for errors"),
    };
    assert_eq!(answer.status.unwrap().code, outcome.grpc_code());
    observed.extend([
        ("outcome", json!(outcome.as_str())),
        ("reason", fact("reason")),
        ("operation", json!(text("operation"))),
        ("subject", json!(text("principal"))),
    ]);
    Reply {
        observed,
        ..Reply::default()
    }
}

/// The values of a header, as Envoy reads them.
fn all(options: &[HeaderValueOption], name: &str) -> Vec<String> {
    let headers = options.iter().filter_map(|option| option.header.as_ref());
    let named = headers.filter(|header| header.key == name);
    named
        .map(|header| String::from_utf8(header.value.to_vec()).unwrap())
        .collect()
}
