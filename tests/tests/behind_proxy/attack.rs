//! `sidegate proxy attack` through our own reverse proxy.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, Output},
};

use harness::{real::ports::Port, recorder::App};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::Scene;

/// Attacks the proxy at this URL as it stands before `app`.
async fn attack(url: String, app: &Port, folder: &Path, more: &[&str]) -> Output {
    let proof = folder.join("proof");
    std::fs::write(&proof, "0123456789abcdef0123456789abcdef").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate-under-test"));
    command
        .args(["proxy", "attack", &url, "--host", "books.example"])
        .args(["-o", "json", "--app", &app.address().to_string()])
        .arg("--proof")
        .arg(&proof)
        .args(more);
    let ran = tokio::task::spawn_blocking(move || command.output());
    ran.await.unwrap().unwrap()
}

fn nothing_got_through(ran: &Output) {
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(report["findings"], json!([]), "{errors}");
    assert_eq!(report["not_judged"], json!([]));
    assert_eq!(ran.status.code(), Some(0), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_proxy_survives_proxy_attack() {
    let (app, folder) = (Port::free(), tempfile::tempdir().unwrap());
    let scene = Scene::before(App::ok().await, app.address(), "timeout: 5s").await;
    let url = format!("http://{}", scene.proxy);
    nothing_got_through(&attack(url, &app, folder.path(), &[]).await);
}

/// A certificate for `books.example` that vouches for itself, and what the proxy is told of it.
fn certificate() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["books.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.path().join("tls.crt"), certificate).unwrap();
    let mut file = std::fs::OpenOptions::new();
    let file = file.create_new(true).write(true).mode(0o600);
    let mut file = file.open(folder.path().join("tls.key")).unwrap();
    file.write_all(key.serialize_pem().as_bytes()).unwrap();
    let shown = folder.path().display();
    let more = format!(
        r#"timeout: 5s, tls: {{ certificate: "{shown}/tls.crt", key: "{shown}/tls.key" }}"#
    );
    (folder, more)
}

#[tokio::test(flavor = "multi_thread")]
async fn our_proxy_survives_proxy_attack_inside_tls() {
    let (app, (folder, more)) = (Port::free(), certificate());
    let scene = Scene::before(App::ok().await, app.address(), &more).await;
    let url = format!("https://{}", scene.proxy);
    let authority = folder.path().join("tls.crt");
    let believed = ["--ca-file", authority.to_str().unwrap()];
    nothing_got_through(&attack(url.clone(), &app, folder.path(), &believed).await);

    let refused = attack(url, &app, folder.path(), &[]).await;
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(7), "{errors}");
    assert!(errors.contains("--ca-file"), "{errors}");
}
