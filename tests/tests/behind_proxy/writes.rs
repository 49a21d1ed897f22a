//! What an app writes by headers of its answers, with no library of ours (R11, R26).

use std::sync::{Arc, Mutex};

use harness::{
    raw::Answer,
    recorder::{Reply, Request},
};

use crate::scene::{Scene, cookie, writing};

const SIGN_IN: (&str, &str) = ("Sidegate-Session-Set", r#"{"subject":"u1"}"#);
const DARK: (&str, &str) = ("Sidegate-Session-Patch", r#"{"theme":"dark"}"#);
const CLEAR: (&str, &str) = ("Sidegate-Session-Clear", "this");

fn assert_nothing_of_ours(answer: &Answer) {
    let lines = answer.headers.lines();
    let ours = |name: &str| name.to_ascii_lowercase().starts_with("sidegate");
    assert!(!lines.iter().any(|(name, _)| ours(name)), "{lines:?}");
}

/// The session as an app reads it.
fn session(request: &Request) -> serde_json::Value {
    use base64::Engine as _;
    let encoded = request.header("sidegate-session").unwrap();
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded);
    serde_json::from_slice(&decoded.unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn a_sign_in_sets_the_cookie_beside_the_apps_own_and_is_not_cached() {
    let scene = Scene::start().await;
    scene.app.answer(|request| writing(request, 200, SIGN_IN));
    let (answer, _) = scene.ask("POST", "/login", &[]).await;
    let cookies = answer.headers.all("set-cookie");
    assert_eq!((cookies.len(), cookies[0]), (2, "own=1"));
    assert!(
        cookies[1].contains("Secure") && cookies[1].contains("HttpOnly"),
        "{cookies:?}"
    );
    assert_eq!(answer.headers.all("cache-control"), ["private, no-store"]);
    assert_nothing_of_ours(&answer);
    let own = cookie(&answer).unwrap();
    let (_, reached) = scene.ask("GET", "/me", &[("Cookie", &own)]).await;
    assert_eq!(reached[0].header("sidegate-subject"), Some("u1"));
    assert_eq!(
        reached[0].header("cookie"),
        None,
        "the app needs no secret of ours"
    );
}

#[tokio::test]
async fn r13_the_cookie_before_a_sign_in_is_dead_after_it() {
    let scene = Scene::start().await;
    let before = scene.sign_in().await;
    scene.app.answer(|request| writing(request, 200, SIGN_IN));
    let headers = [("Cookie", &*before), ("Sec-Fetch-Site", "same-origin")];
    let (answer, _) = scene.ask("POST", "/login", &headers).await;
    assert_ne!(cookie(&answer).unwrap(), before);
    let (answer, reached) = scene.ask("GET", "/me", &[("Cookie", &before)]).await;
    assert_eq!((answer.status, reached.len()), (401, 0));
}

#[tokio::test]
async fn a_patch_is_there_with_the_next_request() {
    let scene = Scene::start().await;
    let own = scene.sign_in().await;
    let headers = [("Cookie", &*own), ("Sec-Fetch-Site", "same-origin")];
    scene.app.answer(|request| writing(request, 200, DARK));
    let (answer, _) = scene.ask("POST", "/theme", &headers).await;
    assert_eq!((answer.status, cookie(&answer)), (200, None));
    let (_, reached) = scene.ask("GET", "/me", &[("Cookie", &own)]).await;
    assert_eq!(session(&reached[0])["attributes"]["theme"], "dark");
}

#[tokio::test]
async fn a_log_out_expires_the_cookie_and_clears_the_site() {
    let scene = Scene::start().await;
    let own = scene.sign_in().await;
    let headers = [("Cookie", &*own), ("Sec-Fetch-Site", "same-origin")];
    scene.app.answer(|request| writing(request, 200, CLEAR));
    let (answer, _) = scene.ask("POST", "/logout", &headers).await;
    let cookies = answer.headers.all("set-cookie");
    assert!(
        cookies.iter().any(|it| it.contains("Max-Age=0")),
        "{cookies:?}"
    );
    assert!(
        answer
            .header("clear-site-data")
            .is_some_and(|it| it.contains("storage"))
    );
    let (answer, reached) = scene.ask("GET", "/me", &[("Cookie", &own)]).await;
    assert_eq!((answer.status, reached.len()), (401, 0));
}

#[tokio::test]
async fn r26_a_change_that_echoes_no_handle_of_its_request_is_withheld() {
    let scene = Scene::start().await;
    let before = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&before);
    scene.app.answer(move |request| {
        *kept.lock().unwrap() = request.header("sidegate-call").unwrap().to_owned();
        Reply::status(200)
    });
    scene.ask("POST", "/login", &[]).await;
    let of_another = before.lock().unwrap().clone();
    assert!(!of_another.is_empty());
    for echo in ["", "AAAA", &of_another] {
        let echo = echo.to_owned();
        scene.app.answer(move |_| {
            Reply::status(200)
                .header("Sidegate-Call", echo.clone())
                .header(SIGN_IN.0, SIGN_IN.1)
                .body("from the app")
        });
        let (answer, reached) = scene.ask("POST", "/login", &[]).await;
        assert_eq!((answer.status, reached.len()), (503, 1));
        assert!(!answer.text().contains("from the app"));
        assert!(answer.headers.all("set-cookie").is_empty());
    }
}

#[tokio::test]
async fn r11_what_the_operation_may_not_write_is_withheld() {
    let scene = Scene::start().await;
    scene.app.answer(|request| writing(request, 200, SIGN_IN));
    let (answer, _) = scene.ask("GET", "/public/page", &[]).await;
    assert_eq!((answer.status, cookie(&answer)), (503, None));
    assert!(!answer.text().contains("from the app"));
}

#[tokio::test]
async fn r11_an_app_that_failed_signs_nobody_in_but_logs_out() {
    let scene = Scene::start().await;
    scene.app.answer(|request| writing(request, 500, SIGN_IN));
    let (answer, _) = scene.ask("POST", "/login", &[]).await;
    assert_eq!((answer.status, cookie(&answer)), (500, None));
    let own = scene.sign_in().await;
    scene.app.answer(|request| writing(request, 500, CLEAR));
    let headers = [("Cookie", &*own), ("Sec-Fetch-Site", "same-origin")];
    let (answer, _) = scene.ask("POST", "/logout", &headers).await;
    assert_eq!(answer.status, 500);
    let (answer, _) = scene.ask("GET", "/me", &[("Cookie", &own)]).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_patch_merges_as_rfc_7396_says() {
    let scene = Scene::start().await;
    let own = scene.sign_in().await;
    let headers = [("Cookie", &*own), ("Sec-Fetch-Site", "same-origin")];
    for patch in [
        r#"{"cart":{"b1":1,"b2":2},"note":"x"}"#,
        r#"{"cart":{"b1":null,"b3":3},"note":null}"#,
    ] {
        scene
            .app
            .answer(move |request| writing(request, 200, ("Sidegate-Session-Patch", patch)));
        let (answer, _) = scene.ask("POST", "/theme", &headers).await;
        assert_eq!(answer.status, 200);
    }
    let (_, reached) = scene.ask("GET", "/me", &[("Cookie", &own)]).await;
    let expected = serde_json::json!({ "cart": { "b2": 2, "b3": 3 } });
    assert_eq!(session(&reached[0])["attributes"], expected);
}
