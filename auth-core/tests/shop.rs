//! The book shop of the design, decided in process: sign in, allow, deny with a reason, revoke,
//! refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{path::Path, sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    clock::{Clock, ManualClock, Timestamp},
    decision::{Answer, CredentialState, ReasonCode},
    decision_point::{
        ClearScope, DecisionPoint, SessionChange, SessionError, SessionWrite, SetSession, SignIn,
    },
    engine::{Engine, Parts},
    grammar::TokenText,
    keys::{Keyring, MasterKey},
    outcome::Outcome,
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        source::{Disk, Document},
    },
    principal::Principal,
    random::SystemRandom,
    session::{Identity, JsonObject, SessionId, SessionToken, Tenant, TokenKind},
    store::{NewSession, memory::MemoryStore},
    wire::{Attribute, Call, Credential, CredentialSource, Deliverable, SessionView, WireKind},
    wire_update::WireUpdate,
};

const POLICY: &str = r#"
app: shop
hosts: [ books.example, localhost ]
claims: { role: string }
attributes: { theme: string }
checks:
  is_admin: session.claims.role == "admin"
  is_member: has(session.subject)
  is_own: data.book_id == session.subject
operations:
  login:  { session: optional, writes: sign_in, http: POST /login }
  logout: { http: POST /logout }
  get_profile: { http: GET /me, websocket: profile.get }
  set_theme: { session: optional, writes: attributes, http: POST /theme }
  list_books: { session: optional, http: GET /books }
  delete_book:
    require_any:
      admin: is_admin
      owner: [ is_member, is_own ]
    data: { book_id: { type: string, mcp: arguments.book_id } }
    http: DELETE /books/{book_id}
    mcp: delete_book
rules:
  - match: { prefix: /admin }
    require: is_admin
"#;

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Shop {
    engine: Engine,
    clock: Arc<ManualClock>,
    caller: Caller,
}

fn shop() -> Shop {
    shop_of(POLICY.into())
}

fn shop_of(policy: String) -> Shop {
    let document = Document::parse(Path::new("shop.yaml"), policy).unwrap();
    let policy = Policy::compile(&[document], &Disk, &BuiltInSources, &Natives::default()).unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let keys = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let store = Arc::new(MemoryStore::default());
    let parts = Parts::new(policy, store, keys, clock.clone(), Arc::new(SystemRandom));
    let caller = Caller {
        grants: [Grant::Authorize, Grant::SessionSelf].into(),
        sign_in: ["local".to_owned()].into(),
        claims: Some(["role".to_owned()].into()),
        ..Caller::new("shop")
    };
    Shop {
        engine: Engine::new(parts),
        clock,
        caller,
    }
}

fn http(method: &str, target: &str) -> Call {
    Call {
        authority: "localhost".into(),
        deliverable: Deliverable {
            cookie: true,
            ..Deliverable::default()
        },
        view: SessionView::Full,
        ..Call::new(WireKind::Http, method, target)
    }
}

/// As a page of the shop sends it.
fn with_cookie(mut call: Call, cookie: &str) -> Call {
    call.attributes.push(Attribute {
        name: "sec-fetch-site".to_owned(),
        value: "same-origin".into(),
    });
    call.credentials.push(Credential {
        source: CredentialSource::Cookie,
        name: String::new(),
        value: cookie.to_owned().into(),
    });
    call
}

impl Shop {
    async fn authorize(&self, call: Call) -> Answer {
        self.engine.authorize(&self.caller, call).await
    }

    async fn set(
        &self,
        answer: &Answer,
        change: SessionWrite,
    ) -> Result<SessionChange, SessionError> {
        let request = SetSession {
            call: answer.call.clone().unwrap(),
            change,
            etag: String::new(),
            request_id: String::new(),
        };
        self.engine.set(&self.caller, request).await
    }

    /// Signs a reader in and answers with the cookie.
    async fn sign_in(&self, subject: &str, role: &str) -> String {
        let answer = self.authorize(http("POST", "/login")).await;
        let changed = self
            .set(&answer, self.sign_in_of(subject, role))
            .await
            .unwrap();
        cookie_of(&changed.updates)
    }

