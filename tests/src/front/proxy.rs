//! As a client does that knows nothing of us: through the reverse proxy, with an app behind it that
//! reads the session from headers and writes it by headers, without any library of ours.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use auth_core::{
    decision_point::{ClearScope, DecisionPoint as _, SessionWrite},
    outcome::Outcome,
    policy::{file::ProxyFile, scalar::At},
    store::Store,
    wire::{CredentialSource, WireKind},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinHandle};

use super::{
    Asked, Front, Handed, Observed, Reply, Write,
    app::{App, Visit},
    edge::Edge,
    forward_auth::principal,
    raw,
    server::{Server, tcp},
};
use crate::{
    cases::{CallFile, Case, CaseFile, Step},
    world::{CALLER, World, operations},
};

/// A client, a proxy and an app.
#[derive(Debug)]
pub struct Proxy {
    server: Server,
    /// The sidecar of the proxy, where it is another one.
    edge: Option<Edge>,
    app: Mutex<App>,
    /// The fields that bodies have under their own names.
    bodies: Vec<String>,
    /// A request that the app has not answered yet, since the case has it write.
    open: Mutex<Option<(Visit, JoinHandle<raw::Response>)>>,
}

impl Proxy {
    /// A client, a proxy and an app in the world of a file.
    pub async fn new(file: &CaseFile) -> Self {
        let app = App::start().await;
        let upstream = format!("http://{}", app.address);
        let server = Server::start_with(file, |documents| {
            let operations = operations(documents);
            let listen = documents[0].file.listen.as_mut().unwrap();
            listen.proxy = Some(ProxyFile {
                address: At::nowhere("127.0.0.1:0".to_owned()),
                upstream: At::nowhere(upstream),
                caller: At::nowhere(CALLER.to_owned()),
                trusted_proxies: vec![At::nowhere("127.0.0.1".to_owned())],
                login: None,
                credentials: None,
                timeout: None,
                max_body_bytes: None,
                assertion: None,
                tls: None,
                without_message: operations.clone(),
                without_peer: operations,
            });
        });
        Self::with(app, server.await, None).await
    }

    /// The same, with the proxy in a process of its own that asks the world's sidecar.
    pub async fn remote(file: &CaseFile, program: &Path) -> Self {
        let app = App::start().await;
        let upstream = app.address;
        let server = Server::start(file).await;
        let edge = Edge::start(&server, program, |address| {
            format!(
                "proxy: {{ address: \"{address}\", upstream: \"http://{upstream}\", caller: edge, \
                 trusted_proxies: [ 127.0.0.1 ] }}"
            )
        });
        let edge = edge.await;
        Self::with(app, server, Some(edge)).await
    }

    async fn with(app: App, server: Server, edge: Option<Edge>) -> Self {
        let profile = server.engine.profile(&WireKind::Http).await;
        let own = profile.data.iter().filter(|data| data.field == data.path);
        Self {
            bodies: own.map(|data| data.field.clone()).collect(),
            server,
            edge,
            app: Mutex::new(app),
            open: Mutex::default(),
        }
    }

    /// The app answers as it would without a session.
    async fn finish(&self) {
        if let Some((visit, running)) = self.open.lock().await.take() {
            visit.answer(&[]);
            running.await.unwrap();
        }
    }
}

fn carries_call(world: &World, bodies: &[String], call: &CallFile) -> bool {
    let is_plain = call.data.as_ref().is_none_or(|data| is_body(bodies, data))
        && call.data_text.is_none()
        && call.data_complete != Some(false)
        && !call.data_pending
        && call.identity.is_empty()
        && call.certificate.is_empty()
        && call.accepts.is_none()
        && call.caller.is_none()
        && call.tenant.is_none()
        && call.host.as_deref() != Some("")
        && !call.advisory;
    let is_header = |text: &str| HeaderValue::from_str(text).is_ok() && text.trim() == text;
    let fits = call.credentials.iter().flatten().all(|(name, value)| {
        // A secret that an earlier step hands out is known by then.
        !name.starts_with("envelope.") && (value.contains("${") || is_header(&world.fill_in(value)))
    });
    let line = call.http.as_ref().and_then(|line| line.split_once(' '));
    let is_line =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    let line_fits = line.is_some_and(|(method, target)| is_line(method) && is_line(target));
    is_plain && fits && line_fits && call.host.as_deref().is_none_or(is_header)
}

