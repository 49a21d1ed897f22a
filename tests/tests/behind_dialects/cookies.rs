//! Cookies of ours beside those of the app, and what caches may keep of it (C-02, R13).

use std::time::Duration;

use harness::{
    raw::{self, Answer},
    real::printed::Proxy,
    recorder::Reply,
};

use crate::{
    scene::{Scene, unknown_token},
    scripted::{Scripted, allow},
};

/// The app has a cookie of its own, and lets everybody keep its answers.
fn with_own_cookie() -> Reply {
    Reply::status(200)
        .header("Set-Cookie", "own=1")
        .header("Cache-Control", "public")
        .body("ok")
}

/// No cache may keep an answer with a cookie of ours. Traefik's configuration says that there it
/// may.
fn assert_private(proxy: Proxy, answer: &Answer) {
    let expected = match proxy {
        Proxy::Traefik => "public",
        Proxy::Nginx | Proxy::Caddy | Proxy::Envoy => "private, no-store",
    };
    let said = answer.headers.all("cache-control");
    assert_eq!(said, [expected], "{proxy:?}");
}

fn sorted(answer: &Answer) -> Vec<&str> {
    let mut cookies = answer.headers.all("set-cookie");
    cookies.sort_unstable();
    cookies
}

#[tokio::test]
async fn r13_a_renewed_cookie_reaches_the_client_beside_the_apps_own() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        scene.app.answer(|_| with_own_cookie());
        let old = scene.sign_in().await;
        let (answer, _) = scene.ask("GET", "/me", &[("Cookie", &old)]).await;
        assert_eq!(answer.headers.all("set-cookie"), ["own=1"], "{proxy:?}");
        assert_eq!(answer.headers.all("cache-control"), ["public"], "{proxy:?}");

        scene.clock.advance(Duration::from_secs(7 * 3600));
        let (answer, requests) = scene.ask("GET", "/me", &[("Cookie", &old)]).await;
        assert_eq!((answer.status, requests.len()), (200, 1), "{proxy:?}");
        let cookies = sorted(&answer);
        assert_eq!((cookies.len(), cookies[1]), (2, "own=1"), "{proxy:?}");
        let new = cookies[0].split(';').next().unwrap();
        assert!(new.starts_with("__Host-session=sg1_"), "{proxy:?} {new}");
        assert_ne!(new, old);
        assert_private(proxy, &answer);
        let (answer, requests) = scene.ask("GET", "/me", &[("Cookie", new)]).await;
        assert_eq!(requests[0].header("sidegate-subject"), Some("u1"));
        assert_eq!(answer.headers.all("set-cookie"), ["own=1"], "{proxy:?}");
    }
}

#[tokio::test]
async fn r09_a_dead_cookie_is_taken_away_on_an_allow_and_on_a_refusal() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let dead = format!("__Host-session={}", unknown_token(1));
        for (target, status) in [("/public/a", 200), ("/me", 401)] {
            let (answer, _) = scene.ask("GET", target, &[("Cookie", &dead)]).await;
            assert_eq!(answer.status, status, "{proxy:?}");
            let cookies = answer.headers.all("set-cookie");
            assert_eq!(cookies.len(), 1, "{proxy:?} {target}: {cookies:?}");
            let is_gone = cookies[0].starts_with("__Host-session=;");
            assert!(is_gone && cookies[0].contains("Max-Age=0"), "{cookies:?}");
        }
    }
}

/// Each is a header of its own, on an allow and on a refusal.
#[tokio::test]
async fn two_cookies_are_two_headers() {
    let cookies = [
        "__Host-session=a; Path=/; Expires=Thu, 01 Jan 2026 00:00:00 GMT",
        "__Host-session=b",
    ];
    for proxy in Proxy::FORWARD_AUTH {
        for refused in [false, true] {
            let script = move |_: &_| {
                let reply = match refused {
                    false => allow(),
                    true => Reply::status(401).header("Sidegate-Outcome", "unauthenticated"),
                };
                let numbered = match (proxy, refused) {
                    (Proxy::Nginx, _) | (Proxy::Caddy, false) => &cookies[..],
                    _ => &[],
                };
                let reply = cookies
                    .iter()
                    .fold(reply, |r, c| r.header("Set-Cookie", *c));
                let names = ["Sidegate-Cookie-1", "Sidegate-Cookie-2"];
                let numbered = names.into_iter().zip(numbered);
                numbered.fold(reply, |reply, (name, cookie)| reply.header(name, *cookie))
            };
            let Some(scene) = Scripted::start(proxy, script).await else {
                continue;
            };
            scene.app.answer(|_| with_own_cookie());
            let request = raw::request("GET", "/public/a", "books.example", &[], b"");
            let (answer, requests) = scene.ask(&request).await;
            assert_eq!(requests.is_empty(), refused, "{proxy:?}");
            let own = [cookies[0], cookies[1], "own=1"];
            let expected = &own[..if refused { 2 } else { 3 }];
            assert_eq!(sorted(&answer), expected, "{proxy:?}");
        }
    }
}
