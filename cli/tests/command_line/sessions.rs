//! Sessions and API keys of a running Sidegate.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::{run::binary, running::Dev};

#[test]
fn a_session_lives_rotates_and_ends_and_why_tells() {
    let dev = Dev::start();
    let made = dev.ask(&[
        "session",
        "create",
        "--subject",
        "u1",
        "--claims",
        "{\"role\":\"reader\"}",
        "--ttl",
        "15m",
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let made = made.json();
    let id = made["session"]["id"].as_str().unwrap();
    assert_eq!(made["session"]["claims"]["role"], "reader");
    assert!(made["token"].as_str().unwrap().starts_with("sg1_"));

    let got = dev.ask(&["session", "get", id]).json();
    assert_eq!(
        (&got["state"], &got["subject"]),
        (&"live".into(), &"u1".into())
    );
    let listed = dev.ask(&["session", "list", "--subject", "u1"]).json();
    assert_eq!(listed["sessions"][0]["id"], id);
    let why = dev.ask(&["session", "why", id]).json();
    assert_eq!(why["state"], "live");

    let rotated = dev.ask(&["session", "rotate", id]).json();
    assert_ne!(rotated["token"], made["token"]);
    assert_eq!(
        dev.ask(&["session", "rotate", id, "--etag", "\"1\""]).code,
        8
    );

    let ended = dev
        .ask(&["session", "revoke", id, "--reason", "device lost"])
        .json();
    assert_eq!(ended["revoked_count"], 1);
    assert_eq!(
        dev.ask(&["session", "revoke", id]).json()["revoked_count"],
        0
    );
    let why = dev.ask(&["session", "why", id]).json();
    assert_eq!(why["revocation"]["cause"], "revoked", "{why}");
    assert_eq!(why["revocation"]["reason"], "device lost");
    assert!(
        why["why"].as_str().unwrap().contains("\"device lost\""),
        "{why}"
    );
    let listed = dev.ask(&["session", "list"]).json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 0);
    let listed = dev.ask(&["session", "list", "--state", "revoked"]).json();
    assert_eq!(listed["sessions"][0]["id"], id);
}

#[test]
fn a_subjects_sessions_end_but_for_the_one_excepted_and_everyones_only_when_counted() {
    let dev = Dev::start();
    let create = |subject: &str| {
        let made = dev.ask(&["session", "create", "--subject", subject]).json();
        made["session"]["id"].as_str().unwrap().to_owned()
    };
    let (kept, _, _) = (create("u1"), create("u1"), create("u2"));
    let count = |args: &[&str]| {
        let ran = dev.ask(&[&["session", "revoke"], args].concat());
        (
            ran.code,
            ran.stdout
                .parse::<Value>()
                .ok()
                .map(|data| data["revoked_count"].clone()),
        )
    };
    assert_eq!(
        count(&["--subject", "u1", "--dry-run"]),
        (0, Some(2.into()))
    );
    assert_eq!(
        count(&["--subject", "u1", "--except", &kept]),
        (0, Some(1.into()))
    );
    assert_eq!(count(&["--all", "--dry-run"]), (0, Some(2.into())));
    assert_eq!(count(&["--all", "--expect", "3"]), (8, None));
    assert_eq!(count(&["--all", "--expect", "2"]), (0, Some(2.into())));
    assert_eq!(
        dev.ask(&["session", "why", &kept]).json()["revocation"]["cause"],
        "all_revoked"
    );
}

#[test]
fn a_watch_shows_what_happens_one_object_a_line() {
    let dev = Dev::start();
    let mut command = binary(dev.dir.path());
    command.args(["session", "watch", "--data-dir", ".", "-o", "json"]);
    let mut watch = command.spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["type"], "watch_started");
    dev.ask(&["session", "create", "--subject", "u1"]);
    let event = next();
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&"session_created".into(), &"u1".into())
    );
    assert!(!event["position"].as_str().unwrap().is_empty());
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[test]
fn an_api_key_is_made_listed_without_itself_and_revoked() {
    let dev = Dev::start();
    let made = dev.ask(&[
        "key",
        "create",
        "--name",
        "ci",
        "--subject",
        "robot",
        "--scope",
        "books:read",
        "--ttl",
        "90d",
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let made = made.json();
    let (id, key) = (
        made["api_key"]["id"].as_str().unwrap(),
        made["key"].as_str().unwrap(),
    );
    let listed = dev.ask(&["key", "list"]);
    assert!(!listed.stdout.contains(key));
    assert_eq!(listed.json()["api_keys"][0]["display_name"], "ci");
    let tried = dev.ask(&["key", "revoke", id, "--dry-run"]).json();
    assert_eq!(tried["was_live"], true);
    assert_eq!(
        dev.ask(&["key", "list"]).json()["api_keys"][0]["state"],
        "live"
    );
    assert_eq!(dev.ask(&["key", "revoke", id]).json()["was_live"], true);
    let tried = dev.ask(&["key", "revoke", id, "--dry-run"]).json();
    assert_eq!(tried["was_live"], false);
    assert_eq!(dev.ask(&["key", "revoke", id]).json()["was_live"], false);
}

#[test]
fn what_is_not_there_ends_with_5() {
    let dev = Dev::start();
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for args in [
        ["session", "why"],
        ["session", "get"],
        ["session", "rotate"],
        ["session", "revoke"],
        ["key", "revoke"],
    ] {
        let ran = dev.ask(&[&args[..], &[id]].concat());
        assert_eq!(ran.code, 5, "{args:?}: {ran:?}");
    }
}

#[test]
fn a_rotation_that_is_only_tried_changes_nothing_and_ends_as_the_rotation_would() {
    let dev = Dev::start();
    let made = dev.ask(&["session", "create", "--subject", "u1"]).json();
    let id = made["session"]["id"].as_str().unwrap();
    let rotate = |more: &[&str]| dev.ask(&[&["session", "rotate", id][..], more].concat());
    let tried = rotate(&["--dry-run"]);
    assert_eq!(tried.json()["session"]["etag"], made["session"]["etag"]);
    assert!(!tried.stdout.contains("sg1_"), "{tried:?}");
    for dry_run in [&["--dry-run"][..], &[]] {
        let stale = rotate(&[&["--etag", "\"99\""], dry_run].concat());
        assert_eq!(stale.code, 8, "{dry_run:?} {stale:?}");
    }
    let why = dev.ask(&["session", "get", id]).json();
    assert_eq!(why["etag"], made["session"]["etag"]);
    dev.ask(&["session", "revoke", id]);
    let codes = [&["--dry-run"][..], &[]].map(|dry_run| rotate(dry_run).code);
    assert_eq!(codes[0], codes[1], "{codes:?}");
}
