//! Sessions of external issuers in process (R18, R23): read-only claims, attributes with us,
//! revocation that beats the cache.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    clock::{ManualClock, Timestamp},
    decision::{Answer, ReasonCode},
    decision_point::{ClearScope, DecisionPoint, SessionError, SessionWrite, SetSession},
    engine::{Engine, Parts},
    keys::{Keyring, MasterKey},
    outcome::Outcome,
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        source::{Disk, Document},
    },
    principal::Principal,
    random::SystemRandom,
    session::{JsonObject, RevocationCause, Tenant},
    store::{Ending, memory::MemoryStore},
    wire::{Call, Credential, CredentialSource, WireKind},
};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

const POLICY: &str = r#"
claims: { role: string }
checks:
  is_admin: session.claims.role == "admin"
  is_local: session.subject == "u1"
  is_idp: session.principal == "idp/u1"
operations:
  read:  { require: is_idp, http: GET /read }
  local: { require: is_local, http: GET /local }
  theme: { writes: attributes, http: POST /theme }
  write: { scopes: [ books:write ], http: POST /books }
strategies:
  - bearer:
      scopes: from_session
      issuers:
        - issuer: "https://id.example"
          audience: books
          namespace: idp
          algorithms: [ HS256 ]
          keys_file: secret
"#;

const SECRET: &[u8] = b"9f1c77e2b04d4a6f8b35d2c16e08a7f4c3d95be1";
const NOW: i64 = 1_800_000_000;

struct World {
    engine: Engine,
    clock: Arc<ManualClock>,
    caller: Caller,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let document = Document::parse(&folder.path().join("f.yaml"), POLICY.into()).unwrap();
    let policy = Policy::compile(&[document], &Disk, &BuiltInSources, &Natives::default());
    let policy = policy.unwrap_or_else(|err| panic!("{err}"));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)));
    let keys = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let store = Arc::new(MemoryStore::default());
    let parts = Parts::new(policy, store, keys, clock.clone(), Arc::new(SystemRandom));
    let grants = [Grant::Authorize, Grant::SessionSelf].into();
    let caller = Caller {
        grants,
        ..Caller::new("shop")
    };
    World {
        engine: Engine::new(parts),
        clock,
        caller,
        _folder: folder,
    }
}

