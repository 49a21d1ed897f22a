use std::sync::Arc;

use auth_core::{
    decision::{Reason, ReasonCode},
    live::{Origin, Session},
    scope::ScopeMatching,
    session::{Identity, JsonObject},
    wire_update::WireUpdate,
};
use prost_types::value::Kind;

use super::*;
use crate::edge::http::identity::WRITTEN;

fn answered(code: ReasonCode) -> Answer {
    Answer {
        reason: Reason::with_detail(code, "internal words"),
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

fn session() -> Arc<Session> {
    let identity = Identity {
        subject: Some("u1".parse().unwrap()),
        ..Identity::default()
    };
    let matching = ScopeMatching::Hierarchical;
    let (strategy, attributes) = ("cookie".into(), JsonObject::new());
    let session = Session::new(Origin::Static, strategy, identity, attributes, matching);
    Arc::new(session)
}

fn cookie(name: &str) -> WireUpdate {
    WireUpdate::SetCookie {
        name: name.to_owned(),
        header_value: format!("{name}=x; Secure"),
    }
}

/// Name, value and what is said of those that are there already.
fn told(options: &[HeaderValueOption]) -> Vec<(String, String, i32)> {
    options
        .iter()
        .map(|option| {
            assert!(option.append.is_none(), "real Envoy then loses headers");
            let header = option.header.clone().unwrap();
            assert!(header.raw_value.is_empty(), "real Envoy then sends nothing");
            let value = String::from_utf8(header.value.to_vec()).unwrap();
            (header.key, value, option.append_action)
        })
        .collect()
}

fn ok(response: CheckResponse) -> OkHttpResponse {
    assert_eq!(response.status, Some(Status { code: 0 }));
    match response.http_response {
        Some(Verdict::OkResponse(ok)) => ok,
        _ => panic!("no allow"),
    }
}

fn no(response: CheckResponse) -> (i32, DeniedHttpResponse) {
    match response.http_response {
        Some(Verdict::DeniedResponse(denied)) => (response.status.unwrap().code, denied),
        _ => panic!("no refusal"),
    }
}

fn value<'a>(told: &'a [(String, String, i32)], name: &str) -> Vec<&'a str> {
    let named = told.iter().filter(|(own, _, _)| own == name);
    named.map(|(_, value, _)| &**value).collect()
}

fn metadata(response: &CheckResponse) -> Vec<(String, String)> {
    let fields = &response.dynamic_metadata.as_ref().unwrap().fields;
    let read = |(name, value): (&String, &prost_types::Value)| match &value.kind {
        Some(Kind::StringValue(text)) => (name.clone(), text.clone()),
        other => panic!("{other:?}"),
    };
    fields.iter().map(read).collect()
}

#[test]
fn h05_an_allow_writes_every_identity_header_with_nothing_else_said() {
    for session in [None, Some(session())] {
        let anonymous = session.is_none();
        let answer = Answer {
            session,
            ..answered(ReasonCode::Allowed)
        };
        let response = ok(allowed(&answer, Remove::default()).unwrap());
        let told = told(&response.headers);
        let names: Vec<&str> = told.iter().map(|(name, _, _)| &**name).collect();
        assert_eq!(names, WRITTEN.each_ref().map(HeaderName::as_str));
        assert!(told.iter().all(|(_, _, action)| *action == 0));
        let subject = if anonymous { "" } else { "u1" };
        assert_eq!(value(&told, "sidegate-subject"), [subject]);
        assert_eq!(value(&told, "sidegate-call"), ["c2VhbGVk"]);
    }
}

#[test]
fn what_is_removed_is_what_was_found_and_none_that_is_written() {
    let remove = Remove {
        headers: vec!["sidegate_subject".into()],
        query: vec!["key".into()],
    };
    for (credential, query) in [
        (CredentialState::Valid, &["key".to_owned()][..]),
        (CredentialState::Rejected, &["key".to_owned()]),
        (CredentialState::Absent, &[]),
    ] {
        let answer = Answer {
            credential,
            ..answered(ReasonCode::Allowed)
        };
        let response = ok(allowed(&answer, remove.clone()).unwrap());
        assert_eq!(response.headers_to_remove, ["sidegate_subject"]);
        assert_eq!(response.query_parameters_to_remove, query);
        let cache = told(&response.response_headers_to_add);
        assert_eq!(cache.is_empty(), query.is_empty(), "T-18");
    }
}

#[test]
fn cookies_stand_beside_the_apps_and_keep_caches_away() {
    let answer = Answer {
        updates: vec![cookie("a"), cookie("b")],
        ..answered(ReasonCode::Allowed)
    };
    let response = ok(allowed(&answer, Remove::default()).unwrap());
    assert_eq!(
        told(&response.response_headers_to_add),
        [
            ("set-cookie".into(), "a=x; Secure".into(), 0),
            ("set-cookie".into(), "b=x; Secure".into(), 0),
            ("cache-control".into(), "private, no-store".into(), 2),
        ]
    );
    let plain = answered(ReasonCode::Allowed);
    let response = ok(allowed(&plain, Remove::default()).unwrap());
    assert!(response.response_headers_to_add.is_empty());
}

