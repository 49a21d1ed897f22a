//! `sidegate proxy attack` finds what a real proxy lets through, and says what mends it.

use std::process::{Command, Output};

use harness::{
    real::{caddy, nginx, ports::Port, server::Server},
    recorder::{App, Reply},
};
use serde_json::Value;

const PROOF: &str = "0123456789abcdef0123456789abcdef";

/// Attacks a proxy; the command is the app behind it where `app` says where.
async fn attack(proxy: &Server, app: Option<&Port>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    std::fs::write(&proof, PROOF).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate-under-test"));
    command
        .args(["proxy", "attack", &format!("http://{}", proxy.http())])
        .args(["-o", "json", "--proof"])
        .arg(&proof)
        .args(app.map(|app| format!("--app={}", app.address())));
    let ran = tokio::task::spawn_blocking(move || command.output());
    ran.await.unwrap().unwrap()
}

fn report(ran: &Output) -> Value {
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(10), "{errors}");
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// The finding of a case that says this.
fn finding<'r>(report: &'r Value, name: &str, what: &str) -> &'r Value {
    let findings = report["findings"].as_array().unwrap();
    let says = |it: &&Value| it["name"] == name && it["what"].as_str().unwrap().contains(what);
    let found = findings.iter().find(says);
    found.unwrap_or_else(|| panic!("{name}: {what} is not among {findings:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_nginx_is_found_out_and_its_fix_is_named() {
    let app = Port::free();
    let upstream = app.address();
    let server = nginx::start("proxy attack through an open nginx", |place| {
        format!(
            "underscores_in_headers on; server {{ listen 127.0.0.1:{}; \
             location / {{ proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    let Some(server) = server.await else {
        return;
    };
    let report = report(&attack(&server, Some(&app)).await);
    assert!(report["says_it_is"][0].as_str().unwrap().contains("nginx"));
    assert_eq!(report["not_judged"].as_array().unwrap().len(), 0);
    for (name, what, fix) in [
        ("dot-segment/up", "reached the app as", "proxy print"),
        (
            "identity/subject",
            "brought `Sidegate-Subject: evil/root`",
            "set or remove every",
        ),
        (
            "identity/subject-underscore",
            "brought `Sidegate_Subject: evil/root`",
            "underscores_in_headers off",
        ),
    ] {
        let found = finding(&report, name, what);
        assert!(found["fix"].as_str().unwrap().contains(fix), "{found}");
        assert_ne!(found["why"], "", "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_caddy_that_passes_aliases_is_told_which_version_does_not() {
    let app = Port::free();
    let upstream = app.address();
    let start = caddy::start(
        caddy::Version::Debian,
        "proxy attack through an old Caddy",
        |place| {
            format!(
                "http://127.0.0.1:{} {{\n  reverse_proxy {upstream} {{\n    header_up -Sidegate-*\n  }}\n}}\n",
                place.http()
            )
        },
    );
    let Some(server) = start.await else {
        return;
    };
    let report = report(&attack(&server, Some(&app)).await);
    let found = finding(
        &report,
        "identity/subject-underscore",
        "brought `Sidegate_subject",
    );
    assert!(
        found["fix"]
            .as_str()
            .unwrap()
            .contains("Caddy: 2.11 or newer"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_the_app_it_judges_by_the_proof_in_answers() {
    let app = App::start(|_| Reply::status(200).body(PROOF)).await;
    let upstream = app.address();
    let server = nginx::start("proxy attack by answers", |place| {
        format!(
            "server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    let Some(server) = server.await else {
        return;
    };
    let report = report(&attack(&server, None).await);
    finding(&report, "dot-segment/up", "reached the app as");
    finding(&report, "identity/subject", "on a closed target");
    assert_ne!(report["not_judged"].as_array().unwrap().len(), 0);
}