    fn sign_in_of(&self, subject: &str, role: &str) -> SessionWrite {
        let mut claims = JsonObject::new();
        claims.insert("role".into(), role.into());
        let identity = Identity {
            subject: Some(Principal::local(subject).unwrap()),
            claims,
            auth_time: Some(self.clock.now()),
            ..Identity::default()
        };
        SessionWrite::SignIn(SignIn {
            identity,
            attributes: JsonObject::new(),
            ttl: None,
        })
    }
}

/// The `name=value` of the one cookie that is set.
fn cookie_of(updates: &[WireUpdate]) -> String {
    let [WireUpdate::SetCookie { header_value, .. }] = updates else {
        panic!("{updates:?}")
    };
    header_value.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_reader_signs_in_and_is_known_then() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let answer = shop
        .authorize(with_cookie(http("GET", "/me"), &cookie))
        .await;
    assert_eq!(answer.outcome(), Outcome::Allow);
    assert_eq!(answer.session.unwrap().principal(), Some("local/u1"));
}

#[tokio::test]
async fn a_refusal_names_the_requirement_and_its_checks() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let answer = shop
        .authorize(with_cookie(http("DELETE", "/books/b1"), &cookie))
        .await;
    assert_eq!(answer.outcome(), Outcome::Deny);
    assert_eq!(
        answer.reason.requirement.as_deref(),
        Some("operation delete_book")
    );
    let checks: Vec<_> = answer.reason.checks.iter().map(|check| &**check).collect();
    assert_eq!(checks, ["is_admin", "is_own"]);
    assert!(answer.call.is_none(), "only an allow carries a call");
}

#[tokio::test]
async fn any_key_of_a_requirement_is_enough() {
    let shop = shop();
    let admin = shop.sign_in("u1", "admin").await;
    let owner = shop.sign_in("b2", "user").await;
    for (cookie, target, outcome) in [
        (&admin, "/books/b1", Outcome::Allow),
        (&owner, "/books/b2", Outcome::Allow),
        (&owner, "/books/b1", Outcome::Deny),
    ] {
        let answer = shop
            .authorize(with_cookie(http("DELETE", target), cookie))
            .await;
        assert_eq!(answer.outcome(), outcome, "{target}");
    }
}

#[tokio::test]
async fn s_05_a_session_that_was_cleared_is_refused_at_once() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let answer = shop
        .authorize(with_cookie(http("POST", "/logout"), &cookie))
        .await;
    let call = answer.call.unwrap();
    let cleared = shop
        .engine
        .clear(&shop.caller, &call, ClearScope::This)
        .await
        .unwrap();
    assert_eq!(cleared.ended, 1);
    assert!(matches!(
        cleared.updates.as_slice(),
        [WireUpdate::ExpireCookie { .. }]
    ));
    let answer = shop
        .authorize(with_cookie(http("GET", "/me"), &cookie))
        .await;
    assert_eq!(answer.reason.code, ReasonCode::CredentialRejected);
}

#[tokio::test]
async fn r7_nobody_and_nothing_known_gets_in() {
    let shop = shop();
    for (call, code) in [
        (http("GET", "/me"), ReasonCode::SessionRequired),
        (http("GET", "/nowhere"), ReasonCode::UnknownOperation),
        (http("PUT", "/me"), ReasonCode::UnknownOperation),
        (http("GET", "/me/"), ReasonCode::UnknownOperation),
        (http("GET", "//me"), ReasonCode::TargetInvalid),
        (
            Call {
                authority: "evil.example".into(),
                ..http("GET", "/me")
            },
            ReasonCode::UnknownOperation,
        ),
        (
            with_cookie(http("GET", "/me"), "__Host-session=x"),
            ReasonCode::CredentialRejected,
        ),
    ] {
        let target = call.target.clone();
        assert_eq!(shop.authorize(call).await.reason.code, code, "{target}");
    }
}

#[tokio::test]
async fn r13_a_new_sign_in_kills_the_old_token() {
    let shop = shop();
    let old = shop.sign_in("u1", "user").await;
    let answer = shop
        .authorize(with_cookie(http("POST", "/login"), &old))
        .await;
    let changed = shop
        .set(&answer, shop.sign_in_of("u1", "admin"))
        .await
        .unwrap();
    let new = cookie_of(&changed.updates);
    assert_ne!(old, new);
    let answer = shop.authorize(with_cookie(http("GET", "/me"), &old)).await;
    assert_eq!(answer.credential, CredentialState::Rejected);
    let answer = shop.authorize(with_cookie(http("GET", "/me"), &new)).await;
    assert_eq!(answer.outcome(), Outcome::Allow);
}

