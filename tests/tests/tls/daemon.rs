//! A daemon that other machines may reach.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use harness::{raw, real::ports::Port};
use tokio::time::Instant;

use crate::{
    authority::{Authority, Kind},
    client::Client,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidegate-under-test");

/// A `sidegate serve`, ended with the value.
struct Daemon(Child);

impl Daemon {
    /// On this policy, which is written for it.
    fn start(folder: &Path, policy: &str) -> Self {
        std::fs::write(folder.join("sidegate.yaml"), policy).unwrap();
        let child = Command::new(PROGRAM)
            .args(["serve", "--config", "sidegate.yaml", "--data-dir", "data"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn policy(port: &Port, tls: &str) -> String {
    format!(
        "listen:\n  grpc: \"unix:./s.sock\"\n  http: \"0.0.0.0:{}\"\n  telemetry: 127.0.0.1:0\n{tls}\
         store: {{ memory: {{}} }}\napp: shop\noperations: {{ me: {{ http: GET /me }} }}\n",
        port.number()
    )
}

#[tokio::test]
async fn without_tls_a_daemon_does_not_start_where_others_can_reach_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = Port::free();
    let mut daemon = Daemon::start(folder.path(), &policy(&port, ""));
    let status = daemon.0.wait().unwrap();
    assert!(!status.success());
    let log = log(folder.path());
    for part in [
        "sidegate.yaml:3:",
        "other machines",
        "`tls: { certificate: FILE",
    ] {
        assert!(log.contains(part), "`{part}` is not in {log}");
    }
}

#[tokio::test]
async fn a_daemon_serves_others_over_tls_and_follows_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (at, port) = (folder.path(), Port::free());
    let servers = Authority::new("servers");
    let ca = servers.write(at, "servers");
    let sign = || servers.sign(at, "server", Kind::Server, &["127.0.0.1"]);
    sign();
    let tls = "  tls: { certificate: server.pem, key: server.key }\n";
    let _daemon = Daemon::start(at, &policy(&port, tls));
    let client = Client::new(&ca, None, &["http/1.1"]);
    let until = Instant::now() + raw::DEADLINE;
    while client.connect(port.address()).await.is_err() {
        assert!(Instant::now() < until, "{}", log(at));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = client.served(port.address()).await;
    sign();
    while client.served(port.address()).await == before {
        assert!(Instant::now() < until, "{}", log(at));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let method = "/sidegate.v1.AuthorizationService/Authorize";
    let heard = client.call(port.address(), method, "{}").await.unwrap();
    assert_eq!(heard.status, 401, "{}", heard.body);
}