/// Whether all of the data is what a body declares under its own name.
pub(super) fn is_body(bodies: &[String], data: &Value) -> bool {
    let fields = data.as_object();
    fields.is_some_and(|fields| fields.keys().all(|name| bodies.contains(name)))
}

/// Calls, with at most one write after each.
fn carries_steps(world: &World, bodies: &[String], steps: &[Step]) -> bool {
    let mut may_write = false;
    steps.iter().all(|step| {
        if step.meanwhile.is_some() {
            return true;
        }
        if let Some(call) = &step.call {
            let allowed = step
                .expect
                .as_ref()
                .and_then(|expect| expect.outcome.as_deref());
            may_write = allowed == Some("allow");
            return carries_call(world, bodies, call) && call.keep.is_none();
        }
        let sign_in = step.sign_in.as_ref().is_none_or(|sign_in| {
            sign_in.request_id.is_empty() && !sign_in.no_auth_time && sign_in.subject.is_some()
        });
        let patch = step
            .patch
            .as_ref()
            .is_none_or(|patch| patch.etag.is_empty());
        std::mem::take(&mut may_write) && !step.read && step.caller.is_none() && sign_in && patch
    })
}

#[async_trait::async_trait]
impl Front for Proxy {
    fn name(&self) -> &'static str {
        "proxy"
    }

    fn carries(&self, case: &Case) -> bool {
        let (world, bodies) = (&self.server.world, &self.bodies);
        match &case.call {
            Some(call) => carries_call(world, bodies, call),
            None => carries_steps(world, bodies, &case.steps),
        }
    }

    fn world(&self) -> &World {
        &self.server.world
    }

    async fn stop(self: Box<Self>) {
        self.finish().await;
        drop((self.app, self.edge));
        self.server.stop().await;
    }

    fn store(&self) -> Arc<dyn Store> {
        self.server.engine.store()
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        self.finish().await;
        let address = match &self.edge {
            Some(edge) => edge.address,
            None => tcp(&self.server.addresses.proxy),
        };
        let call = &asked.call;
        let mut fields = vec![("host".to_owned(), call.authority.clone().into_bytes())];
        if !call.peer.address.is_empty() {
            let client = call.peer.address.clone().into_bytes();
            fields.push(("x-forwarded-for".to_owned(), client));
        }
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
        if !call.data_json.is_empty() {
            let json = b"application/json".to_vec();
            fields.push(("content-type".to_owned(), json));
        }
        let bytes = raw::request(&call.method, &call.target, &fields, &call.data_json);
        let mut running = tokio::spawn(async move { raw::exchange(address, &bytes).await });
        let mut app = self.app.lock().await;
        let visit = tokio::select! {
            visit = app.visited() => visit,
            answer = &mut running => return refused(&answer.unwrap()),
        };
        let mut observed = seen(&visit);
        let handle = URL_SAFE_NO_PAD
            .decode(visit.header("sidegate-call"))
            .unwrap();
        if asked.case.steps.iter().any(is_write) {
            *self.open.lock().await = Some((visit, running));
        } else {
            visit.answer(&[]);
            let answer = running.await.unwrap();
            assert_eq!((answer.status, &*answer.body), (200, &b"from the app"[..]));
            observed.insert("updates", updates(&answer));
            observed.insert("response_headers", of_policy(&answer));
        }
        Reply {
            observed,
            handle: Some(handle.into()),
            ..Reply::default()
        }
    }

    async fn write(&self, _: Option<&str>, handle: Bytes, write: Write) -> Reply {
        let open = self.open.lock().await.take();
        let (visit, running) = open.expect("a request that the app has not answered");
        let (name, value) = header(&write);
        let fields = [
            ("sidegate-call", URL_SAFE_NO_PAD.encode(handle)),
            (name, value),
        ];
        visit.answer(&fields);
        let answer = running.await.unwrap();
        let failed = answer.status == 503;
        assert!(failed || answer.status == 200, "{answer:?}");
        let mut observed: Observed = [("failed", json!(failed))].into();
        let mut handed = Vec::new();
        if failed {
            let is_withheld = !answer.body.windows(8).any(|part| part == b"from the");
            assert!(
                is_withheld && answer.all("set-cookie").is_empty(),
                "{answer:?}"
            );
        } else {
            observed.insert("updates", updates(&answer));
            handed.extend(answer.all("set-cookie").into_iter().map(Handed::Cookie));
            handed.extend(answer.all("sidegate-token").into_iter().map(Handed::Token));
        }
        Reply {
            observed,
            handed,
            ..Reply::default()
        }
    }
}