#[tokio::test]
async fn r14_idle_and_lifetime_both_end_a_session() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let get_me = || shop.authorize(with_cookie(http("GET", "/me"), &cookie));
    for _ in 0..24 {
        shop.clock.advance(Duration::from_secs(3500));
        assert_eq!(get_me().await.outcome(), Outcome::Allow);
    }
    // 84,000 s have passed of the 86,400 s of its life.
    shop.clock.advance(Duration::from_secs(2399));
    assert_eq!(get_me().await.outcome(), Outcome::Allow);
    shop.clock.advance(Duration::from_secs(1));
    assert_eq!(get_me().await.outcome(), Outcome::Unauthenticated);
}

#[tokio::test]
async fn r13_a_due_renewal_hands_a_new_cookie_out_and_both_work_for_a_while() {
    let shop = shop();
    let old = shop.sign_in("u1", "user").await;
    let me = |cookie: &str| shop.authorize(with_cookie(http("GET", "/me"), cookie));
    let mut renewed = Vec::new();
    for _ in 0..7 {
        shop.clock.advance(Duration::from_secs(3300));
        renewed = me(&old).await.updates;
    }
    let new = cookie_of(&renewed);
    assert_eq!(
        me(&old).await.outcome(),
        Outcome::Allow,
        "the successor was not used yet"
    );
    assert_eq!(me(&new).await.outcome(), Outcome::Allow);
    assert_eq!(
        me(&old).await.outcome(),
        Outcome::Allow,
        "within the overlap"
    );
    shop.clock.advance(Duration::from_secs(11));
    let answer = me(&old).await;
    assert_eq!(answer.outcome(), Outcome::Unauthenticated);
    assert!(
        answer.updates.is_empty(),
        "a superseded cookie is not removed (R9)"
    );
    assert_eq!(me(&new).await.outcome(), Outcome::Allow);
}

#[tokio::test]
async fn r9_on_an_optional_operation_a_dead_cookie_is_anonymous_and_removed() {
    let shop = shop();
    let answer = shop
        .authorize(with_cookie(http("GET", "/books"), "__Host-session=dead"))
        .await;
    assert_eq!(answer.outcome(), Outcome::Allow);
    assert!(answer.session.is_none());
    assert!(matches!(
        answer.updates.as_slice(),
        [WireUpdate::ExpireCookie { .. }]
    ));
}

