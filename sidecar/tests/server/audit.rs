//! Which security events each act leaves in the audit log (A-07). The names are those of the OWASP
//! Logging Vocabulary, and of its form where it has none.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use auth_core::{
    clock::ManualClock,
    session::{Identity, JsonObject, SessionId, Tenant, TokenHash, TokenKind},
    store::{NewSession, SessionStore as _, memory::MemoryStore},
};
use proto::{
    admin::v1::{GetStatusRequest, RevokeApiKeyRequest},
    v1::{self, ClearScope},
};
use serde_json::Value;
use sidecar::{measured::Measured, sweep::sweep, telemetry::Metrics};
use tracing_subscriber::fmt::MakeWriter;

use crate::{harness::*, visitors::*};

/// Hears what is written to the audit log on this thread, which is all that its sidecar writes.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<u8>>>);

impl io::Write for Ear {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Ear {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Ear {
    fn new() -> (Self, tracing::subscriber::DefaultGuard) {
        let ear = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("audit=info")
            .with_writer(ear.clone())
            .json()
            .flatten_event(true)
            .finish();
        (ear, tracing::subscriber::set_default(subscriber))
    }

    /// The events since it was last asked, each with what it says of its kind.
    fn heard(&self) -> Vec<String> {
        self.written().lines().map(shown).collect()
    }

