//! `sidegate` over TLS.

use std::process::{Command, Output};

use crate::{authority::Authority, scene::Scene};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidegate-under-test");

/// Runs `sidegate session list` against the gRPC listener, with these variables.
async fn list(scene: &Scene, variables: &[(&'static str, String)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command
        .args(["session", "list"])
        .env("SIDEGATE_ADDR", format!("https://{}", scene.grpc()))
        .envs(variables.iter().cloned())
        .current_dir(scene.path());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn file(scene: &Scene, name: &str) -> String {
    scene.path().join(name).display().to_string()
}

#[tokio::test]
async fn an_operator_manages_sessions_with_a_certificate() {
    let scene = Scene::start().await;
    scene.desk();
    Authority::new("servers").write(scene.path(), "others");
    let ca = |name| ("SIDEGATE_CA_FILE", file(&scene, name));
    let certificate = ("SIDEGATE_CERT_FILE", file(&scene, "desk.pem"));
    let key = ("SIDEGATE_KEY_FILE", file(&scene, "desk.key"));
    let token = ("SIDEGATE_TOKEN_FILE", file(&scene, "desk.token"));
    let named = [ca("servers.pem"), certificate.clone(), key.clone()];
    for (variables, said) in [
        (&named[..], None),
        (&[ca("servers.pem"), token], Some("client certificate")),
        (&[], Some("SIDEGATE_CA_FILE")),
        (&[ca("others.pem")], Some("invalid peer certificate")),
        (&[ca("nowhere.pem")], Some("nowhere.pem")),
        (&[ca("servers.pem"), certificate], Some("--key-file")),
    ] {
        let ran = list(&scene, variables).await;
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(
            ran.status.success(),
            said.is_none(),
            "{variables:?} {errors}"
        );
        assert!(
            errors.contains(said.unwrap_or_default()),
            "{variables:?} {errors}"
        );
    }
}
