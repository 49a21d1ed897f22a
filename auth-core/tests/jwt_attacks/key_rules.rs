//! What keys are refused when they are loaded (T-12, T-28).

use auth_core::jwt::{Algorithm, KeyError, KeySet, VerificationKey};
use aws_lc_rs::{encoding::AsDer as _, signature::KeyPair as _};

use crate::kit::{b64, ec_jwk, kit, pem, rsa_jwk};

fn all() -> Vec<Algorithm> {
    Algorithm::ASYMMETRIC
        .into_iter()
        .chain(Algorithm::SYMMETRIC)
        .collect()
}

fn load(json: &str) -> Result<Algorithm, KeyError> {
    VerificationKey::from_jwk(json.as_bytes(), &all()).map(|key| key.algorithm())
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> String {
    format!(
        r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#,
        b64(modulus),
        b64(exponent)
    )
}

/// An odd number of that many bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= bytes.len() * 8 - bits;
    bytes
}

#[test]
fn numbers_of_an_rsa_key_are_sane() {
    let good = [1, 0, 1];
    let mut even = modulus(2048);
    even[255] = 0xfe;
    for (case, json, expected) in [
        (
            "2048 bits",
            rsa(&modulus(2048), &good),
            Ok(Algorithm::Rs256),
        ),
        (
            "8192 bits",
            rsa(&modulus(8192), &good),
            Ok(Algorithm::Rs256),
        ),
        ("e 3", rsa(&modulus(2048), &[3]), Ok(Algorithm::Rs256)),
        (
            "2047 bits",
            rsa(&modulus(2047), &good),
            Err(KeyError::RsaBits(2047)),
        ),
        (
            "8193 bits",
            rsa(&modulus(8193), &good),
            Err(KeyError::RsaBits(8193)),
        ),
        ("e 1", rsa(&modulus(2048), &[1]), Err(KeyError::RsaExponent)),
        ("e 2", rsa(&modulus(2048), &[2]), Err(KeyError::RsaExponent)),
        (
            "e even",
            rsa(&modulus(2048), &[1, 0, 0]),
            Err(KeyError::RsaExponent),
        ),
        (
            "e of 5 bytes",
            rsa(&modulus(2048), &[1, 0, 0, 0, 1]),
            Err(KeyError::RsaExponent),
        ),
        ("e 0", rsa(&modulus(2048), &[0]), Err(KeyError::Member("e"))),
        ("no e", rsa(&modulus(2048), &[]), Err(KeyError::Member("e"))),
        ("n even", rsa(&even, &good), Err(KeyError::Member("n"))),
        (
            "n with a zero in front",
            rsa(&[&[0][..], &modulus(2048)].concat(), &good),
            Err(KeyError::Member("n")),
        ),
        ("no n", rsa(&[], &good), Err(KeyError::Member("n"))),
    ] {
        assert_eq!(load(&json), expected, "{case}");
    }
}

