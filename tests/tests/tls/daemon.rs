//! A daemon that other machines may reach.

use std::{path::Path, time::Duration};

use harness::{daemon::Daemon, raw, real::ports::Port};
use tokio::time::Instant;

use crate::{
    authority::{Authority, Kind},
    client::Client,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidegate-under-test");

/// One on this policy, which is written for it.
fn start(folder: &Path, policy: &str) -> Daemon {
    std::fs::write(folder.join("sidegate.yaml"), policy).unwrap();
    Daemon::start(Path::new(PROGRAM), folder)
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
    let mut daemon = start(folder.path(), &policy(&port, ""));
    let status = daemon.wait();
    assert!(!status.success());
    let log = daemon.log();
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
    let daemon = start(at, &policy(&port, tls));
    let client = Client::new(&ca, None, &["http/1.1"]);
    let until = Instant::now() + raw::DEADLINE;
    while client.connect(port.address()).await.is_err() {
        assert!(Instant::now() < until, "{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = client.served(port.address()).await;
    sign();
    while client.served(port.address()).await == before {
        assert!(Instant::now() < until, "{}", daemon.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let method = "/sidegate.v1.AuthorizationService/Authorize";
    let heard = client.call(port.address(), method, "{}").await.unwrap();
    assert_eq!(heard.status, 401, "{}", heard.body);
}
