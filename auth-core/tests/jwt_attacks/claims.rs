//! Groups typ and clm: what kind of token it is, and what it must say.

use std::time::Duration;

use auth_core::{
    clock::Timestamp,
    jwt::{
        Algorithm, Issuer, IssuerError, JwksLocation, JwksSettings, KeySet, KeySource, Rejection,
        Sender, Sent, Step, VerificationKey, Verifier, VerifyError,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    kit::{A, NOW, claims, claims_open, claims_with, ec_jwk, kit},
    table::{Row, refuse_all, row},
};

const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"a1"}"#;

fn typed(value: &str) -> String {
    kit().es256(
        &format!(r#"{{"alg":"ES256","kid":"a1","typ":{value}}}"#),
        claims(A),
    )
}

fn malformed(name: &'static str) -> Rejection {
    Rejection::MalformedClaim { name }
}

#[test]
fn another_kind_of_token_is_refused() {
    let mut rows: Vec<Row> = [
        r#""JWT""#,
        r#""jwt""#,
        r#""application/jwt""#,
        r#""logout+jwt""#,
        r#""dpop+jwt""#,
        r#""secevent+jwt""#,
        r#""at+jwt+x""#,
        r#""at jwt""#,
        r#"" at+jwt""#,
        r#""""#,
        r#""application/application/at+jwt""#,
        r#""text/at+jwt""#,
    ]
    .into_iter()
    .map(|value| row(format!("typ {value}"), typed(value), Rejection::TokenType))
    .collect();
    let untyped = kit().es256(r#"{"alg":"ES256","kid":"a1"}"#, claims(A));
    rows.push(row("no typ", untyped, Rejection::TokenType));
    for value in ["null", "1", r#"["at+jwt"]"#] {
        let expected = Rejection::HeaderMember { name: "typ" };
        rows.push(row(format!("typ {value}"), typed(value), expected));
    }
    for (name, value) in [
        ("at_hash", r#""x""#),
        ("c_hash", r#""x""#),
        ("s_hash", r#""x""#),
        (
            "events",
            r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#,
        ),
    ] {
        let token = kit().es256(HEADER, claims_with(name, Some(value)));
        rows.push(row(
            format!("with {name}"),
            token,
            Rejection::TokenKind { name },
        ));
    }
    refuse_all("typ", "T-07", 10, &rows);
    for value in [
        r#""AT+JWT""#,
        r#""application/at+jwt""#,
        r#""Application/At+Jwt""#,
    ] {
        assert_eq!(kit().verdict(&typed(value)), Ok(()), "typ {value}");
    }
}

#[test]
fn claims_have_their_types() {
    let texts = ["null", "1", "true", "[]", r#"["x"]"#, "{}"];
    let unclean = [
        r#""""#,
        r#""a\u0000b""#,
        r#""a\r\nb""#,
        r#""a\u001bb""#,
        r#""a\u0085b""#,
    ];
    let numbers = [
        "null",
        r#""1800000300""#,
        "true",
        "[1800000300]",
        "{}",
        "-1",
        "1e15",
    ];
    let long = format!(r#""{}""#, "x".repeat(256));
    let mut cases: Vec<(&'static str, &str)> = Vec::new();
    for name in ["exp", "nbf", "iat", "auth_time"] {
        cases.extend(numbers.map(|value| (name, value)));
    }
    for name in ["sub", "jti", "sid", "client_id", "azp", "acr"] {
        cases.extend(texts.into_iter().chain(unclean).map(|value| (name, value)));
        cases.push((name, &long));
    }
    cases.extend(["null", "1", "{}", r#"["api",1]"#, r#"[["api"]]"#].map(|value| ("aud", value)));
    cases.extend(["1", "true", r#"["a"]"#, "{}"].map(|value| ("iss", value)));
    cases.extend(
        [
            "null",
            r#"["a"]"#,
            "1",
            r#""a\u0000""#,
            r#""a\"b""#,
            r#""a\tb""#,
        ]
        .map(|value| ("scope", value)),
    );
    cases.extend(["null", "1", "{}", "[1]", r#"["a b"]"#].map(|value| ("scp", value)));
    cases.extend(["null", r#""pwd""#, "[1]", r#"[""]"#, "{}"].map(|value| ("amr", value)));
    cases.extend(
        [
            "null",
            r#""bob""#,
            "{}",
            "[]",
            r#"{"sub":1}"#,
            r#"{"sub":""}"#,
            r#"{"sub":"bob","iss":1}"#,
        ]
        .map(|value| ("act", value)),
    );
    let rows: Vec<Row> = cases
        .into_iter()
        .map(|(name, value)| {
            let token = kit().es256(HEADER, claims_with(name, Some(value)));
            row(format!("{name}: {value}"), token, malformed(name))
        })
        .collect();
    refuse_all("clm types", "T-04", 100, &rows);
}

#[test]
fn claims_that_are_needed_are_there() {
    let missing = |name: &str| Rejection::MissingClaim {
        name: name.to_owned(),
    };
    let mut rows: Vec<Row> = ["exp", "sub", "aud", "iss"]
        .into_iter()
        .map(|name| {
            row(
                format!("no {name}"),
                kit().es256(HEADER, claims_with(name, None)),
                missing(name),
            )
        })
        .collect();
    rows.push(row(
        "iss null",
        kit().es256(HEADER, claims_with("iss", Some("null"))),
        missing("iss"),
    ));
    rows.push(row("no claims", kit().es256(HEADER, "{}"), missing("iss")));
    refuse_all("clm missing", "T-04 T-05", 4, &rows);
}

#[test]
fn the_audience_is_ours() {
    let rows: Vec<Row> = [
        r#""other""#,
        r#""API""#,
        r#""api ""#,
        r#""api/""#,
        r#""api,other""#,
        r#""""#,
        "[]",
        r#"["other"]"#,
        r#"["ap","i"]"#,
        r#""*""#,
    ]
    .into_iter()
    .map(|value| {
        let token = kit().es256(HEADER, claims_with("aud", Some(value)));
        row(format!("aud {value}"), token, Rejection::Audience)
    })
    .collect();
    refuse_all("clm aud", "T-05", 10, &rows);
    let several = claims_with("aud", Some(r#"["other","api"]"#));
    assert_eq!(kit().verdict(&kit().es256(HEADER, several)), Ok(()));
}

#[test]
fn a_bound_token_is_no_bearer_token() {
    let rows: Vec<Row> = [
        r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#,
        r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#,
        r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0","jkt":"0Zc"}"#,
        r#"{"jwk":{}}"#,
        r#"{"kid":"a1"}"#,
        "{}",
        "null",
        r#""""#,
        "[]",
    ]
    .into_iter()
    .map(|value| {
        let token = kit().es256(HEADER, claims_with("cnf", Some(value)));
        row(format!("cnf {value}"), token, Rejection::SenderConstrained)
    })
    .collect();
    refuse_all("clm cnf", "T-26", 2, &rows);
}

/// T-25, T-26: the first use is remembered, and the certificate is asked for all the same.
#[test]
fn a_token_of_a_certificate_is_held_to_it_at_each_use() {
    let certificate: Vec<u8> = (0..32).collect();
    let text = URL_SAFE_NO_PAD.encode(&certificate);
    let claim = format!(r#"{{"x5t#S256":"{text}"}}"#);
    let token = kit().es256(HEADER, claims_with("cnf", Some(&claim)));
    let verify = |certificate: &[u8]| {
        let token = token.as_bytes();
        let sender = Sender {
            certificate,
            not_after: None,
        };
        let sent = Sent { token, sender };
        let now = Timestamp::from_seconds(NOW);
        let verified = kit().verifier.verify_with_keys_at_hand(sent, now);
        verified.map(|token| token.claims.contains_key("cnf"))
    };
    let mut other = certificate.clone();
    other[31] ^= 1;
    for (presented, expected) in [
        (&[][..], Err(Rejection::CertificateMissing.into())),
        (&other, Err(Rejection::CertificateMismatch.into())),
        (&certificate, Ok(false)),
        (&[], Err(Rejection::CertificateMissing.into())),
        (&other, Err(Rejection::CertificateMismatch.into())),
        (&certificate, Ok(false)),
    ] {
        assert_eq!(verify(presented), expected, "{presented:?}");
    }
    assert_eq!(
        kit().verdict(&token),
        Err(Rejection::CertificateMissing),
        "T-26: it is no bearer token"
    );
}

/// T-04: each boundary at one second before, on and after it, with the leeway of 30 s.
#[test]
fn times_hold_to_the_second() {
    let exp = |at: i64| claims_with("exp", Some(&at.to_string()));
    let nbf = |at: i64| claims_with("nbf", Some(&at.to_string()));
    let iat = |at: i64| claims_with("iat", Some(&at.to_string()));
    for (name, payload, expected) in [
        ("exp, 29 s ago", exp(NOW - 29), Ok(())),
        ("exp, 30 s ago", exp(NOW - 30), Err(Rejection::Expired)),
        ("exp, 31 s ago", exp(NOW - 31), Err(Rejection::Expired)),
        ("exp 0", exp(0), Err(Rejection::Expired)),
        (
            "exp with a fraction, alive",
            claims_with("exp", Some("1799999970.5")),
            Ok(()),
        ),
        (
            "exp with a fraction, dead",
            claims_with("exp", Some("1799999969.5")),
            Err(Rejection::Expired),
        ),
        ("nbf in 29 s", nbf(NOW + 29), Ok(())),
        ("nbf in 30 s", nbf(NOW + 30), Ok(())),
        ("nbf in 31 s", nbf(NOW + 31), Err(Rejection::NotYetValid)),
        ("iat in 30 s", iat(NOW + 30), Ok(())),
        ("iat in 31 s", iat(NOW + 31), Err(Rejection::IssuedInFuture)),
    ] {
        assert_eq!(
            kit().verdict(&kit().es256(HEADER, payload)),
            expected,
            "{name}"
        );
    }
}

/// A remembered token is held to the same boundaries, forwards and backwards.
#[test]
fn the_cache_does_not_outlive_the_token() {
    let token = kit().es256(HEADER, claims_with("nbf", Some(&NOW.to_string())));
    for (now, expected) in [
        (NOW, Ok(())),
        (NOW + 329, Ok(())),
        (NOW + 330, Err(Rejection::Expired)),
        (NOW, Ok(())),
        (NOW - 30, Ok(())),
        (NOW - 31, Err(Rejection::NotYetValid)),
    ] {
        assert_eq!(kit().verdict_at(&token, now), expected, "at {}", now - NOW);
    }
}

fn key() -> KeySource {
    let json = ec_jwk(&kit().ec, "a1");
    let key = VerificationKey::from_jwk(json.as_bytes(), &[Algorithm::Es256]).unwrap();
    KeySource::Static(KeySet::new(vec![key]).unwrap())
}

/// T-20: each claim of the profile left out in turn.
#[test]
fn the_access_token_profile_needs_each_of_its_claims() {
    let issuer = Issuer::builder(A, "api", key())
        .access_token_profile()
        .build()
        .unwrap();
    let verifier = Verifier::new(vec![issuer], 10).unwrap();
    let verdict = |payload: &str| {
        let token = kit().es256(HEADER, payload);
        verifier.verify_with_keys_at_hand(token.as_bytes(), Timestamp::from_seconds(NOW))
    };
    let whole = claims_open(A) + r#","client_id":"c"}"#;
    assert!(verdict(&whole).is_ok());
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        let without = whole.replacen(&format!("\"{name}\":"), &format!("\"x_{name}\":"), 1);
        let missing = Rejection::MissingClaim {
            name: name.to_owned(),
        };
        assert_eq!(
            verdict(&without).err(),
            Some(VerifyError::Rejected(missing)),
            "{name}"
        );
    }
}

/// T-05 and its like: what would be unsafe cannot be configured.
#[test]
fn an_unsafe_issuer_cannot_be_built() {
    let secret = || {
        let key = VerificationKey::from_secret(&kit().secret, Algorithm::Hs256).unwrap();
        KeySource::Static(KeySet::new(vec![key]).unwrap())
    };
    let remote =
        |url: &str| KeySource::Remote(JwksLocation::Url(url.to_owned()), JwksSettings::default());
    let published = || remote("https://a.example/jwks");
    let build = |audience: &str, keys| Issuer::builder(A, audience, keys);
    let name = A.to_owned();
    for (case, issuer, expected) in [
        (
            "no audience",
            build("", key()),
            IssuerError::Audience(name.clone()),
        ),
        (
            "a blank audience",
            build(" ", key()),
            IssuerError::Audience(name.clone()),
        ),
        (
            "one of two empty",
            build("api", key()).audience(""),
            IssuerError::Audience(name.clone()),
        ),
        (
            "no algorithm",
            build("api", key()).algorithms([]),
            IssuerError::NoAlgorithm(name.clone()),
        ),
        (
            "secrets that are published",
            build("api", published()).algorithms([Algorithm::Hs256]),
            IssuerError::MixedSymmetry(name.clone()),
        ),
        (
            "secret and public key",
            build("api", secret()).algorithms([Algorithm::Hs256, Algorithm::Rs256]),
            IssuerError::MixedSymmetry(name.clone()),
        ),
        (
            "a key off the list",
            build("api", key()).algorithms([Algorithm::Rs256]),
            IssuerError::KeyAlgorithm(Algorithm::Es256),
        ),
        (
            "61 s of leeway",
            build("api", key()).leeway(Duration::from_secs(61)),
            IssuerError::Leeway(Duration::from_secs(61)),
        ),
        (
            "an empty type",
            build("api", key()).types([""]),
            IssuerError::TokenType,
        ),
        (
            "no name",
            Issuer::builder("", "api", key()),
            IssuerError::Name(String::new()),
        ),
    ] {
        assert_eq!(issuer.build().err(), Some(expected), "{case}");
    }
    for url in [
        "http://a.example/jwks",
        "file:///jwks",
        "https://u:p@a.example/jwks",
    ] {
        let err = build("api", remote(url)).build().err();
        assert!(
            matches!(err, Some(IssuerError::KeyUrl { .. })),
            "{url}: {err:?}"
        );
    }
    let twice = vec![
        build("api", key()).build().unwrap(),
        build("b", key()).build().unwrap(),
    ];
    assert_eq!(
        Verifier::new(twice, 1).err(),
        Some(IssuerError::Duplicate(name))
    );
}

/// Without keys nothing is said about a token, and what is malformed is refused all the same.
#[test]
fn no_keys_means_undecided() {
    let keys = KeySource::Remote(JwksLocation::OpenIdDiscovery, JwksSettings::default());
    let issuer = Issuer::builder(A, "api", keys).build().unwrap();
    let verifier = Verifier::new(vec![issuer], 10).unwrap();
    let (token, now) = (kit().es256(HEADER, claims(A)), Timestamp::from_seconds(NOW));
    assert!(matches!(
        verifier.verify(token.as_bytes(), now),
        Step::FetchKeys(_)
    ));
    let verdict = verifier.verify_with_keys_at_hand(token.as_bytes(), now);
    assert_eq!(
        verdict.err(),
        Some(VerifyError::KeysUnavailable { issuer: 0 })
    );
    let verdict = verifier.verify(b"a.b.c", now);
    assert!(
        matches!(verdict, Step::Done(Err(VerifyError::Rejected(_)))),
        "{verdict:?}"
    );
}
