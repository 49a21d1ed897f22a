//! Many calls of one client, decided together.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use auth_core::{
    caller::Caller,
    clock::{ManualClock, Timestamp},
    decision::{Answer, CredentialState, ReasonCode},
    decision_point::DecisionPoint as _,
    engine::{Engine, Parts},
    grammar::TokenText,
    keys::{Keyring, MasterKey},
    observe::{DecisionEvent, Observer, SessionEvent},
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        source::{Disk, Document},
    },
    principal::Principal,
    random::SystemRandom,
    session::{Identity, JsonObject, SessionId, SessionToken, Tenant, TokenKind},
    store::{NewSession, SessionStore as _, memory::MemoryStore},
    wire::{Call, Credential, CredentialSource, WireKind},
};

const POLICY: &str = "
app: shop
hosts: [ localhost ]
claims: { role: string }
checks: { is_admin: session.claims.role == 'admin' }
strategies:
  - bearer: { opaque: true }
operations:
  home:   { session: none, http: GET / }
  me:     { http: GET /me }
  remove: { require: is_admin, http: DELETE /books/* }
";
const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Counts how often a session was looked for.
#[derive(Debug, Default)]
struct Looks(AtomicUsize);

impl Observer for Looks {
    fn decided(&self, _: &DecisionEvent<'_>) {}
    fn session_changed(&self, _: &str, _: &SessionEvent) {}
    fn cache_looked_up(&self, _: bool) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Shop {
    engine: Engine,
    looks: Arc<Looks>,
    caller: Caller,
}

impl Shop {
    async fn together(&self, calls: Vec<Call>) -> Vec<Answer> {
        let answering = self.engine.authorize_all(&self.caller, calls).await;
        futures_util::future::join_all(answering).await
    }
}

/// A shop and the token of one of its readers.
async fn shop() -> (Shop, String) {
    let document = Document::parse(Path::new("shop.yaml"), POLICY.to_owned()).unwrap();
    let policy = Policy::compile(&[document], &Disk, &BuiltInSources, &Natives::default()).unwrap();
    let keys = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let store = Arc::new(MemoryStore::default());
    let token = SessionToken::generate(&SystemRandom, [0; 2]).unwrap();
    let new = new_session(&token);
    store.create(new, START).await.unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let looks = Arc::new(Looks::default());
    let mut parts = Parts::new(policy, store, keys, clock, Arc::new(SystemRandom));
    parts.observer = looks.clone();
    let shop = Shop {
        engine: Engine::new(parts),
        looks,
        caller: Caller::new("edge"),
    };
    let text = TokenText::new(token.as_bytes());
    (shop, text.as_str().to_owned())
}

fn new_session(token: &SessionToken) -> NewSession {
    let mut claims = JsonObject::new();
    claims.insert("role".into(), "user".into());
    NewSession {
        id: SessionId::generate(&SystemRandom, START).unwrap(),
        tenant: Tenant::default(),
        token: token.hash(),
        kind: TokenKind::Bearer,
        strategy: None,
        identity: Identity {
            subject: Some(Principal::local("u1").unwrap()),
            claims,
            ..Identity::default()
        },
        attributes: JsonObject::new(),
        expires_at: START.plus(Duration::from_secs(60)),
        idle: Duration::from_secs(60),
        replaces: None,
        replaces_version: None,
        limit: None,
        request: None,
        by: "ops".into(),
    }
}

fn call(method: &str, target: &str, tokens: &[&str]) -> Call {
    let credentials = tokens.iter().map(|token| Credential {
        source: CredentialSource::Authorization,
        name: String::new(),
        value: format!("Bearer {token}").into(),
    });
    Call {
        authority: "localhost".into(),
        credentials: credentials.collect(),
        advisory: true,
        ..Call::new(WireKind::Http, method, target)
    }
}

/// What a user of the answer goes by; each decision has its own id.
fn shown(
    answer: &Answer,
) -> (
    ReasonCode,
    Option<Arc<str>>,
    CredentialState,
    Option<String>,
) {
    let session = answer.session.as_deref();
    (
        answer.reason.code,
        answer.operation.clone(),
        answer.credential,
        session.and_then(|session| session.principal().map(ToOwned::to_owned)),
    )
}

#[tokio::test]
async fn a_credential_is_judged_once() {
    let (shop, token) = shop().await;
    let calls = vec![call("GET", "/me", &[&token]); 100];
    let answers = shop.together(calls).await;
    assert_eq!(answers.len(), 100);
    for answer in &answers {
        assert_eq!(answer.reason.code, ReasonCode::Allowed);
    }
    assert_eq!(shop.looks.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn each_call_is_decided_as_if_it_were_alone() {
    let (shop, token) = shop().await;
    let unknown = TokenText::new(
        SessionToken::generate(&SystemRandom, [0; 2])
            .unwrap()
            .as_bytes(),
    );
    let mut calls = Vec::new();
    for tokens in [
        &[][..],
        &[&*token],
        &[unknown.as_str()],
        &["not a token"],
        &[&*token, unknown.as_str()],
    ] {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/me"),
            ("DELETE", "/books/b1"),
            ("GET", "/nowhere"),
            ("GET", "/me/%2e%2e"),
        ] {
            calls.push(call(method, target, tokens));
        }
    }
    let together = shop.together(calls.clone()).await;
    assert_eq!(together.len(), calls.len());
    for (call, together) in calls.into_iter().zip(&together) {
        let what = format!(
            "{} {} {:?}",
            call.method,
            call.target,
            call.credentials.len()
        );
        let alone = shop.engine.authorize(&shop.caller, call).await;
        assert_eq!(shown(together), shown(&alone), "{what}");
    }
}
