//! A running `sidegate serve`.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::run::{Ran, binary, finish, run};

/// How long a state may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `sidegate serve` on the files of `init`; killed when dropped.
struct Serve {
    dir: tempfile::TempDir,
    child: Child,
}

impl Serve {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(run(dir.path(), &["init"]).code, 0);
        let mut command = free_ports(binary(dir.path()));
        command.args(["serve", "--data-dir", "data"]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let serve = Self { dir, child };
        serve.wait_for("an answer", |_| true);
        serve
    }

    fn status(&self) -> Ran {
        run(
            self.dir.path(),
            &["status", "--data-dir", "data", "-o", "json"],
        )
    }

    /// Asks for the status until it is the one waited for.
    fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let ran = self.status();
            if ran.code == 0 && is_it(&ran.json()) {
                return ran.json();
            }
            assert!(start.elapsed() < PATIENCE, "no {what}: {ran:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.dir.path().join("sidegate.yaml"), text).unwrap();
    }

    /// Sends a signal and waits for the end.
    fn stop(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports(mut command: Command) -> Command {
    for listener in ["GRPC", "HTTP", "TELEMETRY"] {
        command.env(format!("SIDEGATE__LISTEN__{listener}"), "127.0.0.1:0");
    }
    command
}

#[test]
fn a_bad_file_leaves_the_old_policy_in_force_until_it_is_mended() {
    let serve = Serve::start();
    let good = std::fs::read_to_string(serve.dir.path().join("sidegate.yaml")).unwrap();
    let first = serve.status().json()["policy"].clone();
    assert_eq!(first["last_error"], Value::Null);

    serve.write(&format!("{good}\noperatoins: {{}}\n"));
    let line = good.lines().count() + 2;
    let refused = serve.wait_for("error", |status| !status["policy"]["last_error"].is_null());
    let error = refused["policy"]["last_error"].as_str().unwrap();
    assert!(error.contains(&format!("sidegate.yaml:{line}:")), "{error}");
    assert_eq!(refused["policy"]["version"], first["version"]);

    serve.write(&good.replace(
        "list_books: {",
        "list_all: { session: optional, http: GET /all }\n  list_books: {",
    ));
    let mended = serve.wait_for("reload", |status| status["policy"]["last_error"].is_null());
    assert_ne!(mended["policy"]["version"], first["version"]);
    let added = mended["policy"]["operation_count"].as_i64().unwrap()
        - first["operation_count"].as_i64().unwrap();
    assert_eq!(added, 1);
}

#[test]
fn it_is_found_by_its_data_directory_and_by_its_address() {
    let serve = Serve::start();
    let admin = serve.dir.path().join("data/admin.sock");
    let address = format!("unix:{}", admin.display());
    let data_dir = serve.dir.path().join("data");
    let elsewhere = tempfile::tempdir().unwrap();
    for (variable, value) in [
        ("SIDEGATE_ADDR", address.as_str()),
        ("SIDEGATE_DATA_DIR", data_dir.to_str().unwrap()),
    ] {
        let mut command = binary(elsewhere.path());
        command.arg("health").env(variable, value);
        assert_eq!(finish(&mut command, "").code, 0, "{variable}");
    }
    assert_eq!(run(elsewhere.path(), &["health"]).code, 7);
}

#[test]
fn a_second_one_on_the_same_data_directory_is_a_conflict_that_names_it() {
    let serve = Serve::start();
    let mut command = free_ports(binary(serve.dir.path()));
    command.args(["serve", "--data-dir", "data"]);
    let second = finish(&mut command, "");
    assert_eq!(second.code, 8, "{second:?}");
    for words in [
        "holds the data directory `data`",
        "`sidegate status --data-dir data`",
    ] {
        assert!(second.stderr.contains(words), "{words}: {second:?}");
    }
    assert_eq!(serve.status().code, 0);
}

#[test]
fn a_signal_ends_it_with_0() {
    for signal in ["-TERM", "-INT"] {
        assert_eq!(Serve::start().stop(signal), Some(0), "{signal}");
    }
}
