//! As a client does whose requests go through a real proxy, with the configuration that
//! `sidegate proxy print` writes; the app behind it writes sessions by the session API.

use std::{path::Path, sync::Arc};

use auth_core::{outcome::Outcome, store::Store, wire::CredentialSource};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Value, json};
use sidecar::telemetry::DecisionSeen;
use tokio::sync::Mutex;

use super::{
    Asked, Front, Handed, Observed, Reply, Write,
    app::{App, Visit},
    forward_auth::{principal, updates},
    json::Json,
    raw,
    server::Server,
};
use crate::{
    cases::{CallFile, Case, CaseFile},
    real::{
        self,
        ports::Port,
        printed::{Printing, Proxy},
    },
    world::World,
};

/// A client, a real proxy, a sidecar that it asks, and an app.
#[derive(Debug)]
pub struct Behind {
    proxy: Proxy,
    real: real::server::Server,
    json: Json,
    app: Mutex<App>,
    _port: Port,
}

impl Behind {
    /// All of it, in the world of a file, with a configuration that `program` prints. `None` where
    /// there is no such proxy.
    pub async fn new(file: &CaseFile, proxy: Proxy, program: &Path) -> Option<Self> {
        let (app, port) = (App::start().await, Port::free());
        let asks = port.address();
        let server = Server::start_with(file, |documents| {
            let listen = documents[0].file.listen.as_mut().unwrap();
            if let (Proxy::Envoy, Some(envoy)) = (proxy, &mut listen.envoy) {
                envoy.address.value = asks.to_string();
            } else if let Some(forward_auth) = &mut listen.forward_auth {
                forward_auth.address.value = asks.to_string();
            }
        })
        .await;
        let policy = server.world.folder().join("printed.yaml");
        std::fs::write(&policy, printable(proxy, &server, &asks.to_string())).unwrap();
        let printing = Printing {
            program,
            policy: &policy,
            upstream: app.address,
        };
        let real = printing
            .start(proxy, "the cases through a real proxy")
            .await;
        Some(Self {
            proxy,
            real: real?,
            json: Json::on(server),
            app: Mutex::new(app),
            _port: port,
        })
    }

    fn carries_call(&self, call: &CallFile) -> bool {
        let is_plain = call.data.is_none()
            && call.data_text.is_none()
            && call.data_complete.is_none()
            && !call.data_pending
            && call.identity.is_empty()
            && call.certificate.is_empty()
            && call.accepts.is_none()
            && call.caller.is_none()
            && call.tenant.is_none()
            // The client is who it is, and no proxy believes what it says.
            && call.peer.is_empty()
            && call.host.as_deref() != Some("")
            && !call.advisory;
        let is_header = |text: &str| HeaderValue::from_str(text).is_ok() && text.trim() == text;
        let fits = call.credentials.iter().flatten().all(|(name, value)| {
            // A secret that an earlier step hands out is known by then.
            let is_header = value.contains("${") || is_header(&self.world().fill_in(value));
            !name.starts_with("envelope.") && is_header
        });
        let line = call.http.as_ref().and_then(|line| line.split_once(' '));
        let is_line =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        let line_fits = line.is_some_and(|(method, target)| is_line(method) && is_line(target));
        is_plain && fits && line_fits && call.host.as_deref().is_none_or(is_header)
    }

    /// What the decision point saw of it, if it was asked: some proxies show no body of ours, and
    /// none shows an app's reason.
    fn with_reason(&self, observed: &mut Observed, seen: Option<Arc<DecisionSeen>>) {
        let Some(seen) = seen else {
            return;
        };
        assert_eq!(observed["outcome"], seen.outcome, "{:?}", self.proxy);
        observed.insert("reason", json!(seen.reason));
    }

    /// What the client sees of anything but an allow.
    fn refused(&self, case: &Case, answer: &raw::Response) -> Observed {
        let mut rows = Outcome::ALL.into_iter();
        let row = match answer.status {
            // A preflight goes no further, whatever it is answered.
            204 => Some(Outcome::Deny),
            // Envoy says nothing to what is no HTTP.
            0 if self.proxy == Proxy::Envoy => Some(Outcome::Invalid),
            status => rows.find(|row| row.http_status() == status),
        };
        let row = row.unwrap_or_else(|| panic!("{}: {answer:?}", case.name));
        assert_ne!(row, Outcome::Allow, "{}: {answer:?}", case.name);
        let mut observed: Observed = [("outcome", json!(row.as_str()))].into();
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if self.proxy != Proxy::Nginx && problem.get("outcome").is_some() {
            assert_eq!(problem["outcome"], row.as_str(), "{answer:?}");
            let challenges = answer.all("www-authenticate");
            observed.insert("challenges", json!(challenges));
        }
        observed
    }
}