fn is_write(step: &Step) -> bool {
    step.sign_in.is_some() || step.patch.is_some() || step.clear.is_some()
}

/// The header by which an app asks for a write.
fn header(write: &Write) -> (&'static str, String) {
    match write {
        Write::SignIn { sign_in, .. } => {
            let identity = &sign_in.identity;
            let value = json!({
                "subject": identity.subject.as_ref().unwrap().to_string(),
                "actor": identity.actor.as_ref().map(ToString::to_string),
                "claims": identity.claims,
                "attributes": sign_in.attributes,
                "scopes": identity.scopes,
                "auth_time": identity.auth_time.map(|time| time.as_micros() / 1_000_000),
                "ttl": sign_in.ttl.map(|ttl| ttl.as_secs()),
            });
            (
                "sidegate-session-set",
                URL_SAFE_NO_PAD.encode(value.to_string()),
            )
        }
        Write::Patch(request) => {
            let SessionWrite::Patch { set, remove } = &request.change else {
                panic!("a patch patches");
            };
            let mut patch = set.clone();
            patch.extend(remove.iter().map(|name| (name.clone(), Value::Null)));
            ("sidegate-session-patch", Value::Object(patch).to_string())
        }
        Write::Clear(scope) => {
            let scope = match scope {
                ClearScope::This => "this",
                ClearScope::Others => "others",
                ClearScope::All => "all",
            };
            ("sidegate-session-clear", scope.to_owned())
        }
        Write::Read => panic!("an app reads its request"),
    }
}

/// What the app sees of an allow.
fn seen(visit: &Visit) -> Observed {
    for name in [
        "sidegate-subject",
        "sidegate-session",
        "sidegate-operation",
        "sidegate-decision-id",
        "sidegate-call",
    ] {
        assert_eq!(visit.headers.get_all(name).iter().count(), 1, "{name}");
    }
    [
        ("outcome", json!("allow")),
        ("reason", json!("allowed")),
        ("operation", json!(visit.header("sidegate-operation"))),
        ("subject", principal(visit.header("sidegate-session"))),
        ("call", json!(!visit.header("sidegate-call").is_empty())),
    ]
    .into()
}

/// What the client sees of anything else.
fn refused(answer: &raw::Response) -> Reply {
    let outcome = answer.header("sidegate-outcome");
    let mut observed = Observed::new();
    if outcome.is_empty() {
        // It was no HTTP, so that nobody decided.
        assert_eq!(answer.status, 400, "{answer:?}");
        observed.insert("outcome", json!("invalid"));
    } else if answer.status == 204 {
        observed.insert("outcome", json!(outcome));
        observed.insert("reason", json!("preflight"));
        observed.insert("response_headers", of_policy(answer));
    } else {
        let row = Outcome::ALL.into_iter().find(|row| row.as_str() == outcome);
        let status = row.map(Outcome::http_status);
        assert_eq!(status, Some(answer.status), "the table of R20, {outcome}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        observed.insert("outcome", json!(outcome));
        if let Some(reason) = problem.get("reason") {
            observed.insert("reason", reason.clone());
        }
        observed.insert("response_headers", of_policy(answer));
        observed.insert("challenges", json!(answer.all("www-authenticate")));
        observed.insert("updates", updates(answer));
    }
    Reply {
        observed,
        ..Reply::default()
    }
}

/// What the policy puts on answers.
fn of_policy(answer: &raw::Response) -> Value {
    let fields = answer.headers.iter();
    let own = fields.filter(|(name, _)| name.starts_with("access-control-") || name == "vary");
    json!(own.cloned().collect::<BTreeMap<_, _>>())
}

fn updates(answer: &raw::Response) -> Value {
    let kind = |cookie: &String| match cookie.to_ascii_lowercase().contains("max-age=0") {
        true => "expire_cookie",
        false => "set_cookie",
    };
    let cookies = answer.all("set-cookie");
    let tokens = answer.all("sidegate-token");
    let tokens = tokens.iter().map(|_| "issue_token");
    json!(cookies.iter().map(kind).chain(tokens).collect::<Vec<_>>())
}
