use std::sync::Arc;

use auth_core::{
    clock::Timestamp,
    decision::{CredentialState, Reason, ReasonCode},
    live::{Origin, Session},
    scope::ScopeMatching,
    session::{Identity, JsonObject},
    wire_update::WireUpdate,
};
use serde_json::{Value, json};

use super::*;

const ALWAYS: [&str; 5] = [
    "sidegate-subject",
    "sidegate-session",
    "sidegate-operation",
    "sidegate-decision-id",
    "sidegate-call",
];

fn answered(code: ReasonCode) -> Answer {
    Answer {
        reason: Reason {
            requirement: Some("operation delete_book".into()),
            checks: vec!["is_owner".into()],
            ..Reason::with_detail(code, "internal words")
        },
        operation: Some("delete_book".into()),
        session: None,
        workload: None,
        updates: Vec::new(),
        call: Some("sealed".into()),
        decision_id: "d1".into(),
        policy_version: Arc::from("p1"),
        credential: CredentialState::Absent,
        challenges: Vec::new(),
    }
}

fn session_of(principal: &str) -> Session {
    let identity = Identity {
        subject: Some(principal.parse().unwrap()),
        ..Identity::default()
    };
    let matching = ScopeMatching::Hierarchical;
    Session::new(
        Origin::Static,
        "bearer".into(),
        identity,
        JsonObject::new(),
        matching,
    )
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[test]
fn h05_every_header_is_in_every_allow() {
    for session in [None, Some(Arc::new(session_of("u1")))] {
        let response = answer(Answer {
            session,
            call: None,
            operation: None,
            ..answered(ReasonCode::Allowed)
        });
        assert_eq!(response.status(), 200);
        for name in ALWAYS {
            assert!(response.headers().contains_key(name), "{name}");
        }
    }
}

#[test]
fn a_refusal_has_the_row_of_the_table_and_no_internals() {
    for code in ReasonCode::ALL.into_iter().skip(1) {
        let outcome = Outcome::from(code);
        let response = answer(answered(code));
        assert_eq!(response.status().as_u16(), outcome.http_status());
        assert_eq!(header(&response, "sidegate-outcome"), outcome.as_str());
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(
            header(&response, "content-type"),
            "application/problem+json"
        );
        for name in ALWAYS {
            assert!(!response.headers().contains_key(name), "{code:?} {name}");
        }
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_says_outcome_and_reason_only() {
    let response = answer(answered(ReasonCode::RequirementFailed));
    let bytes = axum::body::to_bytes(response.into_body(), 4096)
        .await
        .unwrap();
    let problem: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        problem,
        json!({
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "outcome": "deny",
            "reason": "requirement_failed",
            "decision_id": "d1",
        })
    );
}

#[test]
fn challenges_and_cookies_are_one_header_each() {
    let cookie = |value: &str| WireUpdate::ExpireCookie {
        name: "s".into(),
        header_value: value.into(),
    };
    let response = answer(Answer {
        challenges: vec!["Bearer".into(), "ApiKey".into()],
        updates: vec![cookie("s=; Max-Age=0"), cookie("t=; Max-Age=0")],
        ..answered(ReasonCode::CredentialRejected)
    });
    let count = |name| response.headers().get_all(name).iter().count();
    assert_eq!(count("www-authenticate"), 2);
    assert_eq!(count("set-cookie"), 2);
}

#[test]
fn h08_what_cannot_be_delivered_closes() {
    let token = WireUpdate::IssueToken {
        token: "sg1_x".into(),
        expires_at: Timestamp::EPOCH,
    };
    let broken = WireUpdate::SetCookie {
        name: "s".into(),
        header_value: "s=1\r\nx: y".into(),
    };
    for update in [token, broken] {
        let response = answer(Answer {
            updates: vec![update],
            ..answered(ReasonCode::Allowed)
        });
        assert_eq!(response.status(), 503);
        assert!(!response.headers().contains_key("sidegate-call"));
    }
}
