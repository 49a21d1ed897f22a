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
        response_headers: Vec::new(),
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

fn program() -> Visitor<'static> {
    Visitor {
        reader: Reader::Program,
        login: Some("/login"),
        target: "/me",
    }
}

fn answer(dialect: Dialect, answer: Answer) -> Response {
    super::answer(dialect, &answer, program())
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[test]
fn h05_every_header_is_in_every_allow() {
    for session in [None, Some(Arc::new(session_of("u1")))] {
        for dialect in Dialect::ALL {
            let response = answer(
                dialect,
                Answer {
                    session: session.clone(),
                    call: None,
                    operation: None,
                    ..answered(ReasonCode::Allowed)
                },
            );
            assert_eq!(response.status(), 200);
            for name in ALWAYS {
                assert!(response.headers().contains_key(name), "{dialect:?} {name}");
            }
        }
    }
}

/// The status of an outcome for each kind of proxy (PROTOCOLS 1.3). Written out, so that a new
/// outcome or dialect stops the build until somebody chooses its status.
const fn status(dialect: Dialect, outcome: Outcome) -> u16 {
    match (dialect, outcome) {
        (Dialect::Plain | Dialect::Nginx | Dialect::Traefik | Dialect::Caddy, Outcome::Allow) => {
            200
        }
        (
            Dialect::Plain | Dialect::Nginx | Dialect::Traefik | Dialect::Caddy,
            Outcome::Unauthenticated,
        ) => 401,
        (Dialect::Plain | Dialect::Nginx | Dialect::Traefik | Dialect::Caddy, Outcome::Deny) => 403,
        (Dialect::Nginx, Outcome::Invalid | Outcome::Limited | Outcome::Undetermined) => 403,
        (Dialect::Plain | Dialect::Traefik | Dialect::Caddy, Outcome::Invalid) => 400,
        (Dialect::Plain | Dialect::Traefik | Dialect::Caddy, Outcome::Limited) => 429,
        (Dialect::Plain | Dialect::Traefik | Dialect::Caddy, Outcome::Undetermined) => 503,
    }
}

#[test]
fn r20_each_dialect_has_a_status_for_each_reason_and_names_the_outcome() {
    for dialect in Dialect::ALL {
        for code in ReasonCode::ALL {
            let outcome = Outcome::from(code);
            let response = answer(dialect, answered(code));
            let got = response.status().as_u16();
            assert_eq!(got, status(dialect, outcome), "{dialect:?} {code:?}");
            assert_eq!(header(&response, "sidegate-outcome"), outcome.as_str());
        }
        let failed = failed(dialect);
        let expected = status(dialect, Outcome::Undetermined);
        assert_eq!(failed.status().as_u16(), expected, "{dialect:?}");
        assert_eq!(header(&failed, "sidegate-outcome"), "undetermined");
    }
}

#[test]
fn a_refusal_is_a_problem_that_nobody_keeps_and_has_no_internals() {
    for dialect in Dialect::ALL {
        for code in ReasonCode::ALL.into_iter().skip(1) {
            let response = answer(dialect, answered(code));
            assert_eq!(header(&response, "cache-control"), "no-store");
            assert_eq!(
                header(&response, "content-type"),
                "application/problem+json"
            );
            for name in ALWAYS {
                let is_told = response.headers().contains_key(name);
                assert!(!is_told, "{dialect:?} {code:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_says_outcome_and_reason_only() {
    let response = answer(Dialect::Plain, answered(ReasonCode::RequirementFailed));
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
    for dialect in Dialect::ALL {
        let response = answer(
            dialect,
            Answer {
                challenges: vec!["Bearer".into(), "ApiKey".into()],
                updates: vec![cookie("s=; Max-Age=0"), cookie("t=; Max-Age=0")],
                ..answered(ReasonCode::CredentialRejected)
            },
        );
        let count = |name| response.headers().get_all(name).iter().count();
        assert_eq!(count("www-authenticate"), 2, "{dialect:?}");
        assert_eq!(count("set-cookie"), 2, "{dialect:?}");
        // The others copy the refusal as it is.
        let numbered = usize::from(dialect == Dialect::Nginx);
        assert_eq!(count("sidegate-cookie-2"), numbered, "{dialect:?}");
    }
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
        for (dialect, status) in [(Dialect::Plain, 503), (Dialect::Nginx, 403)] {
            let response = answer(
                dialect,
                Answer {
                    updates: vec![update.clone()],
                    ..answered(ReasonCode::Allowed)
                },
            );
            assert_eq!(response.status(), status);
            assert_eq!(header(&response, "sidegate-outcome"), "undetermined");
            assert!(!response.headers().contains_key("sidegate-call"));
        }
    }
}

fn renewals(count: usize) -> Answer {
    let cookie = |number: usize| WireUpdate::SetCookie {
        name: format!("c{number}"),
        header_value: format!("c{number}=x"),
    };
    Answer {
        updates: (1..=count).map(cookie).collect(),
        ..answered(ReasonCode::Allowed)
    }
}

#[test]
fn an_allow_has_a_header_for_each_cookie_where_set_cookie_gets_lost() {
    for dialect in Dialect::ALL {
        let response = answer(dialect, renewals(2));
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        let numbered = ["sidegate-cookie-1", "sidegate-cookie-2"].map(|name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        });
        let expected = match dialect {
            Dialect::Nginx | Dialect::Caddy => [Some("c1=x"), Some("c2=x")],
            Dialect::Plain | Dialect::Traefik => [None, None],
        };
        assert_eq!(numbered, expected, "{dialect:?}");
    }
}

#[test]
fn h08_more_cookies_than_a_proxy_relays_close() {
    for (dialect, status) in [
        (Dialect::Plain, 200),
        (Dialect::Traefik, 200),
        (Dialect::Nginx, 403),
        (Dialect::Caddy, 503),
    ] {
        assert_eq!(answer(dialect, renewals(3)).status(), status, "{dialect:?}");
    }
}

#[test]
fn a_person_is_sent_to_sign_in_and_nginx_is_told_where() {
    for dialect in Dialect::ALL {
        for (reader, login, is_sent) in [
            (Reader::Person, Some("/login"), true),
            (Reader::Person, None, false),
            (Reader::Program, Some("/login"), false),
        ] {
            let visitor = Visitor {
                reader,
                login,
                target: "/me",
            };
            let refused = answered(ReasonCode::SessionRequired);
            let response = super::answer(dialect, &refused, visitor);
            let (name, status) = match dialect {
                Dialect::Nginx => ("sidegate-login", 401),
                _ if is_sent => ("location", 302),
                _ => ("location", 401),
            };
            assert_eq!(response.status(), status, "{dialect:?} {visitor:?}");
            let to = response.headers().get(name).map(|to| to.to_str().unwrap());
            let expected = is_sent.then_some("/login?return_to=/me");
            assert_eq!(to, expected, "{dialect:?} {visitor:?}");
        }
    }
}
