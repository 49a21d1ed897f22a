//! Who calls, as the app learns it by headers (H-05, H-06).

use harness::{real::printed::Proxy, recorder::Request};

use crate::scene::Scene;

const IDENTITY: [&str; 5] = [
    "sidegate-subject",
    "sidegate-session",
    "sidegate-operation",
    "sidegate-decision-id",
    "sidegate-call",
];

fn values<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    let own = request.headers.all(name);
    assert!(own.len() <= 1, "{name}: {own:?}");
    own
}

#[tokio::test]
async fn h05_the_app_learns_who_calls() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let cookie = scene.sign_in().await;
        let (answer, requests) = scene.ask("GET", "/me?x=1", &[("Cookie", &cookie)]).await;
        assert_eq!((answer.status, &*answer.text()), (200, "ok"), "{proxy:?}");
        let request = &requests[0];
        assert_eq!((&*request.method, &*request.target), ("GET", "/me?x=1"));
        assert_eq!(request.header("host"), Some("books.example"), "{proxy:?}");
        assert_eq!(values(request, "sidegate-subject"), ["u1"], "{proxy:?}");
        assert_eq!(values(request, "sidegate-operation"), ["me"], "{proxy:?}");
        for name in IDENTITY {
            let own = values(request, name);
            assert!(own.len() == 1 && !own[0].is_empty(), "{proxy:?} {name}");
        }
    }
}

/// An absent header says the same as an empty one: that nobody is signed in.
#[tokio::test]
async fn h05_nobody_is_empty_whatever_the_client_says() {
    let evil = [
        ("Sidegate-Subject", "evil"),
        ("sidegate-session", "evil"),
        ("SIDEGATE-CALL", "evil"),
        ("Sidegate_Subject", "evil"),
        ("Sidegate-Outcome", "evil"),
        ("Sidegate-Cookie-1", "evil"),
    ];
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        for headers in [&[][..], &evil] {
            let (answer, requests) = scene.ask("GET", "/public/a", headers).await;
            assert_eq!(answer.status, 200, "{proxy:?}");
            assert!(!requests[0].mentions("evil"), "{proxy:?} {requests:?}");
            for name in ["sidegate-subject", "sidegate-session"] {
                let said = values(&requests[0], name).concat();
                assert_eq!(said, "", "{proxy:?} {name}");
            }
            let operation = values(&requests[0], "sidegate-operation");
            assert_eq!(operation, ["public"], "{proxy:?}");
        }
    }
}

/// A client's `Connection` takes away no header that the proxy sets.
#[tokio::test]
async fn h06_a_client_cannot_have_the_identity_taken_away() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let cookie = scene.sign_in().await;
        let headers = [
            ("Cookie", &*cookie),
            ("Connection", "close, Sidegate-Subject, Sidegate-Session"),
        ];
        let (answer, requests) = scene.ask("GET", "/me", &headers).await;
        assert_eq!(answer.status, 200, "{proxy:?}");
        let subject = values(&requests[0], "sidegate-subject");
        assert_eq!(subject, ["u1"], "{proxy:?}");
    }
}

/// T-25: no client has proven to hold a certificate here, whatever its headers say, and the caller
/// would be believed.
#[tokio::test]
async fn t25_no_header_is_a_certificate() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        for header in harness::hostile::CERTIFICATE_HEADERS {
            let (answer, requests) = scene.ask("GET", "/me", &[header]).await;
            assert_eq!(answer.status, 401, "{proxy:?} {header:?}");
            assert!(requests.is_empty(), "{proxy:?} {header:?}");
            let (answer, requests) = scene.ask("GET", "/public/a", &[header]).await;
            assert_eq!(answer.status, 200, "{proxy:?} {header:?}");
            let subject = values(&requests[0], "sidegate-subject").concat();
            assert_eq!(subject, "", "{proxy:?} {header:?}");
        }
    }
}

/// Also names of later versions are ours alone. nginx cannot take away what it has no name of, so
/// that Sidegate refuses the request.
#[tokio::test]
async fn h05_a_name_of_ours_that_nobody_knows_does_not_pass() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let evil = [("Sidegate-Future", "evil")];
        let (answer, requests) = scene.ask("GET", "/public/a", &evil).await;
        assert!(!requests.iter().any(|it| it.mentions("evil")), "{proxy:?}");
        let expected = match proxy {
            Proxy::Nginx => (400, 0),
            Proxy::Caddy | Proxy::Traefik | Proxy::Envoy => (200, 1),
        };
        assert_eq!((answer.status, requests.len()), expected, "{proxy:?}");
    }
}
