//! Groups alg and key: which algorithm, whose key.

use auth_core::jwt::{Algorithm, Rejection, VerificationKey};
use aws_lc_rs::signature::KeyPair as _;

use crate::{
    kit::{A, B, E, L, M, claims, ec_jwk, kit, pem, rsa_jwk},
    table::{Row, refuse_all, row},
};

fn header(algorithm: &str, id: &str) -> String {
    format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{id}"}}"#)
}

/// A header for A with one more member.
fn header_with(member: &str) -> String {
    format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"a1",{member}}}"#)
}

#[test]
fn alg_none_is_refused_in_any_case() {
    let mut rows: Vec<Row> = [
        "none", "None", "NONE", "nOnE", "NoNe", " none", "none ", "none\t",
    ]
    .into_iter()
    .map(|name| {
        let header = header(&name.replace('\t', "\\t"), "a1");
        let token = kit().signed(header.as_bytes(), claims(A).as_bytes(), |_| Vec::new());
        row(
            format!("{name:?}, no signature"),
            token,
            Rejection::Unsigned,
        )
    })
    .collect();
    let signed = kit().es256(&header("none", "a1"), claims(A));
    rows.push(row(
        "none with a good signature",
        signed,
        Rejection::Unsigned,
    ));
    refuse_all("alg none", "T-02", 7, &rows);
}

