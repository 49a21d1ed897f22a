//! What goes wrong is closed, also where Envoy is told to fail open.

use std::sync::Arc;

use harness::failing_store::FailingStore;

use crate::scene::{Scene, Setup, TOKEN};

#[tokio::test]
async fn nothing_passes_while_the_sidecar_is_down() {
    let Some(mut scene) = Scene::start(Setup::default()).await else {
        return;
    };
    let (answer, _) = scene.ask("GET", "/open", &[]).await;
    assert_eq!(answer.status, 200);
    scene.stop_sidecar().await;
    let (answer, requests) = scene.ask("GET", "/open", &[]).await;
    assert_eq!((answer.status, requests.len()), (503, 0));
}

#[tokio::test]
async fn r04_what_is_undetermined_fails_open_only_where_both_sides_say_so() {
    let cookie = [("cookie", unknown_session())];
    let cookie = [(cookie[0].0, &*cookie[0].1)];
    for (fails_open, error_response, status) in [
        (false, false, 503),
        (true, false, 503),
        (false, true, 503),
        (true, true, 200),
    ] {
        let setup = Setup {
            fails_open,
            error_response,
            ..Setup::default()
        };
        let Some(scene) = Scene::with_store(setup, Arc::new(FailingStore)).await else {
            return;
        };
        let mut headers = cookie.to_vec();
        headers.push(("sidegate-subject", "evil"));
        let (answer, requests) = scene.ask("GET", "/closed", &headers).await;
        assert_eq!(answer.status, status, "{setup:?}");
        assert_eq!(requests.len(), usize::from(status == 200), "{setup:?}");
        assert!(requests.iter().all(|request| !request.mentions("evil")));
        // A refusal never fails open.
        let (answer, requests) = scene.ask("GET", "/nowhere", &headers).await;
        assert_eq!((answer.status, requests.len()), (403, 0), "{setup:?}");
    }
}

/// A cookie that only the store could judge.
fn unknown_session() -> String {
    use auth_core::{grammar::TokenText, random::SystemRandom, session::SessionToken};
    let token = SessionToken::generate(&SystemRandom, [0, 0]).unwrap();
    format!(
        "__Host-session={}",
        TokenText::new(token.as_bytes()).as_str()
    )
}

#[tokio::test]
async fn what_is_no_text_is_refused_by_us_and_is_no_error_that_may_pass() {
    let setup = Setup {
        fails_open: true,
        ..Setup::default()
    };
    for raw_headers in [true, false] {
        let Some(scene) = Scene::start(Setup {
            raw_headers,
            ..setup
        })
        .await
        else {
            return;
        };
        for request in [
            &b"GET /open\xff HTTP/1.1\r\nHost: books.example\r\nConnection: close\r\n\r\n"[..],
            b"GET /open?\xff\xfe HTTP/1.1\r\nHost: books.example\r\nConnection: close\r\n\r\n",
            b"GET /closed HTTP/1.1\r\nHost: books.example\r\nConnection: close\r\nAuthorization: Bearer \xff\r\n\r\n",
            b"GET /closed HTTP/1.1\r\nHost: books.example\r\nConnection: close\r\nCookie: __Host-session=\xff\r\n\r\n",
        ] {
            let shown = request.escape_ascii().to_string();
            let (answer, requests) = scene.send(request).await.unwrap();
            assert!(matches!(answer.status, 400 | 401), "{} {shown}", answer.status);
            assert!(requests.is_empty(), "{shown}");
        }
        let authorized = format!("Bearer {TOKEN}");
        let (answer, _) = scene
            .ask("GET", "/closed", &[("authorization", &authorized)])
            .await;
        assert_eq!(answer.status, 200, "Envoy asks, and is answered");
    }
}