#[test]
fn h07_what_cannot_be_written_denies() {
    let bad = WireUpdate::SetCookie {
        name: "a".into(),
        header_value: "a=x\r\nset-cookie: b".into(),
    };
    let token = WireUpdate::IssueToken {
        token: "sg1_x".into(),
        expires_at: auth_core::clock::Timestamp::from_seconds(1),
    };
    for update in [bad, token] {
        let answer = Answer {
            updates: vec![update],
            ..answered(ReasonCode::Allowed)
        };
        assert_eq!(allowed(&answer, Remove::default()), None);
    }
}

#[test]
fn a_refusal_has_the_row_of_the_table_for_either_client() {
    for code in ReasonCode::ALL.into_iter().skip(1) {
        let answer = Answer {
            call: None,
            ..answered(code)
        };
        let outcome = Outcome::from(code);
        let (status, http) = no(denied(Client::Other, &answer));
        assert_eq!(status, outcome.grpc_code());
        assert_ne!(status, 0, "Envoy would let it pass");
        if code == ReasonCode::Preflight {
            // A refusal to Envoy, and to the browser what it asked for.
            assert_eq!(http.status.unwrap().code, 204);
            assert!(http.body.is_empty());
            continue;
        }
        let code_of = |denied: &DeniedHttpResponse| denied.status.unwrap().code;
        assert_eq!(code_of(&http), i32::from(outcome.http_status()));
        let problem: serde_json::Value = serde_json::from_str(&http.body).unwrap();
        assert_eq!(problem["reason"], code.as_str());
        let headers = told(&http.headers);
        assert_eq!(
            value(&headers, "content-type"),
            ["application/problem+json"]
        );
        assert!(value(&headers, "grpc-status").is_empty());

        let (status, grpc) = no(denied(Client::Grpc, &answer));
        assert_eq!(status, outcome.grpc_code());
        assert_eq!(code_of(&grpc), i32::from(outcome.http_status()));
        let headers = told(&grpc.headers);
        assert_eq!(value(&headers, "grpc-status"), [status.to_string()]);
        assert!(value(&headers, "content-type").is_empty());
        let (outcome, reason) = (outcome.as_str(), code.as_str());
        assert_eq!(grpc.body, format!("{outcome}: {reason} (decision d1)"));
        assert!(!(http.body + &grpc.body).contains("internal words"));
    }
}

#[test]
fn a_refusal_has_its_challenges_and_cookies_beside_each_other() {
    let answer = Answer {
        challenges: vec!["Bearer".into(), "Basic realm=\"x\"".into()],
        updates: vec![cookie("a"), cookie("b")],
        ..answered(ReasonCode::SessionRequired)
    };
    for client in [Client::Other, Client::Grpc] {
        let (_, response) = no(denied(client, &answer));
        let headers = told(&response.headers);
        let challenges = value(&headers, "www-authenticate");
        assert_eq!(challenges, ["Bearer", "Basic realm=\"x\""]);
        assert_eq!(
            value(&headers, "set-cookie"),
            ["a=x; Secure", "b=x; Secure"]
        );
        assert!(headers.iter().all(|(_, _, action)| *action == 0));
    }
    let (_, limited) = no(denied(
        Client::Other,
        &answered(ReasonCode::TooManyRejected),
    ));
    assert_eq!(value(&told(&limited.headers), "retry-after"), ["10"]);
}

#[test]
fn an_error_has_a_code_that_is_not_ok() {
    let answer = answered(ReasonCode::StoreUnavailable);
    let response = undecided(denied(Client::Other, &answer));
    assert_eq!(response.status, Some(Status { code: 14 }));
    assert!(matches!(
        response.http_response,
        Some(Verdict::ErrorResponse(_))
    ));
}

#[test]
fn logs_and_filters_may_read_who_it_was_and_the_handle_of_an_allow() {
    let answer = Answer {
        session: Some(session()),
        ..answered(ReasonCode::Allowed)
    };
    let known = metadata(&allowed(&answer, Remove::default()).unwrap());
    let expected = [
        ("call", "c2VhbGVk"),
        ("decision_id", "d1"),
        ("operation", "delete_book"),
        ("outcome", "allow"),
        ("principal", "local/u1"),
        ("reason", "allowed"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(known, expected);

    let refused = Answer {
        call: None,
        ..answered(ReasonCode::RequirementFailed)
    };
    let known = metadata(&denied(Client::Other, &refused));
    assert!(known.iter().all(|(name, _)| name != "call"), "{known:?}");
}

#[test]
fn a_request_that_was_not_asked_about_is_told_why() {
    let refusal = Refusal::too_large("the header is too large");
    let (status, http) = no(refused(Client::Other, &refusal));
    assert_eq!((status, http.status.unwrap().code), (3, 431));
    assert!(http.body.contains("the header is too large"));
    let (_, grpc) = no(refused(Client::Grpc, &refusal));
    assert_eq!(grpc.body, "invalid: the header is too large");
    assert_eq!(value(&told(&grpc.headers), "grpc-status"), ["3"]);
}
