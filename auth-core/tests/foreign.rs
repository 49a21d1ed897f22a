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
    engine::{Engine, Parts, Who},
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
    wire::{Call, Credential, CredentialSource, Peer, WireKind},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
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
    world_of(POLICY)
}

fn world_of(policy: &str) -> World {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let document = Document::parse(&folder.path().join("f.yaml"), policy.into()).unwrap();
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
        let call = call(method, target, token, &[]);
        self.engine.authorize(&self.caller, call).await
    }

    /// What becomes of a token that comes over a connection with this certificate.
    async fn read_with(&self, token: &str, certificate: &[u8]) -> (Answer, Option<String>) {
        let call = call("GET", "/read", token, certificate);
        let (explained, explanation) = self.engine.explain(&call, Who::Credentials).await;
        let answer = self.engine.authorize(&self.caller, call).await;
        assert_eq!(explained.outcome(), answer.outcome());
        (answer, explanation.credential.refused)
    }
}

fn call(method: &str, target: &str, token: &str, certificate: &[u8]) -> Call {
    let credential = Credential {
        source: CredentialSource::Authorization,
        name: String::new(),
        value: format!("Bearer {token}").into(),
    };
    let peer = Peer {
        certificate_sha256: certificate.to_vec().into(),
        ..Peer::default()
    };
    Call {
        credentials: vec![credential],
        peer,
        ..Call::new(WireKind::Http, method, target)
    }
}

/// A token that is bound to this certificate.
fn bound_token(certificate: &[u8]) -> String {
    token(json!({ "cnf": { "x5t#S256": URL_SAFE_NO_PAD.encode(certificate) } }))
}

#[tokio::test]
async fn t_25_a_bound_token_is_held_to_its_certificate_though_it_was_cached() {
    let world = world();
    let (own, other) = ([7; 32], [8; 32]);
    let token = bound_token(&own);
    for (certificate, refused) in [
        (&own[..], None),
        (&[], Some("certificate_missing")),
        (&other, Some("certificate_mismatch")),
        (&own, None),
        (&[], Some("certificate_missing")),
    ] {
        let (answer, why) = world.read_with(&token, certificate).await;
        assert_eq!(why.as_deref(), refused, "{certificate:?}");
        if refused.is_none() {
            assert_eq!(answer.outcome(), Outcome::Allow, "{certificate:?}");
        } else {
            assert_eq!(answer.reason.code, ReasonCode::CredentialRejected);
            assert_eq!(answer.challenges, ["Bearer error=\"invalid_token\""]);
            assert!(answer.call.is_none() && answer.session.is_none());
        }
    }
}

/// A call with a bound token, over a connection whose certificate ends then.
fn call_until(token: &str, not_after: Option<Timestamp>) -> Call {
    let call = call("POST", "/theme", token, &[7; 32]);
    let peer = Peer {
        not_after,
        ..call.peer.clone()
    };
    Call { peer, ..call }
}

#[tokio::test]
async fn t_25_a_bound_token_opens_nothing_once_its_certificate_has_ended() {
    let now = Timestamp::from_seconds(NOW);
    let (one, minute) = (Duration::from_micros(1), Duration::from_secs(60));
    let token = bound_token(&[7; 32]);
    // At first use, and when it was remembered.
    for world in [world(), world()] {
        for (not_after, refused) in [
            (Some(now), Some("certificate_expired")),
            (Some(now.plus(one)), None),
            (Some(now), Some("certificate_expired")),
            (None, None),
        ] {
            let call = call_until(&token, not_after);
            let (_, explained) = world.engine.explain(&call, Who::Credentials).await;
            assert_eq!(explained.credential.refused.as_deref(), refused);
            let answer = world.engine.authorize(&world.caller, call).await;
            let expected = match refused {
                Some(_) => Outcome::Unauthenticated,
                None => Outcome::Allow,
            };
            assert_eq!(answer.outcome(), expected, "{not_after:?}");
        }
    }
    // What it opened before ends as well; the session at the issuer lasts as long as it did.
    let world = world();
    for _ in ["first", "remembered"] {
        let call = call_until(&token, Some(world.engine.clock().now().plus(minute)));
        let answer = world.engine.authorize(&world.caller, call).await;
        let token_ends = Timestamp::from_seconds(NOW + 600);
        assert!(answer.session.unwrap().expires_at().unwrap() >= token_ends);
        let handle = answer.call.unwrap();
        let went_on = world.engine.continue_call(&world.caller, &handle).await;
        world.clock.advance(minute);
        for handle in [handle, went_on.unwrap()] {
            let ended = world.engine.continue_call(&world.caller, &handle).await;
            assert_eq!(ended, Err(SessionError::CallInvalid));
        }
    }
}

#[tokio::test]
async fn t_26_a_confirmation_that_cannot_be_checked_is_none() {
    let world = world();
    let own = URL_SAFE_NO_PAD.encode([7; 32]);
    for confirmation in [
        json!({ "jkt": own }),
        json!({ "x5t#S256": own, "jkt": own }),
        json!({}),
    ] {
        let token = token(json!({ "cnf": confirmation }));
        let (answer, why) = world.read_with(&token, &[7; 32]).await;
        assert_eq!(answer.outcome(), Outcome::Unauthenticated);
        assert_eq!(why.as_deref(), Some("sender_constrained"));
    }
}

#[tokio::test]
async fn t_25_calls_of_a_batch_are_held_to_their_own_certificates() {
    let world = world();
    let token = bound_token(&[7; 32]);
    let certificates = [&[7; 32][..], &[], &[8; 32], &[7; 32]];
    let calls = certificates.map(|certificate| call("GET", "/read", &token, certificate));
    let answering = world.engine.authorize_all(&world.caller, calls.into());
    let answers = futures_util::future::join_all(answering.await).await;
    let outcomes: Vec<_> = answers.iter().map(Answer::outcome).collect();
    let (yes, no) = (Outcome::Allow, Outcome::Unauthenticated);
    assert_eq!(outcomes, [yes, no, no, yes]);
}

#[tokio::test]
async fn t_25_an_issuer_whose_tokens_are_all_bound() {
    let bound = "namespace: idp\n          bound: certificate";
    let world = world_of(&POLICY.replace("namespace: idp", bound));
    let (answer, why) = world.read_with(&token(json!({})), &[7; 32]).await;
    assert_eq!(answer.outcome(), Outcome::Unauthenticated);
    assert_eq!(why.as_deref(), Some("certificate_unbound"));
    let (answer, _) = world.read_with(&bound_token(&[7; 32]), &[7; 32]).await;
    assert_eq!(answer.outcome(), Outcome::Allow);
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