    /// The lines since it was last asked.
    fn written(&self) -> String {
        let written = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(written).unwrap()
    }
}

fn shown(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap();
    let name = event["event"].as_str().unwrap();
    let kinds = ["cause", "limit", "why", "act"];
    let kind = kinds.iter().find_map(|field| event[field].as_str());
    kind.map_or_else(|| name.to_owned(), |kind| format!("{name} {kind}"))
}

/// A shop, and what it writes from now on.
async fn heard_shop(limits: &str) -> (Shop, Ear, tracing::subscriber::DefaultGuard) {
    let (ear, guard) = Ear::new();
    let shop = shop("embedded: { path: ./data }", limits).await;
    // A first answer comes after all that a start writes.
    shop.list().await;
    assert_eq!(ear.heard(), ["sys_startup"]);
    (shop, ear, guard)
}

async fn clear(shop: &Shop, cookie: &str, scope: ClearScope) {
    let request = v1::ClearSessionRequest {
        call: shop.call("POST", "/logout", Some(cookie)).await.into(),
        scope: scope.into(),
    };
    shop.sessions.clone().clear_session(request).await.unwrap();
}

#[tokio::test]
async fn a07_sign_in_and_log_out() {
    let (shop, ear, _guard) = heard_shop("").await;
    let anonymous = shop.anonymous().await;
    assert_eq!(ear.heard(), ["session_created"]);
    let cookie = shop.try_sign_in("u1", "user", Some(&anonymous)).await;
    let cookie = cookie.unwrap();
    let signed_in = [
        "authn_login_success",
        "session_created",
        "session_revoked replaced",
    ];
    assert_eq!(ear.heard(), signed_in);
    assert!(shop.knows(&cookie).await);
    assert!(
        ear.heard().is_empty(),
        "what is allowed is no security event"
    );
    assert!(!shop.knows(&anonymous).await);
    assert_eq!(ear.heard(), ["authn_token_reuse revoked"]);
    shop.sign_in("u1").await;
    assert_eq!(ear.heard(), &signed_in[..2]);
    clear(&shop, &cookie, ClearScope::Others).await;
    assert_eq!(ear.heard(), ["session_revoked logout_elsewhere"]);
    clear(&shop, &cookie, ClearScope::This).await;
    assert_eq!(ear.heard(), ["session_revoked logout"]);
    assert!(!shop.knows(&cookie).await);
    assert_eq!(ear.heard(), ["authn_token_reuse revoked"]);
}

#[tokio::test]
async fn a07_renewal_and_reuse_of_what_was_renewed() {
    let (shop, ear, _guard) = heard_shop("renew: 30m").await;
    let old = shop.sign_in("u1").await;
    shop.pass(30 * 60);
    ear.heard();
    let answer = shop.ask(asked("GET", "/me", Some(("cookie", &old)))).await;
    let new = handed(&answer.updates).unwrap();
    assert_eq!(ear.heard(), ["session_renewed"]);
    assert!(shop.knows(&new).await && shop.knows(&old).await);
    assert!(ear.heard().is_empty(), "both are good for a while");
    shop.pass(11);
    assert!(!shop.knows(&old).await);
    assert_eq!(ear.heard(), ["authn_token_reuse superseded"]);
}

#[tokio::test]
async fn a07_use_after_expiry() {
    let (shop, ear, _guard) = heard_shop("lifetime: 2h, idle: 1h, renew: 0s").await;
    let unused = shop.sign_in("u1").await;
    let used = shop.sign_in("u1").await;
    shop.pass(3599);
    assert!(shop.knows(&used).await);
    shop.pass(1);
    ear.heard();
    assert!(!shop.knows(&unused).await);
    assert_eq!(ear.heard(), ["session_use_after_expire idle"]);
    shop.pass(3000);
    assert!(shop.knows(&used).await);
    shop.pass(600);
    assert!(!shop.knows(&used).await);
    assert_eq!(ear.heard(), ["session_use_after_expire lifetime"]);
}

#[tokio::test]
async fn a07_expiry() {
    let (ear, _guard) = Ear::new();
    let clock = ManualClock::at(START);
    let metrics = Arc::new(Metrics::new());
    let store = Measured::new(Arc::new(MemoryStore::new()), metrics.clone());
    for (number, idle) in [(1, 30), (2, 30), (3, 60)] {
        store.create(draft(number, idle), START).await.unwrap();
    }
    assert_eq!(ear.heard(), ["session_created"; 3]);
    for (passed, expected) in [
        (29, &[][..]),
        (1, &["session_expired idle"; 2]),
        (29, &[]),
        (1, &["session_expired lifetime"]),
        (1, &[]),
    ] {
        clock.advance(Duration::from_secs(passed));
        sweep(&store, &clock).await;
        assert_eq!(ear.heard(), expected, "{passed} s later");
    }
    let text = metrics.render();
    for counted in [r#"{cause="idle"} 2"#, r#"{cause="lifetime"} 1"#] {
        let counted = format!("sidegate_sessions_ended_total{counted}\n");
        assert!(text.contains(&counted), "{counted} in {text}");
    }
}

#[tokio::test]
async fn a07_an_expired_session_is_named() {
    let (ear, _guard) = Ear::new();
    let clock = ManualClock::at(START);
    let store = Measured::new(Arc::new(MemoryStore::new()), Arc::new(Metrics::new()));
    let mut new = draft(1, 30);
    new.identity.subject = Some("user/u1".parse().unwrap());
    let id = new.id;
    store.create(new, START).await.unwrap();
    ear.heard();
    clock.advance(Duration::from_secs(30));
    sweep(&store, &clock).await;
    let event: Value = serde_json::from_str(&ear.written()).unwrap();
    for (field, expected) in [
        ("event", "session_expired"),
        ("tenant", "default"),
        ("session", &id.to_string()),
        ("principal", "user/u1"),
        ("cause", "idle"),
    ] {
        assert_eq!(event[field], expected, "{field}");
    }
}

#[tokio::test]
async fn a07_revocation() {
    let (shop, ear, _guard) = heard_shop("").await;
    let (name, _) = shop.bearer("u1").await.unwrap();
    shop.bearer("u1").await.unwrap();
    shop.bearer("u2").await.unwrap();
    ear.heard();
    for expected in [&["session_revoked revoked"][..], &[]] {
        let request = v1::RevokeSessionRequest {
            name: name.clone(),
            ..v1::RevokeSessionRequest::default()
        };
        shop.store.clone().revoke_session(request).await.unwrap();
        assert_eq!(ear.heard(), expected, "an end is noted once");
    }
    shop.revoke_subject("u1").await;
    assert_eq!(ear.heard(), ["session_revoked subject_revoked"]);
    let request = v1::RevokeAllSessionsRequest {
        parent: "tenants/default".into(),
        expected_count: Some(1),
        ..v1::RevokeAllSessionsRequest::default()
    };
    let revoked = shop.store.clone().revoke_all_sessions(request).await;
    revoked.unwrap();
    assert_eq!(ear.heard(), ["session_revoked all_revoked"]);
}

#[tokio::test]
async fn a07_refused_credentials_and_refused_rights() {
    let (shop, ear, _guard) = heard_shop("").await;
    let cookie = shop.sign_in("u1").await;
    let (name, _) = cookie.split_once('=').unwrap();
    let unknown = format!("{name}=sg1_{}", "A".repeat(46));
    let malformed = format!("{name}=x");
    ear.heard();
    for (path, presented, expected) in [
        ("/me", Some(&cookie), &[][..]),
        ("/me", None, &[]),
        ("/secret", Some(&cookie), &["authz_fail"]),
        ("/nowhere", Some(&cookie), &["authz_fail"]),
        ("/me", Some(&malformed), &["authn_login_fail malformed"]),
        ("/me", Some(&unknown), &["authn_login_fail unknown"]),
    ] {
        let credential = presented.map(|cookie| ("cookie", cookie.as_str()));
        shop.ask(asked("GET", path, credential)).await;
        assert_eq!(ear.heard(), expected, "{path} {presented:?}");
    }
}

#[tokio::test]
async fn a07_limits() {
    let (shop, ear, _guard) = heard_shop("max_per_subject: 1, beyond_limit: refuse").await;
    shop.sign_in("u1").await;
    ear.heard();
    assert!(shop.try_sign_in("u1", "user", None).await.is_err());
    let refused = ["excess_rate_limit_exceeded too_many_sessions"];
    assert_eq!(ear.heard(), refused);
    let mut request = asked("GET", "/me", Some(("authorization", "Bearer guess")));
    request.wire.as_mut().unwrap().peer = Some(v1::Peer {
        address: "192.0.2.7".into(),
        ..v1::Peer::default()
    });
    for _ in 0..auth_core::throttle::MAX_REFUSALS {
        shop.ask(request.clone()).await;
    }
    ear.heard();
    shop.ask(request).await;
    let limited = [
        "authn_login_fail throttled",
        "excess_rate_limit_exceeded throttled",
    ];
    assert_eq!(ear.heard(), limited);
}

#[tokio::test]
async fn a07_a_session_that_makes_room() {
    let (shop, ear, _guard) = heard_shop("max_per_subject: 1, beyond_limit: evict_oldest").await;
    shop.sign_in("u1").await;
    ear.heard();
    shop.sign_in("u1").await;
    let events = [
        "authn_login_success",
        "session_created",
        "session_revoked evicted",
    ];
    assert_eq!(ear.heard(), events);
}

#[tokio::test]
async fn a07_keys_and_administration() {
    let (shop, ear, _guard) = heard_shop("").await;
    let name = shop.api_key("ci").await.api_key.unwrap().name;
    let made = ["authz_admin create_api_key", "authn_token_created"];
    assert_eq!(ear.heard(), made);
    let mut admin = shop.sidecar.admin_client().await;
    let request = RevokeApiKeyRequest {
        name,
        ..RevokeApiKeyRequest::default()
    };
    admin.revoke_api_key(request).await.unwrap();
    let revoked = ["authz_admin revoke_api_key", "authn_token_revoked"];
    assert_eq!(ear.heard(), revoked);
    admin.get_status(GetStatusRequest {}).await.unwrap();
    assert_eq!(ear.heard(), ["authz_admin get_status"]);
}

#[tokio::test]
async fn a07_refused_callers() {
    let (shop, ear, _guard) = heard_shop("").await;
    let channel = tcp_channel(&shop.sidecar.tcp()).await;
    for (token, expected) in [
        (None, "authn_login_fail unknown_caller"),
        (Some("nobody"), "authn_login_fail unknown_caller"),
        (Some(SHOP_TOKEN), "authz_fail GRANT_MISSING"),
    ] {
        let request = with_token(v1::ListSessionsRequest::default(), token);
        let listed = store_client(channel.clone()).list_sessions(request).await;
        assert!(listed.is_err());
        assert_eq!(ear.heard(), [expected], "{token:?}");
    }
}

/// An anonymous session that lasts a minute, or so many seconds unused.
fn draft(number: u8, idle: u64) -> NewSession {
    NewSession {
        id: SessionId::from_bytes([number; 16]),
        tenant: Tenant::default(),
        token: TokenHash::of(&[number]),
        kind: TokenKind::Cookie,
        strategy: None,
        identity: Identity::default(),
        attributes: JsonObject::new(),
        expires_at: START.plus(Duration::from_secs(60)),
        idle: Duration::from_secs(idle),
        replaces: None,
        replaces_version: None,
        limit: None,
        request: None,
        by: "shop".into(),
    }
}
