//! `sidegate proxy attack` through our own reverse proxy.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use harness::{
    hostile::{
        HOST,
        command::{Ran, Typed},
    },
    real::ports::Port,
    recorder::App,
};
use serde_json::json;
use tempfile::TempDir;

use crate::scene::Scene;

/// Attacks the proxy at this URL as it stands before `app`.
async fn attack(url: &str, app: &Port, more: &[&str]) -> Ran {
    let typed = Typed {
        program: Path::new(env!("CARGO_BIN_EXE_sidegate-under-test")),
        url,
        app: Some(app.address()),
        token: None,
        more: &[&["--host", HOST], more].concat(),
    };
    typed.run().await
}

fn nothing_got_through(ran: &Ran) {
    let report = ran.report();
    assert_eq!(report["findings"], json!([]), "{ran:?}");
    assert_eq!(report["not_judged"], json!([]), "{ran:?}");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_proxy_survives_proxy_attack() {
    let app = Port::free();
    let scene = Scene::before(App::ok().await, app.address(), "timeout: 5s").await;
    let url = format!("http://{}", scene.proxy);
    nothing_got_through(&attack(&url, &app, &[]).await);
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
    nothing_got_through(&attack(&url, &app, &believed).await);

    let refused = attack(&url, &app, &[]).await;
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert!(refused.said.contains("--ca-file"), "{refused:?}");
}
