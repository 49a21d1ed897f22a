//! The proven identity of a peer, in process (R8, T-25): what it fills, when it signs in, and what
//! ends it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{path::Path, sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    clock::{ManualClock, Timestamp},
    decision::{Answer, CredentialState, ReasonCode},
    decision_point::{ClearScope, DecisionPoint, SessionError, SessionWrite, SetSession, SignIn},
    engine::{Engine, Parts, Who},
    keys::{Keyring, MasterKey},
    live::Origin,
    outcome::Outcome,
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        source::{Disk, Document},
    },
    principal::Principal,
    random::SystemRandom,
    session::{Identity, JsonObject, RevocationCause, Tenant},
    store::{Ending, memory::MemoryStore},
    wire::{Attribute, Call, Credential, CredentialSource, Deliverable, Peer, WireKind},
};

const POLICY: &str = "
app: shop
hosts: [ localhost ]
checks:
  from_web: workload.identity == 'spiffe://shop/web'
  by_peer: session.strategy == 'peer'
strategies:
  - peer: { as: session, identities: [ 'spiffe://shop/*' ], scopes: none }
  - bearer: { opaque: true, scopes: from_session }
  - cookie: { scopes: from_session }
operations:
  me:     { http: GET /me }
  home:   { session: optional, http: GET / }
  asked:  { session: none, require: from_web, http: GET /asked }
  mine:   { require: by_peer, http: GET /mine }
  change: { http: POST /change }
  scoped: { scopes: [ books ], http: GET /scoped }
  theme:  { writes: attributes, http: POST /theme }
  login:  { session: optional, writes: sign_in, http: POST /login }
";
const WEB: &str = "spiffe://shop/web";
const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct World {
    engine: Engine,
    clock: Arc<ManualClock>,
    caller: Caller,
}

fn world_of(policy: &str) -> World {
    let document = Document::parse(Path::new("shop.yaml"), policy.to_owned()).unwrap();
    let policy = Policy::compile(&[document], &Disk, &BuiltInSources, &Natives::default());
    let policy = policy.unwrap_or_else(|err| panic!("{err}"));
    let clock = Arc::new(ManualClock::at(START));
    let keys = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let store = Arc::new(MemoryStore::default());
    let parts = Parts::new(policy, store, keys, clock.clone(), Arc::new(SystemRandom));
    let caller = Caller {
        grants: [Grant::Authorize, Grant::SessionSelf].into(),
        sign_in: ["local".to_owned()].into(),
        ..Caller::new("shop")
    };
    World {
        engine: Engine::new(parts),
        clock,
        caller,
    }
}

fn world() -> World {
    world_of(POLICY)
}

fn call(line: &str, identity: &str) -> Call {
    let (method, target) = line.split_once(' ').unwrap();
    Call {
        authority: "localhost".to_owned(),
        peer: Peer {
            identity: identity.to_owned(),
            not_before: Some(START.minus(Duration::from_secs(60))),
            ..Peer::default()
        },
        deliverable: Deliverable {
            cookie: true,
            ..Deliverable::default()
        },
        ..Call::new(WireKind::Http, method, target)
    }
}

fn with(call: Call, source: CredentialSource, value: &str) -> Call {
    let credential = Credential {
        source,
        name: String::new(),
        value: value.to_owned().into(),
    };
    Call {
        credentials: vec![credential],
        ..call
    }
}

impl World {
    async fn ask(&self, call: Call) -> Answer {
        self.engine.authorize(&self.caller, call).await
    }

    async fn revoke(&self, principal: &str) {
        self.revoke_at(principal, self.engine.clock().now()).await;
    }

    /// Makes known only now what was asked for then.
    async fn revoke_at(&self, principal: &str, then: Timestamp) {
        let subject: Principal = principal.parse().unwrap();
        let ending = Ending {
            by: "operator".into(),
            cause: RevocationCause::SubjectRevoked,
            reason: String::new(),
        };
        let store = self.engine.store();
        let tenant = Tenant::default();
        let revoked = store.revoke_subject(&tenant, &subject, None, ending, then);
        revoked.await.unwrap();
    }
}

fn principal(answer: &Answer) -> Option<&str> {
    answer
        .session
        .as_ref()
        .and_then(|session| session.principal())
}

#[tokio::test]
async fn r8_a_peer_is_signed_in_where_nothing_else_is_presented() {
    let world = world();
    let answer = world.ask(call("GET /mine", WEB)).await;
    assert_eq!(answer.outcome(), Outcome::Allow);
    assert_eq!(answer.credential, CredentialState::Valid);
    assert_eq!(principal(&answer), Some("peer/spiffe://shop/web"));
    assert_eq!(answer.workload, Principal::new("peer", WEB).ok());
    assert!(answer.updates.is_empty());
    assert_eq!(
        answer.session.unwrap().origin,
        Origin::Peer { expires_at: None }
    );
    let nobody = world.ask(call("GET /me", "")).await;
    assert_eq!(nobody.reason.code, ReasonCode::SessionRequired);
}