/// What is printed from: the policy's cookies, and where the proxy asks.
fn printable(proxy: Proxy, server: &Server, asks: &str) -> String {
    let policy = server.engine.policy();
    let cookies = policy.strategies.cookies();
    let cookies: Vec<_> = cookies
        .map(|own| {
            let csrf = own.csrf.as_ref();
            let csrf =
                csrf.map(|csrf| json!({ "cookie": csrf.cookie.name, "header": csrf.header }));
            match csrf {
                None => json!({ "cookie": { "name": *own.cookie.name } }),
                Some(csrf) => json!({ "cookie": { "name": *own.cookie.name, "csrf": csrf } }),
            }
        })
        .collect();
    let edge = match proxy {
        Proxy::Envoy => json!({ "envoy": { "address": asks, "caller": "edge" } }),
        Proxy::Nginx | Proxy::Caddy | Proxy::Traefik => json!({ "forward_auth": {
            "address": asks,
            "trusted_proxies": [ "127.0.0.1" ],
            "caller": "edge",
        } }),
    };
    let file = json!({
        "listen": edge,
        "callers": { "edge": { "uid": 4711, "may": [ "authorize", "session.self" ] } },
        "strategies": cookies,
    });
    file.to_string()
}

#[async_trait::async_trait]
impl Front for Behind {
    fn name(&self) -> &'static str {
        match self.proxy {
            // `envoy` is a front that asks as Envoy does.
            Proxy::Envoy => "behind_envoy",
            other => other.name(),
        }
    }

    /// HTTP calls without a body that is judged, and whatever the session API does after them.
    fn carries(&self, case: &Case) -> bool {
        let is_left_out = case.not_on.iter().any(|name| name == "forward_auth");
        let steps = case.steps.iter().filter_map(|step| step.call.as_ref());
        let mut calls = case.call.iter().chain(steps);
        let callers = case.steps.iter().all(|step| step.caller.is_none());
        !is_left_out && callers && calls.all(|call| self.carries_call(call))
    }

    fn world(&self) -> &World {
        self.json.world()
    }

    async fn stop(self: Box<Self>) {
        drop((self.real, self.app));
        Box::new(self.json).stop().await;
    }

    fn store(&self) -> Arc<dyn Store> {
        self.json.store()
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        let mut decisions = self.json.server().decisions();
        let bytes = request(&asked);
        let address = self.real.http();
        let mut running = tokio::spawn(async move { raw::exchange(address, &bytes).await });
        let mut app = self.app.lock().await;
        let visit = tokio::select! {
            visit = app.visited() => Some(visit),
            answer = &mut running => {
                let answer = answer.unwrap();
                let mut observed = self.refused(asked.case, &answer);
                observed.insert("updates", updates(&answer.all("set-cookie")));
                self.with_reason(&mut observed, decisions.try_recv().ok());
                return Reply { observed, ..Reply::default() };
            }
        };
        let visit = visit.unwrap();
        let mut observed = seen(&visit);
        self.with_reason(&mut observed, Some(decisions.try_recv().unwrap()));
        let handle = URL_SAFE_NO_PAD.decode(visit.header("sidegate-call"));
        visit.answer(&[]);
        let answer = running.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookies = answer.all("set-cookie");
        observed.insert("updates", updates(&cookies));
        Reply {
            observed,
            handle: Some(handle.unwrap().into()),
            handed: cookies.into_iter().map(Handed::Cookie).collect(),
            ..Reply::default()
        }
    }

    async fn write(&self, caller: Option<&str>, handle: Bytes, write: Write) -> Reply {
        self.json.write(caller, handle, write).await
    }
}

fn request(asked: &Asked<'_>) -> Vec<u8> {
    let call = &asked.call;
    let mut fields = vec![("host".to_owned(), call.authority.clone().into_bytes())];
    for credential in &call.credentials {
        let name = match credential.source {
            CredentialSource::Authorization => "authorization",
            CredentialSource::Cookie => "cookie",
            _ => &credential.name,
        };
        fields.push((name.to_owned(), credential.value.to_vec()));
    }
    for attribute in &call.attributes {
        fields.push((attribute.name.clone(), attribute.value.to_vec()));
    }
    raw::request(&call.method, &call.target, &fields, b"")
}

/// What the app sees of an allow. An absent header says the same as an empty one.
fn seen(visit: &Visit) -> Observed {
    [
        ("outcome", json!("allow")),
        ("operation", json!(visit.header("sidegate-operation"))),
        ("subject", principal(visit.header("sidegate-session"))),
        ("call", json!(!visit.header("sidegate-call").is_empty())),
    ]
    .into()
}
