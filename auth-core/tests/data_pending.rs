//! What was asked without its body is no decision: nothing is done and nobody hears of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use auth_core::{
    caller::{Caller, Grant},
    clock::{Clock as _, ManualClock, Timestamp},
    decision::{Answer, ReasonCode},
    decision_point::DecisionPoint,
    engine::{Engine, Parts, SessionLimits},
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
    store::{Loaded, NewSession, SessionStore as _, memory::MemoryStore},
    throttle::MAX_REFUSALS,
    wire::{Call, Credential, CredentialSource, Deliverable, Peer, WireKind},
    wire_update::WireUpdate,
};

const POLICY: &str = r#"
checks:
  no_note: "!has(data.note)"
operations:
  write: { require: no_note, data: { note: { type: string } }, mcp: write }
  open:  { session: optional, require: no_note, data: { note: { type: string } }, mcp: open }
"#;

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Counts what it hears.
#[derive(Debug, Default)]
struct Ears {
    decisions: AtomicUsize,
    changes: AtomicUsize,
}

impl Observer for Ears {
    fn decided(&self, _: &DecisionEvent<'_>) {
        self.decisions.fetch_add(1, Ordering::Relaxed);
    }

    fn session_changed(&self, _: &str, _: &SessionEvent) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn cache_looked_up(&self, _: bool) {}
}

struct World {
    engine: Engine,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    ears: Arc<Ears>,
    caller: Caller,
}

fn world() -> World {
    let document = Document::parse(Path::new("pending.yaml"), POLICY.into()).unwrap();
    let policy = Policy::compile(&[document], &Disk, &BuiltInSources, &Natives::default()).unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let keys = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let store = Arc::new(MemoryStore::default());
    let ears = Arc::new(Ears::default());
    let random = Arc::new(SystemRandom);
    let parts = Parts {
        observer: ears.clone(),
        limits: SessionLimits {
            renew: Some(Duration::from_secs(600)),
            ..SessionLimits::default()
        },
        ..Parts::new(policy, store.clone(), keys, clock.clone(), random)
    };
    World {
        engine: Engine::new(parts),
        store,
        clock,
        ears,
        caller: Caller {
            grants: [Grant::Authorize].into(),
            ..Caller::new("edge")
        },
    }
}

impl World {
    async fn session(&self) -> (SessionToken, SessionId) {
        let now = self.clock.now();
        let token = SessionToken::generate(&SystemRandom, [0, 0]).unwrap();
        let id = SessionId::generate(&SystemRandom, now).unwrap();
        let new = NewSession {
            id,
            tenant: Tenant::default(),
            token: token.hash(),
            kind: TokenKind::Bearer,
            strategy: None,
            identity: Identity {
                subject: Some(Principal::local("u1").unwrap()),
                ..Identity::default()
            },
            attributes: JsonObject::new(),
            expires_at: now.plus(Duration::from_secs(24 * 3600)),
            idle: Duration::from_secs(3600),
            replaces: None,
            replaces_version: None,
            limit: None,
            request: None,
            by: "test".into(),
        };
        self.store.create(new, now).await.unwrap();
        (token, id)
    }

    async fn ask(&self, target: &str, credential: &str, pending: bool) -> Answer {
        let call = Call {
            tenant: Tenant::default(),
            credentials: vec![Credential {
                source: CredentialSource::Authorization,
                name: String::new(),
                value: format!("Bearer {credential}").into(),
            }],
            deliverable: Deliverable {
                token: true,
                ..Deliverable::default()
            },
            peer: Peer {
                address: "192.0.2.1".into(),
                ..Peer::default()
            },
            data_complete: !pending,
            data_pending: pending,
            ..Call::new(WireKind::Mcp, "", target)
        };
        self.engine.authorize(&self.caller, call).await
    }

    fn heard(&self) -> (usize, usize) {
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (count(&self.ears.decisions), count(&self.ears.changes))
    }

    /// When the session was last used, as the store has it.
    async fn last_used(&self, token: &SessionToken) -> Timestamp {
        let tenant = Tenant::default();
        let now = self.clock.now();
        let loaded = self
            .store
            .load(&tenant, TokenKind::Bearer, &token.hash(), now)
            .await;
        match loaded.unwrap() {
            Loaded::Live { record, .. } => record.last_seen,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_question_without_its_body_leaves_no_trace() {
    let world = world();
    let (token, _) = world.session().await;
    let text = TokenText::new(token.as_bytes());
    world.clock.advance(Duration::from_secs(1800));
    let asked = world.ask("write", text.as_str(), true).await;
    assert_eq!(asked.reason.code, ReasonCode::DataNeeded);
    assert!(asked.updates.is_empty() && asked.call.is_none() && asked.session.is_none());
    assert_eq!(world.heard(), (0, 0));
    assert_eq!(world.last_used(&token).await, START);

    let decided = world.ask("write", text.as_str(), false).await;
    assert_eq!(decided.reason.code, ReasonCode::Allowed);
    assert!(decided.call.is_some());
    assert!(matches!(*decided.updates, [WireUpdate::IssueToken { .. }]));
    assert_eq!(world.heard(), (1, 1));
    assert_ne!(world.last_used(&token).await, START);
}

#[tokio::test]
async fn a_bad_credential_counts_once_however_often_its_body_is_asked_for() {
    let world = world();
    for _ in 0..MAX_REFUSALS {
        let asked = world.ask("open", "nonsense", true).await;
        assert_eq!(asked.reason.code, ReasonCode::DataNeeded);
    }
    for _ in 0..MAX_REFUSALS {
        let decided = world.ask("open", "nonsense", false).await;
        assert_eq!(decided.reason.code, ReasonCode::Allowed);
    }
    let over = world.ask("open", "nonsense", false).await;
    assert_eq!(over.reason.code, ReasonCode::TooManyRejected);
}