#[tokio::test]
async fn r8_a_bad_credential_does_not_fall_through_to_the_peer() {
    let world = world();
    for (source, value) in [
        (CredentialSource::Authorization, "Bearer nonsense"),
        (CredentialSource::Cookie, "__Host-session=nonsense"),
    ] {
        let answer = world.ask(with(call("GET /me", WEB), source, value)).await;
        assert_eq!(answer.reason.code, ReasonCode::CredentialRejected);
        let answer = world.ask(with(call("GET /", WEB), source, value)).await;
        assert_eq!(answer.outcome(), Outcome::Allow);
        assert_eq!(principal(&answer), None, "R9: it is anonymous");
        assert_eq!(answer.workload, Principal::new("peer", WEB).ok());
    }
    // What no strategy looks for is not presented to us.
    for (source, value) in [
        (CredentialSource::Authorization, "Basic dTpw"),
        (CredentialSource::Cookie, "theme=dark"),
    ] {
        let answer = world.ask(with(call("GET /mine", WEB), source, value)).await;
        assert_eq!(answer.outcome(), Outcome::Allow, "{value}");
    }
}

#[tokio::test]
async fn r8_only_who_is_named_is_signed_in_and_anybody_fills_workload() {
    let world = world();
    for other in [
        "spiffe://shop/eu/web",
        "spiffe://other/web",
        "spiffe://shop.evil/web",
        "web.shop.example",
    ] {
        let answer = world.ask(call("GET /me", other)).await;
        assert_eq!(answer.reason.code, ReasonCode::SessionRequired, "{other}");
        assert_eq!(answer.credential, CredentialState::Absent, "{other}");
        assert_eq!(answer.workload, Principal::new("peer", other).ok());
    }
    let asked = world.ask(call("GET /asked", WEB)).await;
    assert_eq!(asked.outcome(), Outcome::Allow);
    assert!(asked.session.is_none(), "R7: no session is looked for");
}

#[tokio::test]
async fn r8_without_the_strategy_a_peer_is_nobody() {
    let strategy = "  - peer: { as: session, identities: [ 'spiffe://shop/*' ], scopes: none }\n";
    let world = world_of(&POLICY.replace(strategy, ""));
    let answer = world.ask(call("GET /me", WEB)).await;
    assert_eq!(answer.reason.code, ReasonCode::SessionRequired);
    assert_eq!(answer.workload, Principal::new("peer", WEB).ok());
}

#[tokio::test]
async fn r23_peers_have_a_namespace_of_their_own() {
    let world = world_of(&POLICY.replace("as: session,", "as: session, namespace: mesh,"));
    let answer = world.ask(call("GET /me", WEB)).await;
    assert_eq!(principal(&answer), Some("mesh/spiffe://shop/web"));
}

#[tokio::test]
async fn r21_the_scopes_of_peers_are_all_or_none() {
    let none = world().ask(call("GET /scoped", WEB)).await;
    assert_eq!(none.reason.code, ReasonCode::InsufficientScope);
    let all = world_of(&POLICY.replace("scopes: none", "scopes: all"));
    let all = all.ask(call("GET /scoped", WEB)).await;
    assert_eq!(all.outcome(), Outcome::Allow);
}

#[tokio::test]
async fn an_identity_that_is_no_principal_is_refused() {
    let world = world();
    let long = format!("spiffe://shop/{}", "a".repeat(300));
    for identity in [
        &*long,
        "spiffe://shop/we\u{0}b",
        "spiffe://shop/we\u{202e}b",
    ] {
        let answer = world.ask(call("GET /me", identity)).await;
        assert_eq!(answer.reason.code, ReasonCode::CredentialRejected);
        assert_eq!(answer.workload, None);
    }
}

#[tokio::test]
async fn r15_revoking_the_subject_ends_certificates_issued_up_to_then() {
    let world = world();
    let old = || call("GET /me", WEB);
    let answer = world.ask(old()).await;
    assert_eq!(answer.outcome(), Outcome::Allow);
    let handle = answer.call.unwrap();
    world.revoke("peer/spiffe://shop/other").await;
    assert_eq!(world.ask(old()).await.outcome(), Outcome::Allow);
    world.revoke("peer/spiffe://shop/web").await;
    let issued = |not_before| Call {
        peer: Peer {
            not_before,
            ..old().peer
        },
        ..old()
    };
    for refused in [old(), issued(None), issued(Some(START))] {
        let (_, explanation) = world.engine.explain(&refused, Who::Credentials).await;
        let why = explanation.credential.refused;
        assert_eq!(why.as_deref(), Some("subject_revoked"));
        let answer = world.ask(refused).await;
        assert_eq!(answer.reason.code, ReasonCode::CredentialRejected);
    }
    let read = world.engine.session(&world.caller, &handle).await;
    assert_eq!(read.err(), Some(SessionError::Gone));
    world.clock.advance(Duration::from_secs(5));
    let renewed = issued(Some(START.plus(Duration::from_secs(1))));
    assert_eq!(world.ask(renewed).await.outcome(), Outcome::Allow);
    assert_eq!(world.ask(old()).await.outcome(), Outcome::Unauthenticated);
}

