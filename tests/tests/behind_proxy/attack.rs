//! `sidegate proxy attack` through our own reverse proxy.

use std::process::Command;

use harness::{real::ports::Port, recorder::App};
use serde_json::{Value, json};

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn our_proxy_survives_proxy_attack() {
    let app = Port::free();
    let scene = Scene::before(App::ok().await, app.address(), "timeout: 5s").await;
    let folder = tempfile::tempdir().unwrap();
    let proof = folder.path().join("proof");
    std::fs::write(&proof, "0123456789abcdef0123456789abcdef").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate-under-test"));
    command
        .args(["proxy", "attack", &format!("http://{}", scene.proxy)])
        .args(["--host", "books.example", "-o", "json", "--app"])
        .arg(app.address().to_string())
        .arg("--proof")
        .arg(&proof);
    let ran = tokio::task::spawn_blocking(move || command.output());
    let ran = ran.await.unwrap().unwrap();
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(report["findings"], json!([]), "{errors}");
    assert_eq!(report["not_judged"], json!([]));
    assert_eq!(ran.status.code(), Some(0), "{errors}");
}