/// Else that could win over the cookie that the app is about to set.
#[tokio::test]
async fn r9_a_dead_cookie_is_not_removed_where_a_session_may_begin() {
    let shop = shop();
    for path in ["/login", "/theme"] {
        let call = with_cookie(http("POST", path), "__Host-session=dead");
        let answer = shop.authorize(call).await;
        assert_eq!(answer.outcome(), Outcome::Allow, "{path}");
        assert!(answer.updates.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn r11_attributes_are_patched_and_an_anonymous_session_comes_of_it() {
    let shop = shop();
    let answer = shop.authorize(http("POST", "/theme")).await;
    let mut set = JsonObject::new();
    set.insert("theme".into(), "dark".into());
    let patch = SessionWrite::Patch {
        set,
        remove: Vec::new(),
    };
    let changed = shop.set(&answer, patch).await.unwrap();
    let cookie = cookie_of(&changed.updates);
    let answer = shop
        .authorize(with_cookie(http("POST", "/theme"), &cookie))
        .await;
    assert_eq!(answer.session.unwrap().attributes["theme"], "dark");
    let answer = shop
        .authorize(with_cookie(http("GET", "/me"), &cookie))
        .await;
    assert_eq!(
        answer.reason.code,
        ReasonCode::SessionRequired,
        "nobody is signed in"
    );
}

#[tokio::test]
async fn r26_a_call_is_good_for_its_caller_and_what_its_operation_writes() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let answer = shop
        .authorize(with_cookie(http("GET", "/me"), &cookie))
        .await;
    let refused = shop.set(&answer, shop.sign_in_of("u1", "admin")).await;
    assert!(
        matches!(refused, Err(SessionError::WriteNotAllowed { .. })),
        "{refused:?}"
    );
    let other = Caller::new("other");
    let call = answer.call.unwrap();
    assert_eq!(
        shop.engine.session(&other, &call).await,
        Err(SessionError::CallInvalid)
    );
    assert!(
        shop.engine
            .session(&shop.caller, &call)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn r17_a_call_goes_on_for_as_long_as_its_session_lives() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let asked = shop.authorize(with_cookie(http("GET", "/me"), &cookie));
    let mut call = asked.await.call.unwrap();
    // Longer than any one handle is good.
    for minute in 0..20 {
        shop.clock.advance(Duration::from_secs(60));
        let continued = shop.engine.continue_call(&shop.caller, &call).await;
        call = continued.unwrap_or_else(|error| panic!("minute {minute}: {error}"));
    }
    let stranger = shop
        .engine
        .continue_call(&Caller::new("other"), &call)
        .await;
    assert_eq!(stranger, Err(SessionError::CallInvalid));
    shop.clock.advance(Duration::from_secs(300));
    let late = shop.engine.continue_call(&shop.caller, &call).await;
    assert_eq!(late, Err(SessionError::CallInvalid), "it was not renewed");
}

#[tokio::test]
async fn r17_a_call_does_not_go_on_once_its_session_has_ended() {
    for (how, scope) in [("this", ClearScope::This), ("all", ClearScope::All)] {
        let shop = shop();
        let cookie = shop.sign_in("u1", "user").await;
        let open = shop.authorize(with_cookie(http("GET", "/me"), &cookie));
        let open = open.await.call.unwrap();
        let open = shop.engine.continue_call(&shop.caller, &open).await;
        let logout = shop.authorize(with_cookie(http("POST", "/logout"), &cookie));
        let logout = logout.await.call.unwrap();
        let cleared = shop.engine.clear(&shop.caller, &logout, scope).await;
        assert!(cleared.is_ok());
        let open = shop
            .engine
            .continue_call(&shop.caller, &open.unwrap())
            .await;
        assert_eq!(open, Err(SessionError::Gone), "{how}");
    }
}

/// It is renewed without end, so that it must not do what a handle may do for five minutes only.
#[tokio::test]
async fn r26_a_call_that_goes_on_reads_and_writes_nothing() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let asked = shop.authorize(with_cookie(http("POST", "/theme"), &cookie));
    let call = asked.await.call.unwrap();
    let continued = shop.engine.continue_call(&shop.caller, &call).await;
    let continued = continued.unwrap();
    let read = shop.engine.session(&shop.caller, &continued).await;
    assert_eq!(read.err(), Some(SessionError::CallInvalid));
    let patch = SessionWrite::Patch {
        set: JsonObject::from_iter([("theme".to_owned(), "dark".into())]),
        remove: vec![],
    };
    let request = SetSession {
        call: continued.clone(),
        change: patch,
        etag: String::new(),
        request_id: String::new(),
    };
    let written = shop.engine.set(&shop.caller, request).await;
    assert_eq!(written.err(), Some(SessionError::CallInvalid));
    let cleared = shop
        .engine
        .clear(&shop.caller, &continued, ClearScope::This)
        .await;
    assert_eq!(cleared.err(), Some(SessionError::CallInvalid));
}

#[tokio::test]
async fn s_21_who_guesses_is_slowed_down_and_cached_sessions_go_on() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let from = |mut call: Call| {
        call.peer.address = "192.0.2.7".into();
        call
    };
    let me = || from(with_cookie(http("GET", "/me"), &cookie));
    assert_eq!(shop.authorize(me()).await.outcome(), Outcome::Allow);
    for kind in ["bearer", "cookie"] {
        for guess in 0..400 {
            let call = match kind {
                "bearer" => with_bearer(http("GET", "/me"), &format!("guess-{guess}")),
                _ => with_cookie(http("GET", "/me"), &format!("__Host-session=guess{guess}")),
            };
            shop.authorize(from(call)).await;
        }
    }
    let guess = from(with_bearer(http("GET", "/me"), "guess"));
    assert_eq!(shop.authorize(guess).await.outcome(), Outcome::Limited);
    assert_eq!(
        shop.authorize(me()).await.outcome(),
        Outcome::Allow,
        "its session is cached"
    );
    shop.clock.advance(Duration::from_secs(61));
    let guess = from(with_bearer(http("GET", "/me"), "guess"));
    assert_eq!(
        shop.authorize(guess).await.outcome(),
        Outcome::Unauthenticated
    );
}

fn with_bearer(mut call: Call, token: &str) -> Call {
    call.credentials.push(Credential {
        source: CredentialSource::Authorization,
        name: String::new(),
        value: format!("Bearer {token}").into(),
    });
    call
}

#[tokio::test]
async fn r15_a_sign_in_by_the_call_of_a_revoked_session_makes_none() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let login = shop
        .authorize(with_cookie(http("POST", "/login"), &cookie))
        .await;
    let logout = shop
        .authorize(with_cookie(http("POST", "/logout"), &cookie))
        .await
        .call
        .unwrap();
    shop.engine
        .clear(&shop.caller, &logout, ClearScope::This)
        .await
        .unwrap();
    let refused = shop.set(&login, shop.sign_in_of("u1", "user")).await;
    assert_eq!(refused.err(), Some(SessionError::Gone));
}

