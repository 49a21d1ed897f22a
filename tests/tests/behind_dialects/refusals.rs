//! What a client sees that may not (R20), as each proxy can relay it.

use std::{net::Ipv4Addr, sync::Arc};

use auth_core::throttle::MAX_REFUSALS;
use harness::{
    failing_store::FailingStore,
    raw::{self, Answer, Connection},
    real::printed::Proxy,
    recorder::Reply,
};

use crate::{
    scene::{Scene, Setup, unknown_token},
    scripted::{Scripted, allow},
};

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

/// A request by nobody, and the status and outcome of its refusal.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], u16, &'a str);

#[tokio::test]
async fn r20_each_refusal_has_its_status() {
    let two = [("Authorization", "Bearer sg1_a"), ("X-API-Key", "k")];
    let rows: [Row<'_>; 6] = [
        ("GET", "/me", &[], 401, "unauthenticated"),
        ("GET", "/admin/users", &[], 401, "unauthenticated"),
        ("GET", "/nowhere", &[], 403, "deny"),
        ("DELETE", "/me", &[], 403, "deny"),
        ("GET", "/me", &two, 400, "invalid"),
        ("GET", "/public/a%2fb", &[], 400, "invalid"),
    ];
    for proxy in Proxy::ALL {
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
    for proxy in Proxy::ALL {
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
    for proxy in Proxy::ALL {
        let Some(mut scene) = Scene::start(proxy).await else {
            continue;
        };
        let (answer, requests) = scene.ask("GET", "/none", &[]).await;
        assert_eq!((answer.status, requests.len()), (200, 1), "{proxy:?}");
        scene.stop_sidecar().await;
        let (answer, requests) = scene.ask("GET", "/none", &[]).await;
        assert!(requests.is_empty(), "{proxy:?}");
        let expected = match proxy {
            Proxy::Nginx | Proxy::Envoy => 503,
            Proxy::Caddy => 502,
            Proxy::Traefik => 500,
        };
        assert_eq!(answer.status, expected, "{proxy:?}");
    }
}

/// nginx has one status for every answer that it cannot read; none of them is an allow.
#[tokio::test]
async fn h08_what_nginx_cannot_read_is_closed_and_named() {
    for (said, status) in [(431, 431), (400, 503), (302, 503), (404, 503), (500, 503)] {
        let script = move |_: &_| Reply::status(said).header("Location", "/elsewhere");
        let Some(scene) = Scripted::start(Proxy::Nginx, script).await else {
            return;
        };
        let request = raw::request("GET", "/public/a", "books.example", &[], b"");
        let (answer, requests) = scene.ask(&request).await;
        assert_eq!((answer.status, requests.len()), (status, 0), "{said}");
        assert_eq!(answer.headers.all("cache-control"), ["no-store"], "{said}");
        assert_eq!(answer.header("location"), None, "{said}");
        // What the app itself says is not meant.
        scene.sidecar.answer(|_| allow());
        scene.app.answer(|_| Reply::status(500).body("of the app"));
        let (answer, _) = scene.ask(&request).await;
        assert_eq!((answer.status, &*answer.text()), (500, "of the app"));
    }
}

/// A browser that navigates is sent to sign in, a program is told to.
#[tokio::test]
async fn c09_a_browser_is_sent_to_sign_in() {
    let rows = [
        ("/login", "/login?return_to=/me%3Fx%3D1"),
        (
            "https://id.example/in",
            "https://id.example/in?return_to=/me%3Fx%3D1",
        ),
    ];
    for proxy in Proxy::FORWARD_AUTH {
        for (login, location) in rows {
            let setup = Setup {
                login: Some(login),
                ..Setup::default()
            };
            let Some(scene) = Scene::with(proxy, setup).await else {
                continue;
            };
            let html = [("Accept", "text/html")];
            let (answer, requests) = scene.ask("GET", "/me?x=1", &html).await;
            assert_eq!((answer.status, requests.len()), (302, 0), "{proxy:?}");
            assert_eq!(answer.headers.all("location"), [location], "{proxy:?}");
            assert_eq!(answer.headers.all("cache-control"), ["no-store"]);
            for (method, headers) in [("GET", &[][..]), ("POST", &html)] {
                let (answer, _) = scene.ask(method, "/me", headers).await;
                let location = answer.header("location");
                assert_eq!((answer.status, location), (401, None), "{proxy:?} {method}");
            }
        }
    }
}

/// RFC 6750 section 3: whoever may sign in by a token is told so.
#[tokio::test]
async fn r09_a_refusal_names_the_ways_to_sign_in() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let wrong = format!("Bearer {}", unknown_token(1));
        let (answer, _) = scene.ask("GET", "/me", &[("Authorization", &wrong)]).await;
        assert_eq!(answer.status, 401, "{proxy:?}");
        let challenges = answer.headers.all("www-authenticate");
        assert!(
            challenges.iter().any(|it| it.contains("invalid_token")),
            "{proxy:?}: {challenges:?}"
        );
    }
}

/// Who guesses is told to wait: the client, by its own address, and not who comes by the same proxy
/// (S-21).
#[tokio::test]
async fn s21_who_guesses_is_told_to_wait() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let connect = |last| {
            let own = Ipv4Addr::new(127, 0, 0, last);
            Connection::open_from(own, scene.server.http(), raw::DEADLINE)
        };
        let token = unknown_token(1);
        let guess = format!(
            "GET /me HTTP/1.1\r\nHost: books.example\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let mut guessing = connect(2).await.unwrap();
        for number in 0..=MAX_REFUSALS {
            guessing.send(guess.as_bytes()).await.unwrap();
            let answer = guessing.answer(false).await.unwrap();
            if number < MAX_REFUSALS {
                assert_eq!(answer.status, 401, "{proxy:?} {number}");
            } else {
                assert_refused(proxy, &answer, 429, "limited");
                assert_eq!(answer.headers.all("retry-after"), ["10"], "{proxy:?}");
            }
        }
        let mut other = connect(3).await.unwrap();
        other.send(guess.as_bytes()).await.unwrap();
        let answer = other.answer(false).await.unwrap();
        assert_eq!(answer.status, 401, "{proxy:?}");
    }
}