fn token(claims: serde_json::Value) -> String {
    let mut all = json!({
        "iss": "https://id.example", "aud": "books", "sub": "u1", "jti": "t1",
        "iat": NOW - 10, "exp": NOW + 600, "role": "admin", "scope": "books",
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let header = Header {
        typ: Some("at+jwt".into()),
        ..Header::default()
    };
    auth_core::jwt::install_crypto_provider();
    encode(&header, &all, &EncodingKey::from_secret(SECRET)).unwrap()
}

impl World {
    async fn ask(&self, method: &str, target: &str, token: &str) -> Answer {
        let mut call = Call::new(WireKind::Http, method, target);
        call.credentials.push(Credential {
            source: CredentialSource::Authorization,
            name: String::new(),
            value: format!("Bearer {token}").into(),
        });
        self.engine.authorize(&self.caller, call).await
    }
}

#[tokio::test]
async fn r23_a_subject_of_an_issuer_is_not_a_local_one() {
    let world = world();
    let token = token(json!({}));
    assert_eq!(
        world.ask("GET", "/read", &token).await.outcome(),
        Outcome::Allow
    );
    assert_eq!(
        world.ask("GET", "/local", &token).await.outcome(),
        Outcome::Deny
    );
}

#[tokio::test]
async fn r21_scopes_of_an_issuer_are_exact() {
    let world = world();
    let answer = world.ask("POST", "/books", &token(json!({}))).await;
    assert_eq!(answer.reason.code, ReasonCode::InsufficientScope);
    assert_eq!(
        answer.challenges,
        ["Bearer error=\"insufficient_scope\", scope=\"books:write\""]
    );
    let answer = world
        .ask("POST", "/books", &token(json!({ "scope": "books:write" })))
        .await;
    assert_eq!(answer.outcome(), Outcome::Allow);
}

#[tokio::test]
async fn r10_a_bad_token_is_told_apart_inside_only() {
    let world = world();
    for bad in [
        token(json!({ "exp": NOW - 100 })),
        token(json!({ "aud": "other" })),
        token(json!({ "iss": "https://evil.example" })),
        token(json!({ "cnf": { "jkt": "x" } })),
        "not.a.token".to_owned(),
        "plain".to_owned(),
    ] {
        let answer = world.ask("GET", "/read", &bad).await;
        assert_eq!(answer.reason.code, ReasonCode::CredentialRejected);
        assert_eq!(answer.challenges, ["Bearer error=\"invalid_token\""]);
    }
}

#[tokio::test]
async fn t_13_a_cleared_token_is_refused_at_once_though_it_was_cached() {
    let world = world();
    let first = token(json!({}));
    let call = world.ask("GET", "/read", &first).await.call.unwrap();
    let cleared = world
        .engine
        .clear(&world.caller, &call, ClearScope::This)
        .await
        .unwrap();
    assert_eq!(cleared.ended, 1);
    assert_eq!(
        world.ask("GET", "/read", &first).await.outcome(),
        Outcome::Unauthenticated
    );
    let other = token(json!({ "jti": "t2" }));
    assert_eq!(
        world.ask("GET", "/read", &other).await.outcome(),
        Outcome::Allow
    );
}

#[tokio::test]
async fn r18_revoking_the_subject_refuses_what_was_issued_up_to_then() {
    let world = world();
    let old = token(json!({}));
    assert_eq!(
        world.ask("GET", "/read", &old).await.outcome(),
        Outcome::Allow
    );
    let subject = Principal::new("idp", "u1").unwrap();
    let ending = Ending {
        by: "operator".into(),
        cause: RevocationCause::SubjectRevoked,
        reason: String::new(),
    };
    let now = Timestamp::from_seconds(NOW);
    let store = world.engine.store();
    store
        .revoke_subject(&Tenant::default(), &subject, None, ending, now)
        .await
        .unwrap();
    assert_eq!(
        world.ask("GET", "/read", &old).await.outcome(),
        Outcome::Unauthenticated
    );
    world.clock.advance(Duration::from_secs(5));
    let new = token(json!({ "iat": NOW + 2, "jti": "t3" }));
    assert_eq!(
        world.ask("GET", "/read", &new).await.outcome(),
        Outcome::Allow
    );
}

#[tokio::test]
async fn r18_attributes_live_with_us_and_claims_cannot_be_set() {
    let world = world();
    let token = token(json!({}));
    let call = world.ask("POST", "/theme", &token).await.call.unwrap();
    let mut set = JsonObject::new();
    set.insert("theme".into(), "dark".into());
    let request = |call, change| SetSession {
        call,
        change,
        etag: String::new(),
        request_id: String::new(),
    };
    let patch = SessionWrite::Patch {
        set,
        remove: Vec::new(),
    };
    let changed = world
        .engine
        .set(&world.caller, request(call, patch))
        .await
        .unwrap();
    assert_eq!(changed.session.principal(), Some("idp/u1"));
    let answer = world.ask("POST", "/theme", &token).await;
    let session = answer.session.unwrap();
    assert_eq!(session.attributes["theme"], "dark");
    let read = world
        .engine
        .session(&world.caller, &answer.call.unwrap())
        .await;
    assert_eq!(read.unwrap().unwrap().attributes["theme"], "dark");
}

#[tokio::test]
async fn logging_others_out_is_not_ours_to_do_for_an_issuer() {
    let world = world();
    let call = world
        .ask("GET", "/read", &token(json!({})))
        .await
        .call
        .unwrap();
    let refused = world
        .engine
        .clear(&world.caller, &call, ClearScope::Others)
        .await;
    assert!(
        matches!(refused, Err(SessionError::ReadOnly(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn r18_the_call_of_a_cleared_token_reads_and_writes_nothing() {
    let world = world();
    let call = world
        .ask("POST", "/theme", &token(json!({})))
        .await
        .call
        .unwrap();
    world
        .engine
        .clear(&world.caller, &call, ClearScope::This)
        .await
        .unwrap();
    let read = world.engine.session(&world.caller, &call).await;
    assert_eq!(read.err(), Some(SessionError::Gone));
}

#[tokio::test]
async fn f_10_a_clock_that_goes_back_revives_no_token_and_no_call_of_it() {
    let world = world();
    let token = token(json!({}));
    let call = world.ask("GET", "/read", &token).await.call.unwrap();
    world.clock.advance(Duration::from_secs(700));
    let late = world.ask("GET", "/read", &token).await;
    world.clock.set(Timestamp::from_seconds(NOW));
    let back = world.ask("GET", "/read", &token).await;
    for answer in [late, back] {
        assert_eq!(answer.outcome(), Outcome::Unauthenticated);
    }
    let read = world.engine.session(&world.caller, &call).await;
    assert_eq!(read.err(), Some(SessionError::CallInvalid));
}
