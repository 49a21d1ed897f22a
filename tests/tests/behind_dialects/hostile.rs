//! What tries to get past: no hostile target is allowed, and no header that a client made up
//! reaches the app under a name of ours (SECURITY H-01 to H-16).

use std::time::Duration;

use harness::{
    hostile::{
        self,
        attack::{Attack, Finding},
    },
    raw,
    real::printed::Proxy,
};

use crate::scene::Scene;

/// How long to wait for an answer to what never ends.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found; `None` where there is no such proxy.
async fn attack(proxy: Proxy, headers: bool) -> Option<Vec<Finding>> {
    let scene = Scene::start(proxy).await?;
    let cookie = scene.sign_in().await;
    let attack = Attack {
        edge: scene.server.http(),
        app: &scene.app,
        session: cookie.split_once('=').unwrap().1,
        open: "/public/ok",
        closed: "/admin/users",
    };
    Some(match headers {
        true => attack.header_sets().await,
        false => attack.targets().await,
    })
}

#[tokio::test]
async fn h01_no_hostile_target_is_allowed() {
    for proxy in Proxy::ALL {
        let found = attack(proxy, false).await.unwrap_or_default();
        assert!(found.is_empty(), "{proxy:?}: {found:#?}");
    }
}

#[tokio::test]
async fn h05_no_hostile_header_is_believed() {
    for proxy in Proxy::ALL {
        let found = attack(proxy, true).await.unwrap_or_default();
        assert!(found.is_empty(), "{proxy:?}: {found:#?}");
    }
}

/// Whoever sends nonsense is told so: it is no fault of the server, that somebody would look into.
/// What frames a message is for the proxy itself to judge, and 501 is what it says of coding that
/// nobody knows.
#[tokio::test]
async fn h13_nonsense_is_no_fault_of_the_server() {
    let is_left_out = |class: &str| class == "framing";
    let targets = hostile::targets();
    let targets = targets.iter().filter(|it| !is_left_out(&it.class));
    let targets = targets.map(|it| (&it.name, it.request(hostile::HOST)));
    let sets = hostile::header_sets();
    let sets = sets.iter().filter(|it| !is_left_out(&it.class));
    let sets = sets.map(|it| {
        (
            &it.name,
            it.request(hostile::HOST, "/public/ok", "sg1_nobody"),
        )
    });
    let requests: Vec<_> = targets.chain(sets).collect();
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        for (name, request) in &requests {
            let answer = raw::exchange(scene.server.http(), request, PATIENCE).await;
            let status = answer.map_or(0, |answer| answer.status);
            assert!(status < 500 || status == 501, "{proxy:?} {name}: {status}");
        }
    }
}
