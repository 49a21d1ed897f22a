//! As a proxy does: a request that describes the client's, answered by status and headers.

use std::{path::Path, sync::Arc};

use auth_core::{outcome::Outcome, store::Store, wire::CredentialSource};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use sidecar::edge::forward_auth::Dialect;

use super::{
    Asked, Front, Observed, Reply, Write,
    edge::Edge,
    server::{Server, tcp},
};
use crate::{
    cases::{Case, CaseFile},
    world::World,
};

/// A proxy in front of a sidecar.
#[derive(Debug)]
pub struct ForwardAuth {
    dialect: Dialect,
    server: Server,
    /// The sidecar that the proxy asks, where it is another one.
    edge: Option<Edge>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl ForwardAuth {
    /// A proxy of this kind in front of a sidecar on the world of a file.
    pub async fn new(file: &CaseFile, dialect: Dialect) -> Self {
        Self::with(Server::start(file).await, None, dialect)
    }

    /// The same, where it asks a process of its own, which asks the world's sidecar.
    pub async fn remote(file: &CaseFile, dialect: Dialect, program: &Path) -> Self {
        let server = Server::start(file).await;
        let edge = Edge::start(&server, program, |address| {
            format!(
                "forward_auth: {{ address: \"{address}\", caller: edge, \
                 trusted_proxies: [ 127.0.0.1 ] }}"
            )
        });
        let edge = edge.await;
        Self::with(server, Some(edge), dialect)
    }

    fn with(server: Server, edge: Option<Edge>, dialect: Dialect) -> Self {
        Self {
            dialect,
            server,
            edge,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }
}

#[async_trait::async_trait]
impl Front for ForwardAuth {
    fn name(&self) -> &'static str {
        "forward_auth"
    }

    /// Single HTTP calls, with a host and without a body, that can be written into headers.
    fn carries(&self, case: &Case) -> bool {
        let Some(call) = &case.call else {
            return false;
        };
        let is_plain = call.data.is_none()
            && call.data_text.is_none()
            && call.data_complete.is_none()
            && !call.data_pending
            && call.identity.is_empty()
            && call.certificate.is_empty()
            && call.accepts.is_none()
            && call.caller.is_none()
            && call.tenant.is_none()
            && call.host.as_deref() != Some("")
            && !call.advisory;
        let in_envelope = |name: &String| name.starts_with("envelope.");
        let is_header = |text: &str| HeaderValue::from_str(text).is_ok() && text.trim() == text;
        let fits = call.credentials.iter().flatten().all(|(name, value)| {
            !in_envelope(name) && is_header(&self.server.world.fill_in(value))
        });
        let described = call.http.as_ref().and_then(|line| line.split_once(' '));
        let described = described.is_some_and(|(method, target)| {
            !method.is_empty() && !target.is_empty() && is_header(target)
        });
        is_plain && fits && described && call.host.as_deref().is_none_or(is_header)
    }

    fn world(&self) -> &World {
        &self.server.world
    }

    async fn stop(self: Box<Self>) {
        drop((self.client, self.edge));
        self.server.stop().await;
    }

    fn store(&self) -> Arc<dyn Store> {
        self.server.engine.store()
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        let address = match &self.edge {
            Some(edge) => edge.address,
            None => tcp(&self.server.addresses.forward_auth),
        };
        let path = self.dialect.path();
        let mut request =
            http::Request::get(format!("http://{address}{path}")).body(Full::default());
        let headers = request.as_mut().unwrap().headers_mut();
        let said = match self.dialect {
            Dialect::Nginx => "x-original",
            Dialect::Plain | Dialect::Traefik | Dialect::Caddy => "x-forwarded",
        };
        let mut describe = |what: &str, value: &str| {
            let name = HeaderName::try_from(format!("{said}-{what}")).unwrap();
            headers.insert(name, value.parse().unwrap());
        };
        describe("method", &asked.call.method);
        describe("host", &asked.call.authority);
        describe("uri", &asked.call.target);
        describe("proto", "https");
        if !asked.call.peer.address.is_empty() {
            describe("for", &asked.call.peer.address);
        }
        for credential in &asked.call.credentials {
            let name = match credential.source {
                CredentialSource::Authorization => http::header::AUTHORIZATION,
                CredentialSource::Cookie => http::header::COOKIE,
                _ => HeaderName::try_from(&credential.name).unwrap(),
            };
            headers.append(name, HeaderValue::from_bytes(&credential.value).unwrap());
        }
        for attribute in &asked.call.attributes {
            let name = HeaderName::try_from(&attribute.name).unwrap();
            headers.append(name, HeaderValue::from_bytes(&attribute.value).unwrap());
        }
        let response = self.client.request(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        observe(self.dialect, parts.status.as_u16(), &parts.headers, &body)
    }

    async fn write(&self, _: Option<&str>, _: Bytes, _: Write) -> Reply {
        panic!("a proxy writes no session")
    }
}

fn observe(dialect: Dialect, status: u16, headers: &HeaderMap, body: &[u8]) -> Reply {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let all = |name: &str| {
        let values = headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let outcome = header("sidegate-outcome").unwrap_or_default();
    let row = Outcome::ALL.into_iter().find(|row| row.as_str() == outcome);
    let expected = row.map(|row| match (dialect, row.http_status()) {
        (Dialect::Nginx, 400..) if row != Outcome::Unauthenticated => 403,
        (_, status) => status,
    });
    assert_eq!(expected, Some(status), "the table of R20, {outcome}");
    let cookies = all("set-cookie");
    let numbered: Vec<String> = ["sidegate-cookie-1", "sidegate-cookie-2"]
        .iter()
        .flat_map(|name| all(name))
        .collect();
    match dialect {
        Dialect::Nginx => assert_eq!(numbered, cookies),
        Dialect::Caddy if status == 200 => assert_eq!(numbered, cookies),
        _ => assert!(numbered.is_empty()),
    }
    let mut observed: Observed = [
        ("outcome", json!(outcome)),
        ("challenges", json!(all("www-authenticate"))),
        ("updates", updates(&cookies)),
    ]
    .into();
    if status == 200 {
        observed.insert("reason", json!("allowed"));
        let session = header("sidegate-session").unwrap_or_default();
        observed.insert("subject", principal(session));
        observed.insert(
            "operation",
            json!(header("sidegate-operation").unwrap_or_default()),
        );
        observed.insert(
            "call",
            json!(header("sidegate-call").is_some_and(|c| !c.is_empty())),
        );
    } else {
        let problem: Value = serde_json::from_slice(body).unwrap();
        observed.insert("reason", problem.get("reason").cloned().unwrap_or_default());
    }
    Reply {
        observed,
        ..Reply::default()
    }
}

/// Who the header of a session says is signed in; nobody where it is empty.
pub(super) fn principal(session: &str) -> Value {
    let session = URL_SAFE_NO_PAD.decode(session).unwrap();
    let session: Value = serde_json::from_slice(&session).unwrap_or_default();
    json!(session["principal"].as_str().unwrap_or_default())
}

pub(super) fn updates(cookies: &[String]) -> Value {
    let kind = |cookie: &String| {
        let is_gone = cookie.to_ascii_lowercase().contains("max-age=0");
        if is_gone {
            "expire_cookie"
        } else {
            "set_cookie"
        }
    };
    json!(cookies.iter().map(kind).collect::<Vec<_>>())
}
