//! The other side of the table: what must be accepted, and what is made of it.

use std::time::Instant;

use auth_core::{
    clock::Timestamp,
    jwt::{Actor, VerifiedToken},
};

use crate::kit::{A, B, E, H, L, NOW, claims, claims_open, kit};

fn verified(token: &str) -> VerifiedToken {
    let now = Timestamp::from_seconds(NOW);
    let token = kit()
        .verifier
        .verify_with_keys_at_hand(token.as_bytes(), now);
    (*token.unwrap()).clone()
}

#[test]
fn a_good_token_of_each_issuer_is_accepted() {
    let header = |algorithm: &str, id: &str| {
        format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{id}"}}"#)
    };
    for (position, token) in [
        (0, kit().es256(&header("ES256", "a1"), claims(A))),
        (
            0,
            kit().es256(r#"{"alg":"ES256","typ":"at+jwt"}"#, claims(A)),
        ), // The only key there is.
        (1, kit().rsa("RS256", &header("RS256", "b1"), &claims(B))),
        (
            2,
            kit().hs256(&kit().secret, &header("HS256", "h1"), &claims(H)),
        ),
        (3, kit().ed(&header("EdDSA", "e1"), &claims(E))),
        (5, kit().es256(&header("ES256", "a1"), claims(L))),
    ] {
        let token = verified(&token);
        assert_eq!(
            (token.issuer, token.subject.as_deref()),
            (position, Some("alice"))
        );
    }
}

#[test]
fn claims_become_fields_and_the_rest_is_kept() {
    let payload = claims_open(A)
        + r#","sid":"s1","azp":"shop","scope":"read  write read","scp":["write","admin:x"],"#
        + r#""auth_time":1799999000,"acr":"2","amr":["pwd","otp"],"#
        + r#""act":{"sub":"bot","iss":"https://b.example","act":{"sub":"x"}},"role":"admin"}"#;
    let token = verified(&kit().es256(r#"{"alg":"ES256","typ":"at+jwt"}"#, payload));
    assert_eq!(token.expires_at, Timestamp::from_seconds(NOW + 300));
    assert_eq!(token.usable_until(), Timestamp::from_seconds(NOW + 330));
    assert_eq!(token.issued_at, Some(Timestamp::from_seconds(NOW - 10)));
    assert_eq!(
        token.auth_time,
        Some(Timestamp::from_seconds(1_799_999_000))
    );
    assert_eq!(token.sid.as_deref(), Some("s1"));
    assert_eq!(token.client_id.as_deref(), Some("shop"));
    assert_eq!(token.scopes, ["read", "write", "admin:x"]);
    assert_eq!(
        (token.acr.as_deref(), token.amr),
        (Some("2"), vec!["pwd".into(), "otp".into()])
    );
    let issuer = Some("https://b.example".to_owned());
    assert_eq!(
        token.actor,
        Some(Actor {
            subject: "bot".into(),
            issuer
        })
    );
    let rest: Vec<&str> = token.claims.keys().map(String::as_str).collect();
    assert_eq!(rest, ["aud", "role"]);
}

/// P-10: not a benchmark, but a floor that a debug build reaches too.
#[test]
fn a_remembered_token_costs_no_signature() {
    let token = kit().es256(r#"{"alg":"ES256","typ":"at+jwt"}"#, claims(A));
    let now = Timestamp::from_seconds(NOW);
    let verify = || {
        assert!(
            kit()
                .verifier
                .verify_with_keys_at_hand(token.as_bytes(), now)
                .is_ok()
        )
    };
    verify();
    let start = Instant::now();
    (0..10_000).for_each(|_| verify());
    let each = start.elapsed() / 10_000;
    println!("P-10: a remembered token costs {each:?} in this build");
    assert!(each.as_micros() < 20, "{each:?}");
}
