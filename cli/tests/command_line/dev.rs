//! `sidegate dev`, and the commands that ask a running Sidegate.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::run::{Ran, binary, finish, run};

/// A running `sidegate dev`; killed when dropped.
struct Dev {
    dir: tempfile::TempDir,
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: Value,
}

impl Dev {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(
            dir,
            &["dev", "--data-dir", ".", "--port", "0", "-o", "json"],
        )
    }

    fn start_in(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let mut command = binary(dir.path());
        let mut child = command.args(args).stderr(Stdio::inherit()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|err| panic!("{err}: {line}"));
        assert_eq!(ready["event"], "ready", "{line}");
        Self {
            dir,
            child,
            stdout,
            ready,
        }
    }

    /// Runs a command that finds this one by the data directory.
    fn ask(&self, args: &[&str]) -> Ran {
        run(
            self.dir.path(),
            &[args, &["--data-dir", ".", "-o", "json"]].concat(),
        )
    }

    /// Runs one of the scripts that `dev` wrote.
    fn script(&self, name: &str) -> Ran {
        let mut command = Command::new("sh");
        command
            .arg(self.path(name))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(&mut command, "")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ends it by a signal, and gives the exit code and what was left on stdout.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn the_printed_curl_lines_sign_in_allow_deny_revoke_and_refuse() {
    let dev = Dev::start();
    let ran = dev.script("try-curl.sh");
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
    for name in ["try-curl.sh", "try_grpc.py"] {
        let text = std::fs::read_to_string(dev.path(name)).unwrap();
        assert!(!text.contains(token.trim()), "{name}");
    }
}

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
    assert_eq!(dev.ask(&["key", "revoke", id]).json()["was_live"], true);
    assert_eq!(dev.ask(&["key", "revoke", id]).json()["was_live"], false);
}

#[test]
fn a_running_sidegate_decides_as_its_file_does() {
    let dev = Dev::start();
    for (target, who, outcome, code) in [
        ("DELETE /books/b1", &["--as", "rita"][..], "allow", 0),
        ("DELETE /books/b2", &["--as", "rita"], "deny", 10),
        (
            "DELETE /books/b2",
            &[
                "--session",
                "{\"subject\":\"x\",\"claims\":{\"role\":\"admin\"}}",
            ],
            "allow",
            0,
        ),
        ("DELETE /books/b1", &[], "unauthenticated", 11),
    ] {
        let args = [&["can", target], who].concat();
        let running = dev.ask(&args);
        let file = run(
            dev.dir.path(),
            &[&args[..], &["--config", "sidegate.yaml", "-o", "json"]].concat(),
        );
        let (running_answer, file_answer) = (running.json(), file.json());
        assert_eq!(
            (running.code, running_answer["outcome"].as_str()),
            (code, Some(outcome)),
            "{args:?} {running:?}"
        );
        for part in ["outcome", "operation", "reason", "requirements"] {
            let of_file = file_answer[part]
                .to_string()
                .replace("sidegate.yaml", "")
                .replace("apps/", "");
            let of_server = running_answer[part]
                .to_string()
                .replace(dev.ready["dir"].as_str().unwrap(), "")
                .replace("/apps/", "");
            assert_eq!(of_file, of_server, "{args:?}: {part}");
        }
    }
}

#[test]
fn a_token_is_judged_by_the_running_sidegate() {
    let dev = Dev::start();
    let made = dev.ask(&["session", "create", "--subject", "rita"]).json();
    std::fs::write(dev.path("rita.token"), made["token"].as_str().unwrap()).unwrap();
    let can = || dev.ask(&["can", "DELETE /books/b1", "--token", "@rita.token"]);
    let answer = can();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.json()["credential"]["strategy"], "bearer");
    dev.ask(&["session", "revoke", "--subject", "rita"]);
    let answer = can();
    assert_eq!(
        (answer.code, &answer.json()["credential"]["state"]),
        (11, &"rejected".into()),
        "{answer:?}"
    );
}

#[test]
fn status_health_and_reload_answer() {
    let dev = Dev::start();
    let status = dev.ask(&["status"]).json();
    assert_eq!(
        (&status["store_ready"], &status["policy"]["operation_count"]),
        (&true.into(), &6.into())
    );
    assert_eq!(dev.ask(&["health"]).json()["status"], "serving");
    assert_eq!(dev.ask(&["health", "--service", "none.Such"]).code, 5);
    assert_eq!(dev.ask(&["reload"]).code, 0);
    let app = dev.path("apps/shop.yaml");
    let good = std::fs::read_to_string(&app).unwrap();
    std::fs::write(&app, good.replace("require_any", "require_sum")).unwrap();
    let refused = dev.ask(&["reload"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    let status = dev.ask(&["status"]).json();
    assert!(
        status["policy"]["last_error"]
            .as_str()
            .unwrap()
            .contains("require_sum"),
        "{status}"
    );
    assert_eq!(
        dev.ask(&["can", "DELETE /books/b1", "--as", "rita"]).code,
        0
    );
}

#[test]
fn what_the_admin_socket_alone_serves_says_so_on_tcp() {
    let dev = Dev::start();
    let grpc = dev.ready["grpc"].as_array().unwrap();
    let tcp = grpc
        .iter()
        .find_map(|address| address.as_str().filter(|text| !text.starts_with("unix:")))
        .unwrap();
    let address = format!("http://{tcp}");
    let ask = |args: &[&str]| run(dev.dir.path(), &[args, &["--addr", &address]].concat());
    assert_eq!(ask(&["health"]).code, 0);
    let anonymous = ask(&["session", "list"]);
    assert_eq!(anonymous.code, 6, "{anonymous:?}");
    assert!(
        anonymous.stderr.contains("SIDEGATE_TOKEN_FILE"),
        "{anonymous:?}"
    );
    let named = ask(&["session", "list", "--token-file", "shop.token"]);
    assert_eq!(named.code, 6, "{named:?}");
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
    ] {
        let ran = dev.ask(&[&args[..], &[id]].concat());
        assert_eq!(ran.code, 5, "{args:?}: {ran:?}");
    }
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
