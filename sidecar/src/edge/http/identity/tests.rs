use auth_core::{
    live::Origin,
    principal::Principal,
    scope::ScopeMatching,
    session::{Identity, JsonObject},
};

use serde_json::{Value, json};

use super::*;

fn session_with(principal: &str, claims: JsonObject, attributes: JsonObject) -> Session {
    let identity = Identity {
        subject: Some(principal.parse().unwrap()),
        claims,
        ..Identity::default()
    };
    let matching = ScopeMatching::Hierarchical;
    Session::new(
        Origin::Static,
        "bearer".into(),
        identity,
        attributes,
        matching,
    )
}

fn decoded(session: &Session) -> Value {
    let encoded = session_header(session);
    assert!(encoded.len() <= MAX_SESSION_BYTES);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

#[test]
fn h06_aliases_of_our_names_are_ours() {
    for name in [
        "sidegate-subject",
        "Sidegate-Subject",
        "SIDEGATE_SUBJECT",
        "sidegate.session",
        "sidegate_call",
        "sidegate~x",
        "sidegate",
    ] {
        assert!(is_ours(name), "{name}");
    }
    for name in [
        "sidegates",
        "sidegateway-x",
        "x-sidegate-subject",
        "side",
        "host",
        "",
    ] {
        assert!(!is_ours(name), "{name}");
    }
}

#[test]
fn a_subject_stands_for_the_default_namespace_only() {
    for (principal, expected) in [
        ("u1", "u1"),
        ("local/u1", "u1"),
        ("idp/u1", ""),
        ("local/idp/u1", "idp/u1"),
        (" u1", "%20u1"),
        ("a,b", "a%2Cb"),
        ("50%", "50%25"),
        ("zoë", "zo%C3%AB"),
    ] {
        let session = session_with(principal, JsonObject::new(), JsonObject::new());
        assert_eq!(subject(&session), expected);
        let full: Principal = principal.parse().unwrap();
        let session = decoded(&session);
        assert_eq!(session["principal"], full.to_string());
    }
}

#[test]
fn a_large_session_leaves_out_attributes_before_claims() {
    let big = |size: usize| JsonObject::from_iter([("k".to_owned(), json!("x".repeat(size)))]);
    for (claims, attributes, left) in [
        (10, 10, vec!["attributes", "claims"]),
        (10, 5000, vec!["claims"]),
        (5000, 10, vec![]),
    ] {
        let session = session_with("u1", big(claims), big(attributes));
        let json = decoded(&session);
        for name in ["attributes", "claims"] {
            let expected = left.contains(&name);
            assert_eq!(
                json.get(name).is_some(),
                expected,
                "{name} {claims} {attributes}"
            );
        }
        assert_eq!(json.get("truncated").is_none(), left.len() == 2);
    }
}