#[tokio::test]
async fn two_anonymous_visitors_with_one_request_id_get_two_sessions() {
    let shop = shop();
    let mut cookies = Vec::new();
    for _ in 0..2 {
        let answer = shop.authorize(http("POST", "/theme")).await;
        let request = SetSession {
            call: answer.call.unwrap(),
            change: SessionWrite::Patch {
                set: JsonObject::new(),
                remove: Vec::new(),
            },
            etag: String::new(),
            request_id: "req-1".into(),
        };
        let changed = shop.engine.set(&shop.caller, request).await.unwrap();
        cookies.push(cookie_of(&changed.updates));
    }
    for cookie in &cookies {
        let answer = shop
            .authorize(with_cookie(http("POST", "/theme"), cookie))
            .await;
        assert_eq!(answer.credential, CredentialState::Valid);
    }
}

#[tokio::test]
async fn a_retried_sign_in_over_a_session_finds_the_first_try() {
    let shop = shop();
    let cookie = shop.sign_in("u1", "user").await;
    let login = shop
        .authorize(with_cookie(http("POST", "/login"), &cookie))
        .await;
    let mut made = Vec::new();
    for _ in 0..2 {
        let request = SetSession {
            call: login.call.clone().unwrap(),
            change: shop.sign_in_of("u1", "admin"),
            etag: String::new(),
            request_id: "req-1".into(),
        };
        let changed = shop.engine.set(&shop.caller, request).await.unwrap();
        made.push(changed.session.id());
    }
    assert_eq!(made[0], made[1]);
}

#[tokio::test]
async fn r12_a_token_is_a_credential_of_the_strategy_that_issued_it_only() {
    let shop = shop_of(format!(
        "strategies:\n  - bearer: {{ opaque: true }}\n  - cookie: {{ name: __Host-session }}\n  \
         - cookie: {{ name: __Host-staff }}\n{POLICY}"
    ));
    let cookie = shop.sign_in("u1", "user").await;
    let token = cookie.strip_prefix("__Host-session=").unwrap();
    let me = || http("GET", "/me");
    let staff = format!("__Host-staff={token}");
    for (call, expected) in [
        (with_cookie(me(), &cookie), Outcome::Allow),
        (with_cookie(me(), &staff), Outcome::Unauthenticated),
        (with_bearer(me(), token), Outcome::Unauthenticated),
        (with_cookie(me(), &cookie), Outcome::Allow),
    ] {
        assert_eq!(shop.authorize(call).await.outcome(), expected);
    }
}

#[tokio::test]
async fn a_session_that_was_made_for_any_cookie_is_opened_by_any() {
    let shop = shop_of(format!(
        "strategies:\n  - cookie: {{ name: __Host-session }}\n  - cookie: {{ name: __Host-staff \
         }}\n{POLICY}"
    ));
    let token = SessionToken::generate(&SystemRandom, [0, 0]).unwrap();
    let new = NewSession {
        id: SessionId::generate(&SystemRandom, START).unwrap(),
        tenant: Tenant::default(),
        token: token.hash(),
        kind: TokenKind::Cookie,
        strategy: None,
        identity: Identity {
            subject: Some(Principal::local("u1").unwrap()),
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
    };
    shop.engine.store().create(new, START).await.unwrap();
    let text = TokenText::new(token.as_bytes());
    for name in ["__Host-session", "__Host-staff"] {
        let cookie = format!("{name}={}", text.as_str());
        let answer = shop
            .authorize(with_cookie(http("GET", "/me"), &cookie))
            .await;
        assert_eq!(answer.outcome(), Outcome::Allow);
    }
}
