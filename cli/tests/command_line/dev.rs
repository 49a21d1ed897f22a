//! `sidegate dev`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    run::{binary, finish, run},
    running::Dev,
};

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn the_printed_curl_lines_sign_in_allow_deny_revoke_and_refuse() {
    let dev = Dev::start();
    let ran = dev.script("try-curl.sh");
    let answers: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with('{'))
        .collect();
    for (answer, parts) in answers.iter().zip([
        ["welcome, rita", "(200)"],
        [r#""deleted":"b1""#, "(200)"],
        ["requirement_failed", "(403)"],
        ["credential_rejected", "(401)"],
    ]) {
        assert!(
            parts.iter().all(|part| answer.contains(part)),
            "{answer}\n{ran:?}"
        );
    }
    assert_eq!(answers.len(), 4, "{ran:?}");
    assert!(
        ran.stdout.contains("is_owner"),
        "the reason is shown: {ran:?}"
    );
    assert!(ran.stdout.contains("ended 1 session"), "{ran:?}");
}

#[test]
fn the_api_lines_sign_in_allow_deny_revoke_and_refuse() {
    let dev = Dev::start();
    let ran = dev.script("try-json.sh");
    let answers: Vec<Value> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let outcomes: Vec<_> = answers
        .iter()
        .map(|answer| answer["outcome"].as_str())
        .collect();
    let expected = ["OUTCOME_ALLOW", "OUTCOME_DENY", "OUTCOME_UNAUTHENTICATED"];
    assert_eq!(outcomes, expected.map(Some), "{ran:?}");
    assert_eq!(answers[1]["reason"]["requirement"], "operation delete_book");
    assert!(ran.stdout.contains("ended 1 session"), "{ran:?}");

    let (code, lines) = dev.stop("-TERM");
    assert_eq!(code, Some(0));
    let shown: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown: Vec<_> = shown
        .iter()
        .map(|line| line["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        shown,
        ["allow", "allow", "deny", "unauthenticated"],
        "{lines}"
    );
}

#[test]
fn ctrl_c_ends_it_with_0_and_takes_the_sockets_along() {
    let dev = Dev::start();
    let socket = dev.path("admin.sock");
    let folder = dev.dir.path().to_owned();
    assert!(socket.exists());
    assert_eq!(dev.stop("-INT").0, Some(0));
    assert!(!folder.join("admin.sock").exists());
}

#[test]
fn secrets_are_readable_by_their_owner_only_and_stand_in_no_output() {
    let dev = Dev::start();
    for name in ["shop.token", "shop.curl", "admin.sock"] {
        assert_eq!(mode(&dev.path(name)), 0o600, "{name}");
    }
    let token = std::fs::read_to_string(dev.path("shop.token")).unwrap();
    assert!(!dev.ready.to_string().contains(token.trim()));
    for name in ["try-curl.sh", "try-json.sh", "try_grpc.py"] {
        let text = std::fs::read_to_string(dev.path(name)).unwrap();
        assert!(!text.contains(token.trim()), "{name}");
    }
}

#[test]
fn a_directory_in_use_or_a_port_in_use_is_a_conflict() {
    let dev = Dev::start();
    let again = run(dev.dir.path(), &["dev", ".", "--port", "0"]);
    assert_eq!(again.code, 8, "{again:?}");
    assert!(
        again.stderr.contains("give each process a directory"),
        "{again:?}"
    );
    let http = dev.ready["http"][0].as_str().unwrap();
    let mut command = binary(dev.dir.path());
    command
        .args(["dev", "other"])
        .env("SIDEGATE__LISTEN__HTTP", http);
    let taken = finish(&mut command, "");
    assert_eq!(taken.code, 8, "{taken:?}");
    assert!(taken.stderr.contains("sidegate dev --port 0"), "{taken:?}");
}

#[test]
fn a_directory_that_is_kept_starts_again_with_its_sessions() {
    let mut dev = Dev::start();
    let made = dev.ask(&["session", "create", "--subject", "u1"]).json();
    let dir = std::mem::replace(&mut dev.dir, tempfile::tempdir().unwrap());
    assert_eq!(dev.stop("-TERM").0, Some(0));
    let again = Dev::start_in(dir, &["dev", ".", "--port", "0", "-o", "json"]);
    let why = again.ask(&["session", "why", made["session"]["id"].as_str().unwrap()]);
    assert_eq!(why.json()["state"], "live");
}

#[test]
fn a_file_of_ones_own_without_callers_gets_one_for_the_run() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["init"]).code, 0);
    let before = std::fs::read_to_string(dir.path().join("sidegate.yaml")).unwrap();
    let dev = Dev::start_in(dir, &["dev", ".", "--port", "0", "-o", "json"]);
    assert_eq!(
        std::fs::read_to_string(dev.path("sidegate.yaml")).unwrap(),
        before
    );
    let token_file = PathBuf::from(dev.ready["token_file"].as_str().unwrap());
    assert_eq!(mode(&token_file), 0o600);
    // Found by the default data directory.
    let ran = run(dev.dir.path(), &["can", "GET /books", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_bad_file_ends_with_3_before_anything_listens() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("sidegate.yaml"),
        "app: shop\noperatoins: {}\n",
    )
    .unwrap();
    for args in [&["dev", "."][..], &["serve"]] {
        let ran = run(dir.path(), args);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{ran:?}");
        assert!(ran.stderr.contains("sidegate.yaml:2:"), "{ran:?}");
    }
}

#[test]
fn edits_of_a_file_of_ones_own_are_seen_and_its_made_caller_stays() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &["init"]).code, 0);
    std::fs::rename(
        dir.path().join("sidegate.yaml"),
        dir.path().join("books.yaml"),
    )
    .unwrap();
    let dev = Dev::start_in(
        dir,
        &["dev", "--config", "books.yaml", "--port", "0", "-o", "json"],
    );
    let file = dev.path("books.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    assert!(!before.contains("callers"));
    let edited = before.replace("GET /books", "GET /titles");
    std::fs::write(&file, &edited).unwrap();
    let start = std::time::Instant::now();
    while run(dev.dir.path(), &["can", "GET /titles"]).code != 0 {
        assert!(start.elapsed().as_secs() < 30, "the edit was not seen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let answer = authorize(&dev, "/titles");
    assert_eq!(answer["outcome"], "OUTCOME_ALLOW", "{answer}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
}

/// Asks about `GET target` over HTTP, as the caller that `dev` made.
fn authorize(dev: &Dev, target: &str) -> Value {
    let http = dev.ready["http"][0].as_str().unwrap();
    let token = std::fs::read_to_string(dev.ready["token_file"].as_str().unwrap()).unwrap();
    let wire = serde_json::json!({ "wire": {
        "kind": "WIRE_KIND_HTTP", "authority": "localhost", "method": "GET", "target": target,
    }});
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-K", "-", "--data-binary", &wire.to_string()])
        .arg(format!(
            "http://{http}/sidegate.v1.AuthorizationService/Authorize"
        ))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let headers = format!(
        "header = \"authorization: Bearer {}\"\nheader = \"content-type: application/json\"\n",
        token.trim()
    );
    finish(&mut curl, &headers).json()
}

#[test]
fn a_policy_file_that_is_not_there_or_a_directory_says_what_to_type() {
    let dir = tempfile::tempdir().unwrap();
    for (config, code, words) in [
        ("none.yaml", 3, "`sidegate init`"),
        (".", 2, "`sidegate dev .`"),
    ] {
        let ran = run(dir.path(), &["dev", "--config", config]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
}
