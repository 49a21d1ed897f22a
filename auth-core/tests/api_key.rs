//! API keys in process (T-19): they end for calls that were allowed by them as well.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{path::Path, sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    clock::{ManualClock, Timestamp},
    decision::Answer,
    decision_point::{DecisionPoint, SessionError},
    engine::{Engine, Parts},
    grammar::ApiKeyText,
    keys::{Keyring, MasterKey},
    outcome::Outcome,
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        source::{Disk, Document},
    },
    principal::Principal,
    random::SystemRandom,
    session::{JsonObject, RevocationCause, SessionId, Tenant, TokenHash},
    store::{ApiKey, Ending, memory::MemoryStore},
    wire::{Call, Credential, CredentialSource, WireKind},
};

const POLICY: &str = "
operations:
  read: { http: GET /read }
strategies:
  - api_key: { header: x-api-key }
";
const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const SECRET: [u8; 32] = [5; 32];

struct World {
    engine: Engine,
    clock: Arc<ManualClock>,
    caller: Caller,
    key: ApiKey,
}

/// A program with one API key that lasts a minute.
async fn world() -> World {
    let document = Document::parse(Path::new("keys.yaml"), POLICY.into()).unwrap();
    let policy = Policy::compile(&[document], &Disk, &BuiltInSources, &Natives::default()).unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let ring = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let store = Arc::new(MemoryStore::default());
    let parts = Parts::new(policy, store, ring, clock.clone(), Arc::new(SystemRandom));
    let engine = Engine::new(parts);
    let key = ApiKey {
        id: SessionId::generate(&SystemRandom, START).unwrap(),
        tenant: Tenant::default(),
        hash: TokenHash::of(&SECRET),
        name: "ci".into(),
        subject: Principal::local("ci").unwrap(),
        claims: JsonObject::new(),
        scopes: Vec::new(),
        all_scopes: false,
        created_at: START,
        created_by: "ops".into(),
        expires_at: Some(START.plus(Duration::from_secs(60))),
        revoked: None,
    };
    engine.store().create_key(key.clone()).await.unwrap();
    World {
        engine,
        clock,
        caller: Caller {
            grants: [Grant::Authorize, Grant::SessionSelf].into(),
            ..Caller::new("shop")
        },
        key,
    }
}

impl World {
    async fn ask(&self) -> Answer {
        let mut call = Call::new(WireKind::Http, "GET", "/read");
        call.credentials.push(Credential {
            source: CredentialSource::Header,
            name: "x-api-key".into(),
            value: ApiKeyText::new(&SECRET).as_str().to_owned().into(),
        });
        self.engine.authorize(&self.caller, call).await
    }
}

#[tokio::test]
async fn f_10_a_clock_that_goes_back_revives_no_key() {
    let world = world().await;
    assert_eq!(world.ask().await.outcome(), Outcome::Allow);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.ask().await.outcome(), Outcome::Unauthenticated);
    world.clock.set(START);
    assert_eq!(world.ask().await.outcome(), Outcome::Unauthenticated);
}

#[tokio::test]
async fn r15_the_call_of_a_key_reads_no_session_after_the_key_has_ended() {
    #[derive(Debug)]
    enum End {
        None,
        Revoked,
        SubjectRevoked,
        Expired,
    }
    for (end, gone) in [
        (End::None, None),
        (End::Revoked, Some(SessionError::Gone)),
        (End::SubjectRevoked, Some(SessionError::Gone)),
        (End::Expired, Some(SessionError::Gone)),
    ] {
        let world = world().await;
        let call = world.ask().await.call.unwrap();
        let (store, tenant) = (world.engine.store(), Tenant::default());
        let ending = Ending {
            by: "ops".into(),
            cause: RevocationCause::Revoked,
            reason: String::new(),
        };
        match end {
            End::None => {}
            End::Revoked => {
                let revoked = store.revoke_key(&tenant, &world.key.id, ending, START);
                assert_eq!(revoked.await, Ok(Some(true)));
            }
            End::SubjectRevoked => {
                let subject = &world.key.subject;
                let revoked = store.revoke_subject(&tenant, subject, None, ending, START);
                revoked.await.unwrap();
            }
            End::Expired => world.clock.advance(Duration::from_secs(60)),
        }
        let read = world.engine.session(&world.caller, &call).await;
        if let Ok(session) = &read {
            let session = session.as_ref().unwrap();
            assert_eq!(session.expires_at(), world.key.expires_at);
        }
        assert_eq!(read.err(), gone, "{end:?}");
    }
}
