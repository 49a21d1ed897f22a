//! `sidegated` as a process: exit codes and signals.

use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::harness::*;

fn daemon(config: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sidegated"))
        .arg("--config")
        .arg(config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn end(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

async fn serving(admin: &Path) {
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
