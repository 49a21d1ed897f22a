//! What apps write by headers of their response, with no library of ours (R11, R26).

use harness::{
    raw::Answer,
    recorder::{Reply, Request},
};

use crate::scene::{Scene, Setup};

async fn scene() -> Option<Scene> {
    Scene::start(Setup {
        writes: true,
        ..Setup::default()
    })
    .await
}

/// An answer that asks for a change, with the handle of its request and a cookie of the app's.
fn writing(request: &Request, status: u16, header: &str, value: &str) -> Reply {
    let call = request.header("sidegate-call").unwrap_or_default();
    Reply::status(status)
        .header("Set-Cookie", "own=1")
        .header("Cache-Control", "public")
        .header("Sidegate-Call", call)
        .header(header, value)
        .body("from the app")
}

const SIGN_IN: (&str, &str) = ("Sidegate-Session-Set", r#"{"subject":"u1"}"#);

/// The session's cookie as a client sends it back.
fn cookie(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.all("set-cookie");
    let own = cookies
        .iter()
        .rev()
        .find(|it| it.starts_with("__Host-session="))?;
    Some(own.split(';').next()?.to_owned())
}

fn assert_nothing_of_ours(answer: &Answer) {
    let lines = answer.headers.lines();
    let ours = |name: &str| name.to_ascii_lowercase().starts_with("sidegate");
    assert!(!lines.iter().any(|(name, _)| ours(name)), "{lines:?}");
}

pub(crate) async fn sign_in(scene: &Scene) -> String {
    scene
        .app
        .answer(|request| writing(request, 200, SIGN_IN.0, SIGN_IN.1));
    let (answer, _) = scene.ask("POST", "/login", &[]).await;
    assert_eq!((answer.status, &*answer.text()), (200, "from the app"));
    assert_eq!(answer.headers.all("set-cookie").len(), 2);
    assert_eq!(answer.headers.all("set-cookie")[0], "own=1");
    assert_eq!(answer.headers.all("cache-control"), ["private, no-store"]);
    assert_nothing_of_ours(&answer);
    cookie(&answer).unwrap()
}

#[tokio::test]
async fn r11_an_app_signs_in_changes_and_logs_out_by_headers() {
    let Some(scene) = scene().await else {
        return;
    };
    let cookie = sign_in(&scene).await;
    let as_user = [("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
    scene.app.answer(|request| {
        let patch = r#"{"theme":"dark"}"#;
        writing(request, 200, "Sidegate-Session-Patch", patch)
    });
    let (answer, requests) = scene.ask("POST", "/theme", &as_user).await;
    assert_eq!(answer.status, 200);
    assert_eq!(requests[0].header("sidegate-subject"), Some("u1"));
    assert_nothing_of_ours(&answer);

    scene
        .app
        .answer(|request| writing(request, 500, "Sidegate-Session-Clear", "this"));
    let (answer, requests) = scene.ask("POST", "/logout", &as_user).await;
    assert_eq!((answer.status, requests.len()), (500, 1));
    let gone = answer.headers.all("set-cookie");
    assert!(gone[1].contains("Max-Age=0"), "{gone:?}");
    assert!(answer.header("clear-site-data").is_some());
    let (answer, requests) = scene.ask("GET", "/closed", &as_user).await;
    assert_eq!((answer.status, requests.len()), (401, 0));
}

#[tokio::test]
async fn r26_what_does_not_know_the_handle_writes_nothing_and_is_withheld() {
    let Some(scene) = scene().await else {
        return;
    };
    let stale = sign_in(&scene).await;
    assert!(!stale.is_empty());
    for call in ["", "c2VhbGVk", "not base64url!"] {
        scene.app.answer(move |_| {
            Reply::status(200)
                .header("Set-Cookie", "own=1")
                .header("Sidegate-Call", call)
                .header(SIGN_IN.0, SIGN_IN.1)
                .body("from the app")
        });
        let (answer, requests) = scene.ask("POST", "/login", &[]).await;
        assert_eq!((answer.status, requests.len()), (503, 1), "{call}");
        assert!(!answer.text().contains("from the app"), "{call}");
        assert!(answer.headers.all("set-cookie").is_empty(), "{call}");
    }
    // An operation that may not sign in, and one with nobody to change.
    scene
        .app
        .answer(|request| writing(request, 200, SIGN_IN.0, SIGN_IN.1));
    let (answer, _) = scene.ask("GET", "/either", &[]).await;
    assert_eq!((answer.status, cookie(&answer)), (503, None));
}

#[tokio::test]
async fn r11_an_app_that_failed_signs_nobody_in() {
    let Some(scene) = scene().await else {
        return;
    };
    scene
        .app
        .answer(|request| writing(request, 500, SIGN_IN.0, SIGN_IN.1));
    let (answer, _) = scene.ask("POST", "/login", &[]).await;
    assert_eq!((answer.status, &*answer.text()), (500, "from the app"));
    assert_eq!(cookie(&answer), None);
    assert_nothing_of_ours(&answer);
}

#[tokio::test]
async fn what_writes_nothing_passes_as_it_is() {
    let Some(scene) = scene().await else {
        return;
    };
    let (answer, requests) = scene.ask("GET", "/closed", &[]).await;
    assert_eq!((answer.status, requests.len()), (401, 0));
    assert_eq!(answer.json()["reason"], "session_required");
    let (answer, requests) = scene.ask("GET", "/open", &[]).await;
    assert_eq!((answer.status, requests.len()), (200, 1));
    assert_eq!(answer.text(), "ok");
}