fn change(call: bytes::Bytes, change: SessionWrite) -> SetSession {
    SetSession {
        call,
        change,
        etag: String::new(),
        request_id: String::new(),
    }
}

#[tokio::test]
async fn r11_the_session_of_a_peer_is_read_and_neither_changed_nor_cleared() {
    let world = world();
    let answer = world.ask(call("POST /theme", WEB)).await;
    let handle = answer.call.unwrap();
    let read = world.engine.session(&world.caller, &handle).await.unwrap();
    let read = read.unwrap();
    assert_eq!(read.principal(), Some("peer/spiffe://shop/web"));
    assert_eq!(
        (&*read.strategy, &read.origin),
        ("peer", &Origin::Peer { expires_at: None })
    );
    let mut set = JsonObject::new();
    set.insert("theme".into(), "dark".into());
    let remove = Vec::new();
    let patch = change(handle.clone(), SessionWrite::Patch { set, remove });
    let refused = world.engine.set(&world.caller, patch).await.err();
    assert_eq!(refused, Some(SessionError::ReadOnly("peer identity")));
    for scope in [ClearScope::This, ClearScope::Others, ClearScope::All] {
        let refused = world.engine.clear(&world.caller, &handle, scope).await;
        assert_eq!(
            refused.err(),
            Some(SessionError::ReadOnly("peer identity")),
            "an app shuts no workload out"
        );
    }
}

#[tokio::test]
async fn r11_a_sign_in_over_the_connection_of_a_peer_is_a_session_of_its_own() {
    let world = world();
    let handle = world.ask(call("POST /login", WEB)).await.call.unwrap();
    let sign_in = SignIn {
        identity: Identity {
            subject: Principal::local("u1").ok(),
            auth_time: Some(START),
            ..Identity::default()
        },
        attributes: JsonObject::new(),
        ttl: None,
    };
    let request = change(handle, SessionWrite::SignIn(sign_in));
    let changed = world.engine.set(&world.caller, request).await.unwrap();
    let auth_core::wire_update::WireUpdate::SetCookie { header_value, .. } =
        changed.updates.first().unwrap()
    else {
        panic!("{:?}", changed.updates);
    };
    let pair = header_value.split(';').next().unwrap();
    let signed_in = with(call("GET /me", WEB), CredentialSource::Cookie, pair);
    let answer = world.ask(signed_in).await;
    assert_eq!(principal(&answer), Some("local/u1"));
    assert_eq!(answer.workload, Principal::new("peer", WEB).ok());
}

/// C-06: a browser shows its certificate whoever caused the request.
#[tokio::test]
async fn c06_another_site_changes_nothing_by_a_browsers_certificate() {
    let world = world();
    let from = |name: &str, value: &str, call: Call| Call {
        attributes: vec![Attribute {
            name: name.to_owned(),
            value: value.to_owned().into(),
        }],
        ..call
    };
    let post = || call("POST /change", WEB);
    for (asked, expected) in [
        (post(), ReasonCode::Allowed),
        (
            from("sec-fetch-site", "same-origin", post()),
            ReasonCode::Allowed,
        ),
        (
            from("sec-fetch-site", "cross-site", post()),
            ReasonCode::CrossSite,
        ),
        (
            from("origin", "https://evil.example", post()),
            ReasonCode::CrossSite,
        ),
        // Who is not signed in by it is refused as such.
        (
            from(
                "origin",
                "https://evil.example",
                call("POST /change", "spiffe://other/web"),
            ),
            ReasonCode::SessionRequired,
        ),
        // A header is no page's to add.
        (
            from(
                "origin",
                "https://evil.example",
                with(post(), CredentialSource::Authorization, "Bearer nonsense"),
            ),
            ReasonCode::CredentialRejected,
        ),
    ] {
        let what = format!("{:?} {:?}", asked.attributes, asked.peer);
        assert_eq!(world.ask(asked).await.reason.code, expected, "{what}");
    }
}

