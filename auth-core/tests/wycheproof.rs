//! The public JOSE vectors of C2SP/wycheproof, held to the verdicts in `EXPECTED.json` (F-21).

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the failure report"
)]

use std::{collections::BTreeMap, io::Write as _, path::PathBuf};

use auth_core::jwt::{Algorithm, KeySet, VerificationKey, verify_compact};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// The folder of the vectors, or `None` (and a line that says so) where they are not at hand.
fn vectors() -> Option<PathBuf> {
    let shared = std::env::var_os("SIDEGATE_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("vectors/wycheproof");
    if folder.join("EXPECTED.json").is_file() {
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

fn read(path: PathBuf) -> Value {
    let text = std::fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn allowed() -> Vec<Algorithm> {
    Algorithm::ASYMMETRIC
        .into_iter()
        .chain(Algorithm::SYMMETRIC)
        .collect()
}

/// The key of a test group, as an operator would configure it: the public half where there is one.
fn keys(group: &Value) -> Option<KeySet> {
    let key = group.get("public").unwrap_or(&group["private"]);
    let json = serde_json::to_vec(key).unwrap();
    match key.get("keys") {
        Some(_) => KeySet::from_jwks(&json, &allowed()).ok(),
        None => KeySet::new(vec![VerificationKey::from_jwk(&json, &allowed()).ok()?]).ok(),
    }
}

/// The text of a test's token; a JSON serialization is presented as its text.
fn token(test: &Value) -> String {
    match &test["jws"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn every_verdict_on_a_token_is_the_expected_one() {
    let Some(folder) = vectors() else { return };
    let expected = read(folder.join("EXPECTED.json"));
    let mut counts = BTreeMap::from([("accept", 0_u64), ("reject", 0), ("skip", 0)]);
    let mut wrong = Vec::new();
    for (file, verdicts) in expected["files"].as_object().unwrap() {
        for group in list(&read(folder.join(file)), "testGroups") {
            let keys = keys(group);
            for test in list(group, "tests") {
                let verdict = verdicts[&test["tcId"].to_string()].as_str().unwrap();
                *counts.get_mut(verdict).unwrap() += 1;
                let accepted = keys
                    .as_ref()
                    .is_some_and(|keys| verify_compact(token(test).as_bytes(), keys).is_ok());
                if verdict != "skip" && accepted != (verdict == "accept") {
                    wrong.push(format!("{file} {}: {}", test["tcId"], test["comment"]));
                }
            }
        }
    }
    let run = counts["accept"] + counts["reject"];
    say(&format!(
        "wycheproof JOSE: {} of {run} ({counts:?})",
        run - wrong.len() as u64
    ));
    assert!(wrong.is_empty(), "other than expected: {wrong:#?}");
    let totals = &expected["totals"];
    assert_eq!(counts["accept"], totals["accept"]);
    assert_eq!(counts["reject"], totals["reject"]);
    assert_eq!(counts["skip"], totals["skip"]);
    assert_eq!(run, 468);
}

/// What is refused by a rule of ours and not by the signature is refused for that reason.
#[test]
fn a_group_whose_key_is_refused_has_no_token_to_accept() {
    let Some(folder) = vectors() else { return };
    let expected = read(folder.join("EXPECTED.json"));
    let mut refused = 0;
    for (file, verdicts) in expected["files"].as_object().unwrap() {
        for group in list(&read(folder.join(file)), "testGroups") {
            if keys(group).is_none() {
                refused += 1;
                for test in list(group, "tests") {
                    let verdict = &verdicts[&test["tcId"].to_string()];
                    assert_ne!(verdict, "accept", "{file} {}", test["tcId"]);
                }
            }
        }
    }
    say(&format!("{refused} keys and sets refused at load"));
    assert!(
        refused >= 20,
        "only {refused} keys and sets were refused at load"
    );
}

#[test]
fn the_signature_primitives_agree_with_the_vectors() {
    let Some(folder) = vectors() else { return };
    for (file, algorithm, tests) in [
        (
            "ecdsa_secp256r1_sha256_p1363_test.json",
            Algorithm::Es256,
            262,
        ),
        (
            "ecdsa_secp384r1_sha384_p1363_test.json",
            Algorithm::Es384,
            280,
        ),
        ("ed25519_test.json", Algorithm::EdDsa, 151),
    ] {
        let (mut run, mut wrong) = (0, Vec::new());
        for group in list(&read(folder.join(file)), "testGroups") {
            let pem = group["publicKeyPem"].as_str().unwrap();
            let pem = VerificationKey::from_pem(pem, algorithm).unwrap();
            let jwk = match group.get("publicKeyJwk") {
                Some(jwk) => {
                    VerificationKey::from_jwk(&serde_json::to_vec(jwk).unwrap(), &[algorithm])
                }
                None => Ok(pem.clone()), // 18 groups give no JWK.
            };
            let jwk = jwk.unwrap();
            for test in list(group, "tests") {
                let (message, signature) = (hex(&test["msg"]), hex(&test["sig"]));
                let verdict = jwk.verifies(&message, signature.clone());
                assert_eq!(
                    verdict,
                    pem.verifies(&message, signature),
                    "{file} {}",
                    test["tcId"]
                );
                run += 1;
                if verdict != (test["result"] == "valid") {
                    wrong.push(format!("{}: {}", test["tcId"], test["comment"]));
                }
            }
        }
        say(&format!("{file}: {} of {run}", run - wrong.len()));
        assert_eq!(wrong, Vec::<String>::new(), "{file}");
        assert_eq!(run, tests, "{file}");
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// A check of the checker: a wrong key must turn every accepted token down.
#[test]
fn no_token_is_accepted_with_the_key_of_another_group() {
    let Some(folder) = vectors() else { return };
    let secret = URL_SAFE_NO_PAD.encode(b"\x01\x80another key of thirty-two bytes!");
    let json = format!(r#"{{"kty":"oct","alg":"HS256","k":"{secret}"}}"#);
    let key = VerificationKey::from_jwk(json.as_bytes(), &allowed()).unwrap();
    let keys = KeySet::new(vec![key]).unwrap();
    for group in list(
        &read(folder.join("json_web_signature_test.json")),
        "testGroups",
    ) {
        for test in list(group, "tests") {
            let verdict = verify_compact(token(test).as_bytes(), &keys);
            assert!(verdict.is_err(), "{}", test["tcId"]);
        }
    }
}
