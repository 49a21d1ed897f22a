//! The JOSE cookbook (RFC 7520, RFC 8037, RFC 7797): its compact examples with algorithms that we
//! have are verified, everything else in it is refused.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the failure report"
)]

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use auth_core::jwt::{
    Algorithm, KeyError, KeySet, Part, Rejection, VerificationKey, verify_compact,
};
use serde_json::Value;

/// The folder of the vectors, or `None` (and a line that says so) where they are not at hand.
fn vectors() -> Option<PathBuf> {
    let shared = std::env::var_os("SIDEGATE_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("vectors/jose-cookbook");
    if folder.join("jws").is_dir() {
        return Some(folder);
    }
    say(&format!(
        "left out: vectors not found at {}",
        folder.display()
    ));
    None
}

/// Prints a line past the test harness, which keeps to itself what a passing test prints.
fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
}

fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// The key of an example without its private half, for the algorithm the example names.
fn key(example: &Value) -> Result<KeySet, KeyError> {
    let mut key = example["input"]["key"].clone();
    if let Some(members) = key.as_object_mut() {
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            members.remove(private);
        }
    }
    let name = example["input"]["alg"].as_str().unwrap_or_default();
    let allowed: Vec<Algorithm> = Algorithm::from_name(name).into_iter().collect();
    let key = VerificationKey::from_jwk(&serde_json::to_vec(&key).unwrap(), &allowed)?;
    KeySet::new(vec![key])
}

#[test]
fn the_compact_examples_verify() {
    let Some(folder) = vectors() else { return };
    let mut verified = 0;
    for file in [
        "jws/4_1.rsa_v15_signature.json",
        "jws/4_2.rsa-pss_signature.json",
        "jws/4_4.hmac-sha2_integrity_protection.json",
        "curve25519/jws.json",
    ] {
        let example = read(&folder.join(file));
        let token = example["output"]["compact"].as_str().unwrap();
        let payload = verify_compact(token.as_bytes(), &key(&example).unwrap());
        let expected = example["input"]["payload"].as_str().unwrap();
        assert_eq!(payload.unwrap().as_bytes(), expected.as_bytes(), "{file}");
        verified += 1;
    }
    say(&format!("{verified} of 4 compact examples verified"));
}

#[test]
fn what_is_not_plain_compact_jws_is_refused() {
    let Some(folder) = vectors() else { return };
    let detached = read(&folder.join("jws/4_5.signature_with_detached_content.json"));
    let unencoded = read(&folder.join("rfc7797/hmac-sha2_b64_false.json"));
    let encoding = Rejection::Encoding {
        part: Part::Payload,
    }; // Its payload is plain text.
    for (example, expected) in [(&detached, Rejection::Signature), (&unencoded, encoding)] {
        let token = example["output"]["compact"].as_str().unwrap();
        let verdict = verify_compact(token.as_bytes(), &key(example).unwrap()).err();
        assert_eq!(verdict, Some(expected), "{}", example["title"]);
    }
    let curve = read(&folder.join("jws/4_3.ecdsa_signature.json"));
    assert_eq!(key(&curve).err(), Some(KeyError::Curve("P-521".to_owned())));
}

#[test]
fn json_serializations_are_refused() {
    let Some(folder) = vectors() else { return };
    let (mut refused, mut files) = (0, 0);
    for part in ["jws", "curve25519", "rfc7797"] {
        for file in std::fs::read_dir(folder.join(part)).unwrap() {
            let example = read(&file.unwrap().path());
            files += 1;
            for form in ["json", "json_flat"] {
                if let Some(token) = example["output"].get(form) {
                    let secret = read(&folder.join("jwk/3_5.symmetric_key_mac_computation.json"));
                    let secret = serde_json::to_vec(&secret).unwrap();
                    let key = VerificationKey::from_jwk(&secret, &[Algorithm::Hs256]).unwrap();
                    let keys = KeySet::new(vec![key]).unwrap();
                    let verdict = verify_compact(token.to_string().as_bytes(), &keys);
                    assert!(verdict.is_err(), "{}", example["title"]);
                    refused += 1;
                }
            }
        }
    }
    say(&format!(
        "{refused} JSON serializations in {files} files refused"
    ));
    assert!(refused >= 15, "only {refused}");
}

#[test]
fn keys_are_read_for_what_they_are() {
    let Some(folder) = vectors() else { return };
    let all: Vec<Algorithm> = Algorithm::ASYMMETRIC
        .into_iter()
        .chain(Algorithm::SYMMETRIC)
        .collect();
    for (file, expected) in [
        (
            "3_1.ec_public_key.json",
            Err(KeyError::Curve("P-521".to_owned())),
        ),
        ("3_2.ec_private_key.json", Err(KeyError::PrivateKey)),
        ("3_3.rsa_public_key.json", Ok(Algorithm::Rs256)),
        ("3_4.rsa_private_key.json", Err(KeyError::PrivateKey)),
        (
            "3_5.symmetric_key_mac_computation.json",
            Ok(Algorithm::Hs256),
        ),
        (
            "3_6.symmetric_key_encryption.json",
            Err(KeyError::Use("enc".to_owned())),
        ),
    ] {
        let json = serde_json::to_vec(&read(&folder.join("jwk").join(file))).unwrap();
        let key = VerificationKey::from_jwk(&json, &all);
        assert_eq!(key.map(|key| key.algorithm()), expected, "{file}");
    }
}
