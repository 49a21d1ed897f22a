//! `sidegated` as a process: exit codes and signals.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use proto::v1::{self, authorization_service_client::AuthorizationServiceClient};

use crate::harness::*;

pub(crate) fn daemon(config: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sidegated"))
        .arg("--config")
        .arg(config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn end(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

pub(crate) fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

pub(crate) async fn serving(admin: &Path) {
    until("the daemon serves", || async {
        tokio::net::UnixStream::connect(admin).await.is_ok()
    })
    .await;
}

#[test]
fn a_bad_file_exits_3_and_says_where() {
    let folder = files();
    std::fs::write(folder.path().join("apps/shop.yaml"), "operatons: {}\n").unwrap();
    let (status, said) = end(daemon(&folder.path().join("sidegate.yaml")));
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("apps/shop.yaml:1:1"), "{said}");
}

#[tokio::test]
async fn an_address_in_use_exits_1() {
    let sidecar = start().await;
    let (status, said) = end(daemon(&sidecar.folder.path().join("sidegate.yaml")));
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("is in use"), "{said}");
}

#[tokio::test]
async fn sigterm_drains_and_exits_0_and_sighup_reloads() {
    let folder = files();
    let child = daemon(&folder.path().join("sidegate.yaml"));
    serving(&folder.path().join("admin.sock")).await;
    signal(&child, "HUP");
    signal(&child, "TERM");
    let (status, said) = end(child);
    assert_eq!(status.code(), Some(0), "{said}");
    for line in [
        "sidegate starts",
        "sessions live in memory only",
        "listening: grpc unix:",
        "sidegate has stopped",
    ] {
        assert!(said.contains(line), "{line} not in\n{said}");
    }
    assert!(!folder.path().join("admin.sock").exists());
}

#[tokio::test]
async fn a_decision_has_one_line_without_secrets_or_forged_lines() {
    let folder = files();
    let text = format!("{}  me: {{ http: GET /me }}\n", app("hello"));
    std::fs::write(folder.path().join("apps/shop.yaml"), text).unwrap();
    let child = daemon(&folder.path().join("sidegate.yaml"));
    let socket = folder.path().join("s.sock");
    serving(&socket).await;
    let mut client = AuthorizationServiceClient::new(unix_channel(&socket).await);
    for target in ["/me", "/forged\r\n\u{1b}[31m", "/hello?key=CANARY"] {
        let mut request = authorize(target);
        let wire = request.wire.as_mut().unwrap();
        wire.credentials.push(v1::Credential {
            source: v1::CredentialSource::Authorization.into(),
            name: String::new(),
            value: "Bearer sg1_CANARY".into(),
        });
        client.authorize(request).await.unwrap();
    }
    signal(&child, "TERM");
    // Apart, so that the client goes on to answer while the daemon drains.
    let ended = tokio::task::spawn_blocking(|| end(child));
    let (_, said) = ended.await.unwrap();
    assert!(!said.contains("CANARY"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |target: &str| {
        lines
            .iter()
            .filter(|line| line["target"] == target)
            .collect()
    };
    let decisions: Vec<&serde_json::Value> = of("decision");
    let seen: Vec<_> = decisions
        .iter()
        .map(|line| {
            (
                line["call"].as_str().unwrap(),
                line["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("GET /me", "credential_rejected"),
            ("GET /forged\\u{d}\\u{a}\\u{1b}[31m", "target_invalid"),
            ("GET /hello", "allowed"),
        ]
    );
    let first = decisions[0];
    assert_eq!(first["refusal"], "unknown");
    assert_eq!(first["caller"], "desk");
    assert_eq!(first["credential"], "rejected");
    let audit: Vec<&serde_json::Value> = of("audit");
    assert!(audit.iter().any(|line| line["event"] == "authn_login_fail"));
}
