//! What a client sees that may not (R20), as each proxy can relay it.

use std::sync::Arc;

use harness::{failing_store::FailingStore, raw::Answer, real::printed::Proxy};

use crate::scene::{Scene, Setup, unknown_token};

/// A refusal of Sidegate's own, or as nginx can name it.
fn assert_refused(proxy: Proxy, answer: &Answer, status: u16, outcome: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{proxy:?} {outcome}: {text}");
    assert_eq!(
        answer.headers.all("cache-control"),
        ["no-store"],
        "{proxy:?} {outcome}"
    );
    if proxy != Proxy::Nginx {
        assert_eq!(answer.json()["outcome"], outcome, "{proxy:?}: {text}");
    }
}

#[tokio::test]
async fn r20_each_refusal_has_its_status() {
    let two = [("Authorization", "Bearer sg1_a"), ("X-API-Key", "k")];
    let rows: [(&str, &str, &[(&str, &str)], u16, &str); 6] = [
        ("GET", "/me", &[], 401, "unauthenticated"),
        ("GET", "/admin/users", &[], 401, "unauthenticated"),
        ("GET", "/nowhere", &[], 403, "deny"),
        ("DELETE", "/me", &[], 403, "deny"),
        ("GET", "/me", &two, 400, "invalid"),
        ("GET", "/public/a%2fb", &[], 400, "invalid"),
    ];
    for proxy in Proxy::FORWARD_AUTH {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        for (method, target, headers, status, outcome) in rows {
            let (answer, requests) = scene.ask(method, target, headers).await;
            assert!(requests.is_empty(), "{proxy:?} {target}");
            assert_refused(proxy, &answer, status, outcome);
        }
        let cookie = scene.sign_in().await;
        let (answer, requests) = scene
            .ask("GET", "/admin/users", &[("Cookie", &cookie)])
            .await;
        assert!(requests.is_empty(), "{proxy:?}");
        assert_refused(proxy, &answer, 403, "deny");
    }
}

#[tokio::test]
async fn h08_what_cannot_be_decided_is_closed_and_named() {
    for proxy in Proxy::FORWARD_AUTH {
        let setup = Setup {
            store: Arc::new(FailingStore),
            ..Setup::default()
        };
        let Some(scene) = Scene::with(proxy, setup).await else {
            continue;
        };
        let token = format!("__Host-session={}", unknown_token(1));
        let (answer, requests) = scene.ask("GET", "/me", &[("Cookie", &token)]).await;
        assert!(requests.is_empty(), "{proxy:?}");
        assert_refused(proxy, &answer, 503, "undetermined");
        // What needs no store still works.
        let (answer, requests) = scene.ask("GET", "/none", &[]).await;
        assert_eq!((answer.status, requests.len()), (200, 1), "{proxy:?}");
    }
}

#[tokio::test]
async fn h08_without_a_sidecar_nothing_passes() {
    for proxy in Proxy::FORWARD_AUTH {
        let Some(mut scene) = Scene::start(proxy).await else {
            continue;
        };
        let (answer, requests) = scene.ask("GET", "/none", &[]).await;
        assert_eq!((answer.status, requests.len()), (200, 1), "{proxy:?}");
        scene.stop_sidecar().await;
        let (answer, requests) = scene.ask("GET", "/none", &[]).await;
        assert!(requests.is_empty(), "{proxy:?}");
        assert!(answer.status >= 500, "{proxy:?}: {}", answer.status);
    }
}
