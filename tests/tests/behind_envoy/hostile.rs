//! What tries to get past: no hostile target is allowed, and no header that a client made up
//! reaches the app under a name of ours (SECURITY H-01 to H-16).

use std::{fmt::Write as _, time::Duration};

use harness::{
    hostile::{self, HeaderSet, OnOpen},
    raw::{self, NoAnswer},
    recorder::{Reply, Request},
};

use crate::{
    scene::{Scene, Setup},
    writes,
};

const OPEN: &str = "/public/page";
const CLOSED: &str = "/admin/users";

/// How long to wait for an answer to what never ends.
const PATIENCE: Duration = Duration::from_secs(3);

/// With and without help of Envoy's own filter, in both forms of headers.
const SETUPS: [(bool, bool); 3] = [(true, false), (false, false), (true, true)];

async fn scene(raw_headers: bool, strips: bool) -> Option<Scene> {
    Scene::start(Setup {
        raw_headers,
        strips,
        writes: true,
        ..Setup::default()
    })
    .await
}

/// What reached the app of these bytes, and the status of the answer, if there was one.
async fn reached(scene: &Scene, bytes: &[u8]) -> (Option<u16>, Vec<Request>) {
    let status = match raw::exchange(scene.envoy.http(), bytes, PATIENCE).await {
        Ok(answer) => Some(answer.status),
        Err(NoAnswer::Refused(error)) => panic!("Envoy is gone: {error}"),
        Err(_) => None,
    };
    (status, scene.app.take())
}

#[tokio::test]
async fn h16_no_hostile_target_is_allowed() {
    for (raw_headers, strips) in SETUPS {
        let Some(scene) = scene(raw_headers, strips).await else {
            return;
        };
        let mut told = String::new();
        for target in hostile::targets() {
            let (status, requests) = reached(&scene, &target.request(hostile::HOST)).await;
            if !requests.is_empty() || status.is_some_and(|status| status < 400) {
                let _ = writeln!(told, "{}: {status:?}, {}", target.name, target.why);
            }
        }
        assert!(told.is_empty(), "\n{told}");
        let (answer, requests) = scene.ask("GET", OPEN, &[]).await;
        assert_eq!((answer.status, requests.len()), (200, 1), "it still works");
    }
}

/// Whether a name of ours carries what the client made up.
fn is_spoofed(request: &Request, marker: &str) -> bool {
    let lines = request.headers.lines().iter();
    let mut ours = lines.filter(|(name, _)| name.to_ascii_lowercase().starts_with("sidegate"));
    ours.any(|(_, value)| value.contains(marker))
}

/// What is wrong with what reached the app on an open path.
fn fault(set: &HeaderSet, requests: &[Request]) -> Option<&'static str> {
    if requests
        .iter()
        .any(|request| is_spoofed(request, &set.marker))
    {
        return Some("a spoofed header reached the app");
    }
    match set.on_open {
        OnOpen::Refused if !requests.is_empty() => Some("it reached the app"),
        OnOpen::Framed if requests.len() > 1 => Some("it became two requests"),
        OnOpen::Framed if requests.iter().any(|it| it.target != OPEN) => Some("another target"),
        OnOpen::Stripped
        | OnOpen::Harmless
        | OnOpen::Refused
        | OnOpen::Framed
        | OnOpen::Bounded => None,
    }
}

#[tokio::test]
async fn h16_no_hostile_header_is_believed() {
    for (raw_headers, strips) in SETUPS {
        let Some(scene) = scene(raw_headers, strips).await else {
            return;
        };
        let cookie = writes::sign_in(&scene).await;
        scene.app.answer(|_| Reply::status(200).body("ok"));
        let session = cookie.split_once('=').unwrap().1;
        let mut told = String::new();
        for set in hostile::header_sets() {
            let (status, requests) =
                reached(&scene, &set.request(hostile::HOST, CLOSED, session)).await;
            if !requests.is_empty() {
                let _ = writeln!(told, "{} on {CLOSED}: {status:?}, {}", set.name, set.why);
            }
            let (status, requests) =
                reached(&scene, &set.request(hostile::HOST, OPEN, session)).await;
            if let Some(fault) = fault(&set, &requests) {
                let _ = writeln!(told, "{} on {OPEN}: {status:?}, {fault}", set.name);
            }
        }
        assert!(
            told.is_empty(),
            "raw {raw_headers}, strips {strips}\n{told}"
        );
    }
}