#[test]
fn alg_is_spelt_exactly() {
    let mut rows: Vec<Row> = [
        "es256", "Es256", "ES256 ", " ES256", "ES-256", "ES256K", "ES512", "", "HS256", "A256KW",
    ]
    .into_iter()
    .map(|name| {
        let token = kit().es256(&header(name, "a1"), claims(A));
        row(
            format!("alg {name:?}"),
            token,
            Rejection::AlgorithmNotAllowed,
        )
    })
    .collect();
    for value in ["null", "1", "true", r#"["ES256"]"#, r#"{"alg":"ES256"}"#] {
        let token = kit().es256(&format!(r#"{{"alg":{value},"typ":"at+jwt"}}"#), claims(A));
        rows.push(row(
            format!("alg {value}"),
            token,
            Rejection::HeaderMember { name: "alg" },
        ));
    }
    let token = kit().es256(r#"{"typ":"at+jwt","kid":"a1"}"#, claims(A));
    rows.push(row(
        "alg absent",
        token,
        Rejection::HeaderMember { name: "alg" },
    ));
    refuse_all("alg spelling", "T-02", 10, &rows);
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let mut rows: Vec<Row> = kit()
        .rsa_spellings()
        .into_iter()
        .map(|(name, secret)| {
            let token = kit().hs256(&secret, &header("HS256", "b1"), &claims(B));
            row(
                format!("RSA as {name}"),
                token,
                Rejection::AlgorithmNotAllowed,
            )
        })
        .collect();
    let point = kit().ec.public_key().as_ref().to_vec();
    let raw_ed = kit().ed.public_key().as_ref().to_vec();
    for (name, secret, issuer, id) in [
        ("EC point", point.clone(), A, "a1"),
        ("EC JWK", ec_jwk(&kit().ec, "a1").into_bytes(), A, "a1"),
        ("EC PEM", pem("PUBLIC KEY", &point).into_bytes(), A, "a1"),
        ("Ed25519 bytes", raw_ed, E, "e1"),
    ] {
        let token = kit().hs256(&secret, &header("HS256", id), &claims(issuer));
        rows.push(row(name, token, Rejection::AlgorithmNotAllowed));
    }
    refuse_all("alg HMAC with the public key", "T-02", 10, &rows);
}

#[test]
fn one_key_has_one_algorithm() {
    let mut rows: Vec<Row> = ["PS256", "RS384", "PS384", "RS512", "PS512"]
        .into_iter()
        .map(|name| {
            let token = kit().rsa(name, &header(name, "m1"), &claims(M));
            row(
                format!("{name} with a key for RS256"),
                token,
                Rejection::KeyAlgorithm,
            )
        })
        .collect();
    let unnamed = kit().rsa("PS256", r#"{"alg":"PS256","typ":"at+jwt"}"#, &claims(M));
    rows.push(row("PS256 without kid", unnamed, Rejection::UnknownKey));
    let swapped = kit().rsa("PS256", &header("RS256", "m1"), &claims(M));
    rows.push(row(
        "signed PS256, said RS256",
        swapped,
        Rejection::Signature,
    ));
    refuse_all("alg one key, several algorithms", "T-02", 6, &rows);
    let good = kit().rsa("RS256", &header("RS256", "m1"), &claims(M));
    assert_eq!(kit().verdict(&good), Ok(()));
}

#[test]
fn a_key_in_the_token_is_not_looked_at() {
    let own = ec_jwk(&kit().foreign, "a1");
    let mut rows = Vec::new();
    for (name, value) in [
        ("jwk", own.as_str()),
        ("jwk", "null"),
        ("jwk", "{}"),
        ("jwk", r#""text""#),
        ("jku", r#""https://evil.example/jwks""#),
        ("jku", r#""http://localhost:1/jwks""#),
        ("jku", r#""https://a.example@evil.example/jwks""#),
        ("jku", r#""file:///dev/null""#),
        ("jku", r#""""#),
        ("x5u", r#""https://evil.example/cert.pem""#),
        ("x5u", "{}"),
        ("x5c", r#"["MIIB"]"#),
        ("x5c", r#""MIIB""#),
        ("x5c", "[]"),
    ] {
        let token = kit().foreign(&header_with(&format!(r#""{name}":{value}"#)), &claims(A));
        let expected = match name {
            "jwk" => "jwk",
            "jku" => "jku",
            "x5u" => "x5u",
            _ => "x5c",
        };
        let expected = Rejection::EmbeddedKey { name: expected };
        rows.push(row(format!("{name} {value}"), token, expected));
    }
    let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","jwk":{own}}}"#);
    let token = kit().foreign(&header, &claims(A));
    rows.push(row(
        "jwk, no kid",
        token,
        Rejection::EmbeddedKey { name: "jwk" },
    ));
    // An issuer that is known to send such members: they are ignored, so the forgery still fails.
    for member in [
        format!(r#""jwk":{own}"#),
        r#""jku":"https://evil.example/jwks""#.to_owned(),
    ] {
        let token = kit().foreign(&header_with(&member), &claims(L));
        rows.push(row(
            format!("ignored {member}"),
            token,
            Rejection::Signature,
        ));
    }
    refuse_all("key embedded", "T-03", 13, &rows);
    let harmless = header_with(r#""jku":"https://l.example/jwks""#);
    assert_eq!(kit().verdict(&kit().es256(&harmless, claims(L))), Ok(()));
}

#[test]
fn a_key_id_is_only_a_name() {
    let long = format!(r#""{}""#, "k".repeat(257));
    let lookups = [
        r#""../../../../dev/null""#,
        r#""/dev/null""#,
        r#""file:///dev/null""#,
        r#""..\\..\\windows\\win.ini""#,
        r#""a1' OR '1'='1""#,
        r#""x' UNION SELECT 'secret' --""#,
        r#""*)(uid=*))(|(uid=*""#,
        r#""| sleep 10""#,
        r#""$(id)""#,
        r#""{{7*7}}""#,
        r#""https://evil.example/jwks""#,
        r#""A1""#,
        r#""a1 ""#,
        r#"" a1""#,
        r#""а1""#, // Cyrillic.
        r#""b1""#, // Another issuer's.
        r#""__proto__""#,
    ];
    let malformed = [
        r#""a1\u0000""#,
        r#""a1\r\nX-Evil: 1""#,
        r#""a\t1""#,
        r#""""#,
        r#""\u0085""#,
        &long,
    ];
    let mistyped = ["null", "1", "true", r#"["a1"]"#, r#"{"id":"a1"}"#];
    let token = |id: &str| {
        kit().es256(
            &format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":{id}}}"#),
            claims(A),
        )
    };
    let mut rows: Vec<Row> = lookups
        .into_iter()
        .map(|id| row(id, token(id), Rejection::UnknownKey))
        .collect();
    rows.extend(
        malformed
            .into_iter()
            .map(|id| row(id, token(id), Rejection::KeyId)),
    );
    let expected = Rejection::HeaderMember { name: "kid" };
    rows.extend(
        mistyped
            .into_iter()
            .map(|id| row(id, token(id), expected.clone())),
    );
    refuse_all("key id", "T-03", 23, &rows);
}

#[test]
fn a_key_is_its_issuers_own() {
    let rows = [
        row(
            "A, signed by B",
            kit().rsa("RS256", &header("RS256", "b1"), &claims(A)),
            Rejection::AlgorithmNotAllowed,
        ),
        row(
            "A, signed with another key",
            kit().foreign(&header("ES256", "a1"), &claims(A)),
            Rejection::Signature,
        ),
        row(
            "E, signed by A under A's id",
            kit().es256(&header("EdDSA", "a1"), claims(E)),
            Rejection::UnknownKey,
        ),
        row(
            "nobody, signed by A",
            kit().es256(&header("ES256", "a1"), claims("https://evil.example")),
            Rejection::Issuer,
        ),
        row(
            "A with a slash more",
            kit().es256(&header("ES256", "a1"), claims("https://a.example/")),
            Rejection::Issuer,
        ),
        row(
            "A in capitals",
            kit().es256(&header("ES256", "a1"), claims("https://A.example")),
            Rejection::Issuer,
        ),
    ];
    refuse_all("key of the issuer", "T-06", 2, &rows);
}

/// T-02: an RSA key that names no algorithm is for the first allowed one that fits it.
#[test]
fn a_key_without_algorithm_gets_the_first_that_fits() {
    let json = rsa_jwk(&kit().rsa, "r", None);
    for (allowed, expected) in [
        ([Algorithm::Rs256, Algorithm::Ps256], Algorithm::Rs256),
        ([Algorithm::Ps256, Algorithm::Rs256], Algorithm::Ps256),
        ([Algorithm::Es256, Algorithm::Ps256], Algorithm::Ps256),
    ] {
        let key = VerificationKey::from_jwk(json.as_bytes(), &allowed).unwrap();
        assert_eq!(key.algorithm(), expected, "{allowed:?}");
    }
}
