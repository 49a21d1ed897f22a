//! As JSON over HTTP, as `curl` does: requests and answers are read and written by hand here, so
//! that nothing of ours hides what is on the wire.

use std::sync::Arc;

use auth_core::{
    decision_point::{ClearScope, SessionWrite, SetSession, SignIn},
    principal::Principal,
    store::Store,
    wire::{Call, CredentialSource, SessionView, WireKind},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

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
pub struct Json {
    server: Server,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Json {
    /// A client of a sidecar on the world of a file.
    pub async fn new(file: &CaseFile) -> Self {
        Self::on(Server::start(file).await)
    }

    /// A client of this sidecar.
    #[must_use]
    pub fn on(server: Server) -> Self {
        Self {
            server,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The sidecar.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Posts a request; the answer, or the reason of the error.
    async fn post(&self, caller: Option<&str>, method: &str, body: &Value) -> Result<Value, Reply> {
        let address = tcp(&self.server.addresses.http);
        let token = self.server.world.caller_token(caller);
        let request = http::Request::post(format!("http://{address}/sidegate.v1.{method}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap();
        let response = self.client.request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        if status.is_success() {
            return Ok(body);
        }
        // A Connect error: the first detail is the ErrorInfo, readable under `debug`.
        let reason = body
            .pointer("/details/0/debug/reason")
            .and_then(Value::as_str);
        let name = reason.map_or_else(|| format!("{status}: {body}"), str::to_owned);
        Err(Reply {
            observed: [("error", json!(name))].into(),
            ..Reply::default()
        })
    }
}

#[async_trait::async_trait]
impl Front for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn carries(&self, _: &Case) -> bool {
        true
    }

    fn world(&self) -> &World {
        &self.server.world
    }

    async fn stop(self: Box<Self>) {
        drop(self.client);
        self.server.stop().await;
    }

    fn store(&self) -> Arc<dyn Store> {
        self.server.engine.store()
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        let body = authorize_request(&asked.call);
        match self
            .post(asked.caller, "AuthorizationService/Authorize", &body)
            .await
        {
            Ok(answer) => reply(&answer),
            Err(failed) => failed,
        }
    }

    async fn write(&self, caller: Option<&str>, handle: Bytes, write: Write) -> Reply {
        let call = STANDARD.encode(&handle);
        let (method, body) = match (set_request(&handle, &write), write) {
            (Some(set), _) => ("SessionService/SetSession", set_body(&call, &set)),
            (None, Write::Clear(scope)) => {
                let scope = match scope {
                    ClearScope::This => "CLEAR_SCOPE_THIS",
                    ClearScope::Others => "CLEAR_SCOPE_OTHERS",
                    ClearScope::All => "CLEAR_SCOPE_ALL",
                };
                let body = json!({ "call": call, "scope": scope });
                ("SessionService/ClearSession", body)
            }
            (None, _) => ("SessionService/GetSession", json!({ "call": call })),
        };
        match self.post(caller, method, &body).await {
            Ok(answer) => written(&answer),
            Err(failed) => failed,
        }
    }
}

fn authorize_request(call: &Call) -> Value {
    let kind = match &call.kind {
        WireKind::Custom(_) => "CUSTOM".to_owned(),
        kind => kind.as_str().to_uppercase(),
    };
    let custom = match &call.kind {
        WireKind::Custom(name) => name.to_string(),
        _ => String::new(),
    };
    let source = |source| match source {
        CredentialSource::Authorization => "CREDENTIAL_SOURCE_AUTHORIZATION",
        CredentialSource::Cookie => "CREDENTIAL_SOURCE_COOKIE",
        CredentialSource::Header => "CREDENTIAL_SOURCE_HEADER",
        CredentialSource::Envelope => "CREDENTIAL_SOURCE_ENVELOPE",
    };
    let credentials = call.credentials.iter().map(|credential| {
        json!({
            "source": source(credential.source),
            "name": credential.name,
            "value": STANDARD.encode(&credential.value),
        })
    });
    let attributes = call.attributes.iter().map(
        |attribute| json!({ "name": attribute.name, "value": STANDARD.encode(&attribute.value) }),
    );
    let accepted = [
        ("WIRE_UPDATE_KIND_COOKIE", call.deliverable.cookie),
        ("WIRE_UPDATE_KIND_TOKEN", call.deliverable.token),
        ("WIRE_UPDATE_KIND_CONNECTION", call.deliverable.connection),
    ];
    let accepted = accepted
        .into_iter()
        .filter(|(_, is)| *is)
        .map(|(name, _)| name);
    let is_default = call.tenant == auth_core::session::Tenant::default();
    json!({
        "wire": {
            "kind": format!("WIRE_KIND_{kind}"),
            "customKind": custom,
            "authority": call.authority,
            "method": call.method,
            "target": call.target,
            "credentials": credentials.collect::<Vec<_>>(),
            "peer": {
                "address": call.peer.address,
                "identity": call.peer.identity,
                "certificateSha256": STANDARD.encode(&call.peer.certificate_sha256),
            },
            "attributes": attributes.collect::<Vec<_>>(),
            "acceptedUpdates": accepted.collect::<Vec<_>>(),
        },
        "dataJson": STANDARD.encode(&call.data_json),
        "dataComplete": call.data_complete,
        "dataPending": call.data_pending,
        "sessionView": match call.view {
            SessionView::None => "SESSION_VIEW_NONE",
            SessionView::Basic => "SESSION_VIEW_BASIC",
            SessionView::Full => "SESSION_VIEW_FULL",
        },
        "advisory": call.advisory,
        "tenant": if is_default { "" } else { call.tenant.as_str() },
    })
}

fn set_body(call: &str, set: &SetSession) -> Value {
    let mut body = json!({ "call": call, "etag": set.etag, "requestId": set.request_id });
    match &set.change {
        SessionWrite::SignIn(sign_in) => body["signIn"] = sign_in_body(sign_in),
        SessionWrite::Patch { set, remove } => {
            let set = STANDARD.encode(json!(set).to_string());
            body["patch"] = json!({ "setJson": set, "remove": remove });
        }
    }
    body
}

fn sign_in_body(sign_in: &SignIn) -> Value {
    let principal =
        |principal: &Principal| json!({ "namespace": principal.namespace(), "id": principal.id() });
    let identity = &sign_in.identity;
    let encode = |object: &Value| STANDARD.encode(object.to_string());
    let mut body = json!({
        "claimsJson": encode(&json!(identity.claims)),
        "attributesJson": encode(&json!(sign_in.attributes)),
        "scopes": identity.scopes,
        "allScopes": identity.all_scopes,
    });
    if let Some(subject) = &identity.subject {
        body["subject"] = principal(subject);
    }
    if let Some(actor) = &identity.actor {
        body["actor"] = principal(actor);
    }
    if let Some(time) = identity.auth_time {
        body["authTime"] = json!(time.to_string());
    }
    if let Some(ttl) = sign_in.ttl {
        body["ttl"] = json!(format!("{}s", ttl.as_secs()));
    }
    body
}

fn reply(answer: &Value) -> Reply {
    let text = |pointer: &str| {
        answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let word = |pointer: &str, of: &str| json!(text(pointer).replacen(of, "", 1).to_lowercase());
    let list = |pointer: &str| {
        answer
            .pointer(pointer)
            .cloned()
            .unwrap_or_else(|| json!([]))
    };
    let observed: Observed = [
        ("outcome", word("/outcome", "OUTCOME_")),
        ("reason", word("/reason/code", "REASON_CODE_")),
        ("operation", json!(text("/operation"))),
        ("requirement", json!(text("/reason/requirement"))),
        ("checks", list("/reason/checks")),
        ("required_scopes", list("/reason/requiredScopes")),
        ("detail", json!(text("/reason/detail"))),
        ("credential", word("/credentialState", "CREDENTIAL_STATE_")),
        ("subject", subject(answer)),
        ("updates", kinds(answer)),
        ("challenges", list("/challenges")),
        ("response_headers", response_headers(answer)),
        ("call", json!(answer.get("call").is_some())),
    ]
    .into();
    Reply {
        observed,
        ..carried(answer)
    }
}

fn response_headers(answer: &Value) -> Value {
    let headers = answer.get("responseHeaders").and_then(Value::as_array);
    let header = |header: &Value| {
        let name = header["name"].as_str().unwrap_or_default();
        (name.to_owned(), header["value"].clone())
    };
    Value::Object(headers.into_iter().flatten().map(header).collect())
}

fn written(answer: &Value) -> Reply {
    let mut observed: Observed = [("error", json!(""))].into();
    if answer.get("endedCount").is_some() || answer.get("session").is_none() {
        let ended = answer
            .get("endedCount")
            .and_then(Value::as_str)
            .unwrap_or("0");
        observed.insert("ended", json!(ended.parse::<u64>().unwrap()));
    }
    let attributes = answer.pointer("/session/attributes").cloned();
    observed.insert("subject", subject(answer));
    observed.insert("attributes", attributes.unwrap_or_else(|| json!({})));
    observed.insert("updates", kinds(answer));
    Reply {
        observed,
        ..carried(answer)
    }
}

/// What later steps need of an answer.
fn carried(answer: &Value) -> Reply {
    let call = answer.get("call").and_then(Value::as_str);
    let etag = answer.pointer("/session/etag").and_then(Value::as_str);
    let updates = answer.get("updates").and_then(Value::as_array);
    let text = |update: &Value, pointer: &str| {
        update
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let handed = |update: &Value| {
        let cookie = text(update, "/setCookie/headerValue").map(Handed::Cookie);
        cookie.or_else(|| text(update, "/issueToken/token").map(Handed::Token))
    };
    Reply {
        observed: Observed::new(),
        handle: call.map(|call| STANDARD.decode(call).unwrap().into()),
        handed: updates.into_iter().flatten().filter_map(handed).collect(),
        etag: etag.unwrap_or_default().to_owned(),
    }
}

fn subject(answer: &Value) -> Value {
    let part = |name: &str| {
        answer
            .pointer(&format!("/session/subject/{name}"))
            .and_then(Value::as_str)
    };
    json!(match (part("namespace"), part("id")) {
        (Some(namespace), Some(id)) => format!("{namespace}/{id}"),
        _ => String::new(),
    })
}

fn kinds(answer: &Value) -> Value {
    let updates = answer.get("updates").and_then(Value::as_array);
    let kind = |update: &Value| {
        [
            ("setCookie", "set_cookie"),
            ("expireCookie", "expire_cookie"),
            ("issueToken", "issue_token"),
            ("bindConnection", "bind_connection"),
        ]
        .into_iter()
        .find(|(key, _)| update.get(key).is_some())
        .map_or("none", |(_, name)| name)
    };
    json!(updates.into_iter().flatten().map(kind).collect::<Vec<_>>())
}
