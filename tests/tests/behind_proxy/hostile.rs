//! What tries to get past: no hostile target is allowed, and no header that a client made up
//! reaches the app under a name of ours (SECURITY H-01 to H-16).

use harness::hostile::attack::{Attack, Finding};

use crate::scene::Scene;

async fn attack(scene: &Scene, headers: bool) -> Vec<Finding> {
    let cookie = scene.sign_in().await;
    let attack = Attack {
        edge: scene.proxy,
        app: &scene.app,
        session: cookie.split_once('=').unwrap().1,
        open: "/public/ok",
        closed: "/admin/users",
    };
    match headers {
        true => attack.header_sets().await,
        false => attack.targets().await,
    }
}

#[tokio::test]
async fn h01_no_hostile_target_is_allowed() {
    let found = attack(&Scene::start().await, false).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn h05_no_hostile_header_is_believed() {
    let found = attack(&Scene::start().await, true).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn h05_not_from_a_proxy_that_is_believed_either() {
    let scene = Scene::with("trusted_proxies: [ 127.0.0.1 ], credentials: pass").await;
    let found = attack(&scene, true).await;
    assert!(found.is_empty(), "{found:#?}");
}
