//! Programs in other languages, built from the .proto files as a user would.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::running::Dev;

/// Where `tests/run` has put the tools, which must be there when it runs this; `None`, said aloud,
/// elsewhere.
fn real(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SIDEGATE_REAL").map(PathBuf::from);
    let found = folder
        .as_ref()
        .map(|folder| folder.join(what))
        .filter(|path| path.exists());
    if found.is_none() {
        assert!(
            folder.is_none() || std::env::var_os("SIDEGATE_REAL_OPTIONAL").is_some(),
            "`{what}` is missing, and tests/run should have installed it"
        );
        // Not through the test's captured output: what was left out is said also when tests pass.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("left out: {what} is missing, `tests/run` installs it\n").as_bytes(),
        );
    }
    found
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the program saw of the shop: signed in, allowed, refused with the reason, logged out.
fn assert_story(program: &mut Command) {
    let ran = program.output().unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{errors}");
    let seen: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let story = json!({
        "signed_in": "u1",
        "profile": "OUTCOME_ALLOW",
        "claims": { "role": "user" },
        "delete": "OUTCOME_DENY",
        "requirement": "operation delete_book",
        "checks": ["is_admin", "is_owner", "has_book_access"],
        "ended": 1,
        "after": "OUTCOME_UNAUTHENTICATED",
        "error": "UNAUTHENTICATED",
        "error_reason": "CALL_INVALID",
    });
    assert_eq!(seen, story);
}

fn grpc_address(dev: &Dev) -> String {
    let addresses = dev.ready["grpc"].as_array().unwrap();
    let tcp = addresses
        .iter()
        .filter_map(Value::as_str)
        .find(|address| !address.starts_with("unix"));
    tcp.unwrap().to_owned()
}

#[test]
fn a_python_service_tells_the_shops_story() {
    let Some(python) = real("python/bin/python") else {
        return;
    };
    let dev = Dev::start();
    let stubs = tempfile::tempdir().unwrap();
    assert_story(
        Command::new(python)
            .arg(repository().join("tests/clients/python/shop.py"))
            .arg(grpc_address(&dev))
            .arg(dev.path("shop.token"))
            .arg(repository().join("proto"))
            .arg(stubs.path()),
    );
}

#[test]
fn a_node_service_tells_the_shops_story() {
    let Some(modules) = real("node/node_modules") else {
        return;
    };
    let dev = Dev::start();
    // Node looks for packages beside the program.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("shop.js");
    std::fs::copy(repository().join("tests/clients/node/shop.js"), &program).unwrap();
    assert_story(
        Command::new("node")
            .env("NODE_PATH", modules)
            .arg(&program)
            .arg(grpc_address(&dev))
            .arg(dev.path("shop.token"))
            .arg(repository().join("proto").canonicalize().unwrap()),
    );
}