#[tokio::test]
async fn the_profile_says_whether_a_peer_makes_a_difference() {
    let without = |removed: &[&str]| {
        let lines = POLICY.lines().map(|line| format!("{line}\n"));
        let kept = lines.filter(|line| !removed.iter().any(|part| line.contains(part)));
        kept.collect::<String>()
    };
    for (policy, reads) in [
        (POLICY.to_owned(), true),
        (without(&["- peer:"]), true),
        (without(&["from_web"]), true),
        (without(&["- peer:", "from_web"]), false),
    ] {
        let profile = world_of(&policy).engine.profile(&WireKind::Http).await;
        assert_eq!(profile.peer_identity, reads, "{policy}");
        assert!(!profile.peer_certificate, "no issuer could bind to it");
    }
}

/// A store makes a revocation known a moment after it was asked for, and a call goes on meanwhile.
#[tokio::test]
async fn r17_a_revocation_that_was_late_to_be_known_ends_a_call_that_went_on() {
    for asked_for in [-1, 5] {
        let world = world();
        let answer = world.ask(call("GET /mine", WEB)).await;
        world.clock.advance(Duration::from_secs(10));
        let call = answer.call.unwrap();
        let call = world.engine.continue_call(&world.caller, &call).await;
        let then = Timestamp::from_seconds(START.as_micros() / 1_000_000 + asked_for);
        world.revoke_at("peer/spiffe://shop/web", then).await;
        let call = world
            .engine
            .continue_call(&world.caller, &call.unwrap())
            .await;
        assert_eq!(call, Err(SessionError::Gone), "{asked_for}");
    }
}

/// A call by a certificate that ends then.
fn until(line: &str, not_after: Option<Timestamp>) -> Call {
    let call = call(line, WEB);
    let peer = Peer {
        not_after,
        ..call.peer.clone()
    };
    Call { peer, ..call }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn r8_a_peer_is_refused_once_its_certificate_has_ended_though_it_was_cached() {
    let world = world();
    let end = START.plus(Duration::from_secs(3));
    let asked = || until("GET /mine", Some(end));
    let answer = world.ask(asked()).await;
    assert_eq!(answer.outcome(), Outcome::Allow);
    assert_eq!(answer.session.unwrap().expires_at(), Some(end));
    world.clock.advance(Duration::from_secs(3));
    let (_, explanation) = world.engine.explain(&asked(), Who::Credentials).await;
    let why = explanation.credential.refused;
    assert_eq!(why.as_deref(), Some("certificate_expired"));
    let answer = world.ask(asked()).await;
    assert_eq!(answer.reason.code, ReasonCode::CredentialRejected);
    assert_eq!(answer.credential, CredentialState::Rejected);
    assert!(answer.session.is_none() && answer.call.is_none());
    for later in [None, Some(START.plus(MINUTE))] {
        let answer = world.ask(until("GET /mine", later)).await;
        assert_eq!(answer.outcome(), Outcome::Allow, "{later:?}");
        assert_eq!(answer.session.unwrap().expires_at(), later);
    }
}

#[tokio::test]
async fn r8_a_certificate_that_has_ended_proves_no_workload() {
    let world = world();
    for (end, expected) in [
        (Some(START.plus(Duration::from_micros(1))), true),
        (Some(START), false),
        (None, true),
    ] {
        let answer = world.ask(until("GET /asked", end)).await;
        assert_eq!(answer.outcome() == Outcome::Allow, expected, "{end:?}");
        assert_eq!(answer.workload.is_some(), expected, "{end:?}");
    }
}

#[tokio::test]
async fn r17_what_a_peer_opened_goes_on_until_its_certificate_ends() {
    for (line, end) in [("GET /mine", MINUTE), ("GET /mine", 10 * MINUTE)] {
        let world = world();
        let answer = world.ask(until(line, Some(START.plus(end)))).await;
        let (mut call, mut passed) = (answer.call.unwrap(), Duration::ZERO);
        while passed < end {
            let next = world.engine.continue_call(&world.caller, &call).await;
            call = next.unwrap_or_else(|err| panic!("{err} after {passed:?}"));
            world.clock.advance(MINUTE / 2);
            passed += MINUTE / 2;
        }
        let next = world.engine.continue_call(&world.caller, &call).await;
        assert_eq!(next, Err(SessionError::CallInvalid), "after {end:?}");
    }
}

#[tokio::test]
async fn r11_what_an_app_reads_of_a_peer_ends_with_its_certificate() {
    let world = world();
    let end = START.plus(MINUTE);
    let call = world.ask(until("GET /mine", Some(end))).await.call.unwrap();
    let read = world.engine.session(&world.caller, &call).await.unwrap();
    assert_eq!(read.unwrap().expires_at(), Some(end));
    world.clock.advance(MINUTE);
    let read = world.engine.session(&world.caller, &call).await;
    assert_eq!(read.err(), Some(SessionError::CallInvalid));
}