#[test]
fn a_jwk_says_what_it_is_for_and_fits() {
    let ec = ec_jwk(&kit().ec, "k");
    let with = |member: &str| ec.replacen('{', &format!("{{{member},"), 1);
    let replaced = |from: &str, to: &str| ec.replace(from, to);
    let secret =
        |bytes: &[u8], alg: &str| format!(r#"{{"kty":"oct","alg":"{alg}","k":"{}"}}"#, b64(bytes));
    let short = KeyError::SecretTooShort {
        bytes: 31,
        needed: 32,
    };
    for (case, json, expected) in [
        ("as it is", ec.clone(), Ok(Algorithm::Es256)),
        ("use sig", with(r#""use":"sig""#), Ok(Algorithm::Es256)),
        (
            "verify and sign",
            with(r#""key_ops":["sign","verify"]"#),
            Ok(Algorithm::Es256),
        ),
        (
            "use enc",
            with(r#""use":"enc""#),
            Err(KeyError::Use("enc".into())),
        ),
        (
            "use SIG",
            with(r#""use":"SIG""#),
            Err(KeyError::Use("SIG".into())),
        ),
        (
            "use a list",
            with(r#""use":["sig"]"#),
            Err(KeyError::Member("use")),
        ),
        (
            "only sign",
            with(r#""key_ops":["sign"]"#),
            Err(KeyError::KeyOperations),
        ),
        (
            "no operation",
            with(r#""key_ops":[]"#),
            Err(KeyError::KeyOperations),
        ),
        (
            "operations as text",
            with(r#""key_ops":"verify""#),
            Err(KeyError::Member("key_ops")),
        ),
        ("private", with(r#""d":"AQAB""#), Err(KeyError::PrivateKey)),
        (
            "RS256",
            replaced("ES256", "RS256"),
            Err(KeyError::Algorithm("RS256".into())),
        ),
        (
            "ES384",
            replaced("ES256", "ES384"),
            Err(KeyError::Algorithm("ES384".into())),
        ),
        (
            "none",
            replaced("ES256", "none"),
            Err(KeyError::Algorithm("none".into())),
        ),
        (
            "P-384",
            replaced("P-256", "P-384"),
            Err(KeyError::Algorithm("ES256".into())),
        ),
        (
            "secp256k1",
            replaced("P-256", "secp256k1"),
            Err(KeyError::Curve("secp256k1".into())),
        ),
        (
            "kty oct",
            replaced("\"EC\"", "\"oct\""),
            Err(KeyError::Algorithm("ES256".into())),
        ),
        (
            "kty ec",
            replaced("\"EC\"", "\"ec\""),
            Err(KeyError::KeyType("ec".into())),
        ),
        (
            "no kty",
            replaced("\"kty\"", "\"x_kty\""),
            Err(KeyError::Member("kty")),
        ),
        (
            "y a byte too long",
            replaced("\"y\":\"", "\"y\":\"A"),
            Err(KeyError::Point),
        ),
        (
            "kid with a NUL",
            replaced("\"k\"", "\"k\\u0000\""),
            Err(KeyError::KeyId),
        ),
        (
            "member twice",
            with(r#""kty":"EC""#),
            Err(KeyError::Json(auth_core::jwt::JsonFault::DuplicateMember)),
        ),
        ("HS256, 31 bytes", secret(&[0xa5; 31], "HS256"), Err(short)),
        (
            "A256GCM",
            secret(&[0xa5; 32], "A256GCM"),
            Err(KeyError::Algorithm("A256GCM".into())),
        ),
        (
            "words",
            secret(b"correct horse battery staple and so on", "HS256"),
            Err(KeyError::SecretGuessable),
        ),
    ] {
        assert_eq!(load(&json), expected, "{case}");
    }
    let zero = format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}}"#,
        b64([0; 32])
    );
    assert_eq!(load(&zero), Err(KeyError::Point));
}

#[test]
fn a_set_is_unambiguous() {
    let (ec, rsa) = (ec_jwk(&kit().ec, "k"), rsa_jwk(&kit().rsa, "k", None));
    let other = ec_jwk(&kit().foreign, "other");
    let oct = format!(r#"{{"kty":"oct","kid":"s","k":"{}"}}"#, b64(kit().secret));
    let odd = r#"{"kty":"new"}"#;
    let set = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    for (case, json, expected) in [
        ("two", set(&[&ec, &other]), Ok(2)),
        (
            "same id",
            set(&[&ec, &rsa]),
            Err(KeyError::DuplicateKeyId("k".into())),
        ),
        ("mixed", set(&[&ec, &oct]), Err(KeyError::MixedSymmetry)),
        ("empty", set(&[]), Err(KeyError::NoUsableKey)),
        (
            "one unknown",
            set(&[&ec, odd]),
            Err(KeyError::KeyType("new".into())),
        ),
        ("no set", ec.clone(), Err(KeyError::NotAKeySet)),
        (
            "a list of texts",
            set(&[r#""k""#]),
            Err(KeyError::NotAKeySet),
        ),
    ] {
        let keys = KeySet::from_jwks(json.as_bytes(), &all()).map(|set| set.keys().len());
        assert_eq!(keys, expected, "{case}");
    }
    let mixed = vec![
        VerificationKey::from_jwk(ec.as_bytes(), &all()).unwrap(),
        VerificationKey::from_secret(&kit().secret, Algorithm::Hs256).unwrap(),
    ];
    assert_eq!(KeySet::new(mixed).err(), Some(KeyError::MixedSymmetry));
}

#[test]
fn a_pem_file_holds_one_public_key() {
    let spki = kit()
        .ec
        .public_key()
        .as_der()
        .map(|der: aws_lc_rs::encoding::PublicKeyX509Der<'_>| der.as_ref().to_vec());
    let spki = spki.unwrap();
    let ec = pem("PUBLIC KEY", &spki);
    let rsa = pem("RSA PUBLIC KEY", kit().rsa.public_key().as_ref());
    let load = |text: &str, algorithm| VerificationKey::from_pem(text, algorithm).map(|_| ());
    for (case, text, algorithm, expected) in [
        ("EC", ec.clone(), Algorithm::Es256, Ok(())),
        ("RSA", rsa.clone(), Algorithm::Ps256, Ok(())),
        (
            "EC for ES384",
            ec.clone(),
            Algorithm::Es384,
            Err(KeyError::Point),
        ),
        (
            "EC for RS256",
            ec.clone(),
            Algorithm::Rs256,
            Err(KeyError::Pem),
        ),
        (
            "RSA for ES256",
            rsa.clone(),
            Algorithm::Es256,
            Err(KeyError::Pem),
        ),
        (
            "EC for HS256",
            ec.clone(),
            Algorithm::Hs256,
            Err(KeyError::Pem),
        ),
        (
            "two keys",
            format!("{ec}{rsa}"),
            Algorithm::Es256,
            Err(KeyError::Pem),
        ),
        (
            "private",
            ec.replace("PUBLIC", "PRIVATE"),
            Algorithm::Es256,
            Err(KeyError::PrivateKey),
        ),
        (
            "certificate",
            ec.replace("PUBLIC KEY", "CERTIFICATE"),
            Algorithm::Es256,
            Err(KeyError::Pem),
        ),
        ("empty", String::new(), Algorithm::Es256, Err(KeyError::Pem)),
        (
            "nonsense",
            "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----".into(),
            Algorithm::Es256,
            Err(KeyError::Pem),
        ),
    ] {
        assert_eq!(load(&text, algorithm), expected, "{case}");
    }
}

/// A key prints its name and its algorithm and nothing that could be used.
#[test]
fn a_key_does_not_print_its_secret() {
    let secret = b"h8Jq2vXz0LrT5yBn7Wk3Gd6Fs9Pc1MaE";
    let key = VerificationKey::from_secret(secret, Algorithm::Hs256).unwrap();
    let printed = format!("{:?}", KeySet::new(vec![key.with_id("s").unwrap()]));
    assert!(
        printed.contains("Hs256") && !printed.contains("h8Jq2v"),
        "{printed}"
    );
    assert!(!printed.contains("104, 56"), "{printed}");
}
