//! What else passes: bodies, upgrades, connections, and what does not leave.

use std::time::Duration;

use harness::{
    raw::{self, Connection},
    real::printed::Proxy,
    recorder::Reply,
};

use crate::scene::{Scene, ok};

/// What an app says to Sidegate, and what Sidegate says to apps.
pub(crate) const OURS: [&str; 14] = [
    "Sidegate-Subject",
    "Sidegate-Session",
    "Sidegate-Operation",
    "Sidegate-Decision-Id",
    "Sidegate-Call",
    "Sidegate-Assertion",
    "Sidegate-Outcome",
    "Sidegate-Login",
    "Sidegate-Cookie-1",
    "Sidegate-Cookie-2",
    "Sidegate-Token",
    "Sidegate-Session-Set",
    "Sidegate-Session-Patch",
    "Sidegate-Session-Clear",
];

#[tokio::test]
async fn r26_nothing_of_ours_reaches_the_client() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        // Envoy has Sidegate look at answers, which would take these for a change without a handle.
        let is_change =
            move |name: &str| proxy == Proxy::Envoy && name.starts_with("Sidegate-Session-");
        scene.app.answer(move |_| {
            let names = OURS.iter().filter(|name| !is_change(name));
            let reply = ok().header("X-Own", "kept");
            names.fold(reply, |reply, name| reply.header(name, "x"))
        });
        for (target, status) in [("/public/a", 200), ("/me", 401), ("/nowhere", 403)] {
            let (answer, _) = scene.ask("GET", target, &[]).await;
            assert_eq!(answer.status, status, "{proxy:?}");
            let lines = answer.headers.lines();
            let ours = |name: &str| name.to_ascii_lowercase().starts_with("sidegate");
            let ours: Vec<_> = lines.iter().filter(|(name, _)| ours(name)).collect();
            assert!(ours.is_empty(), "{proxy:?} {target}: {ours:?}");
            let kept = (status == 200).then_some("kept");
            assert_eq!(answer.header("x-own"), kept, "{proxy:?}");
        }
    }
}

#[tokio::test]
async fn bodies_reach_the_app_whole() {
    let large = vec![b'x'; 1_000_000];
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        for body in [&b"a=1"[..], &large] {
            let (answer, requests) = scene.post("POST", "/public/a", &[], body).await;
            assert_eq!((answer.status, &*answer.text()), (200, "ok"), "{proxy:?}");
            assert!(
                requests[0].complete && requests[0].body == body,
                "{proxy:?}"
            );
        }
        let chunked = "POST /public/a HTTP/1.1\r\nHost: books.example\r\nConnection: close\r\n\
                       Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let answer = raw::exchange(scene.server.http(), chunked.as_bytes(), raw::DEADLINE).await;
        assert_eq!(answer.unwrap().status, 200, "{proxy:?}");
        assert_eq!(scene.app.take()[0].text(), "abcde", "{proxy:?}");
        // The body of what is refused is no matter.
        let (answer, requests) = scene.post("POST", "/me", &[], &large).await;
        assert_eq!((answer.status, requests.len()), (401, 0), "{proxy:?}");
    }
}

#[tokio::test]
async fn heads_and_large_answers_pass() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let request = raw::request("HEAD", "/public/a", "books.example", &[], b"");
        let mut connection = Connection::open(scene.server.http(), raw::DEADLINE)
            .await
            .unwrap();
        connection.send(&request).await.unwrap();
        let answer = connection.answer(true).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{proxy:?}");
        assert_eq!(scene.app.take()[0].method, "HEAD", "{proxy:?}");
        scene.app.answer(|_| Reply::status(200).zeros(3_000_000));
        let (answer, _) = scene.ask("GET", "/public/a", &[]).await;
        assert_eq!(
            (answer.body.len(), answer.complete),
            (3_000_000, true),
            "{proxy:?}"
        );
    }
}

#[tokio::test]
async fn a_websocket_opens_where_it_may() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        scene.app.answer(|_| Reply::upgrade("websocket"));
        let asked = |target: &str| {
            format!(
                "GET {target} HTTP/1.1\r\nHost: books.example\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
        };
        let mut open = Connection::open(scene.server.http(), raw::DEADLINE)
            .await
            .unwrap();
        open.send(asked("/public/socket").as_bytes()).await.unwrap();
        let head = open.head().await.unwrap();
        assert_eq!(head.status, 101, "{proxy:?}");
        open.send(b"to and fro").await.unwrap();
        let mut back = Vec::new();
        while back.len() < 10 {
            back.extend(open.read_some().await.unwrap());
        }
        assert_eq!(back, b"to and fro", "{proxy:?}");
        let request = &scene.app.take()[0];
        let operation = request.header("sidegate-operation");
        assert_eq!(operation, Some("public"), "{proxy:?}");

        let mut closed = Connection::open(scene.server.http(), raw::DEADLINE)
            .await
            .unwrap();
        closed.send(asked("/me").as_bytes()).await.unwrap();
        assert_eq!(closed.head().await.unwrap().status, 401, "{proxy:?}");
        assert!(scene.app.take().is_empty(), "{proxy:?}");
    }
}

/// Its handshake is a GET, which a page of any site can have a browser make with our cookie.
#[tokio::test]
async fn w01_a_websocket_with_a_cookie_opens_to_own_pages_alone() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let cookie = scene.sign_in().await;
        scene.app.answer(|_| Reply::upgrade("websocket"));
        for (page, status) in [
            ("Origin: https://books.example\r\n", 101),
            ("Sec-Fetch-Site: same-origin\r\n", 101),
            ("Origin: https://evil.example\r\n", 403),
            ("Origin: null\r\n", 403),
            ("Sec-Fetch-Site: same-site\r\n", 403),
            ("", 403),
        ] {
            let mut client = Connection::open(scene.server.http(), raw::DEADLINE)
                .await
                .unwrap();
            let request = format!(
                "GET /me HTTP/1.1\r\nHost: books.example\r\nCookie: {cookie}\r\n{page}\
                 Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            client.send(request.as_bytes()).await.unwrap();
            let head = client.head().await.unwrap();
            assert_eq!(head.status, status, "{proxy:?} {page}");
            let reached = scene.app.take().len();
            assert_eq!(reached, usize::from(status == 101), "{proxy:?} {page}");
        }
    }
}

/// Each request is asked about, also on a connection that was allowed something before.
#[tokio::test]
async fn h02_a_connection_that_stays_open_is_asked_about_each_time() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let mut client = Connection::open(scene.server.http(), raw::DEADLINE)
            .await
            .unwrap();
        for (target, status) in [("/public/a", 200), ("/me", 401), ("/public/b", 200)] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: books.example\r\n\r\n");
            client.send(request.as_bytes()).await.unwrap();
            let answer = client.answer(false).await.unwrap();
            assert_eq!(answer.status, status, "{proxy:?} {target}");
        }
        let targets: Vec<_> = scene.app.take().into_iter().map(|it| it.target).collect();
        assert_eq!(targets, ["/public/a", "/public/b"], "{proxy:?}");
        assert_eq!(scene.app.connections(), 1, "{proxy:?}");
    }
}

/// An answer that goes on for long arrives piece by piece.
#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let (events, pieces) = tokio::sync::mpsc::unbounded_channel();
        let pieces = std::sync::Mutex::new(Some(pieces));
        scene.app.answer(move |_| {
            let pieces = pieces.lock().unwrap().take().expect("one request");
            Reply::events(pieces).header("X-Accel-Buffering", "no")
        });
        let deadline = Duration::from_secs(20);
        let mut client = Connection::open(scene.server.http(), deadline)
            .await
            .unwrap();
        let request = "GET /public/events HTTP/1.1\r\nHost: books.example\r\n\r\n";
        client.send(request.as_bytes()).await.unwrap();
        let mut seen = String::new();
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            events.send(event.into()).unwrap();
            while !seen.contains(event) {
                let piece = client.read_some().await.unwrap();
                assert!(!piece.is_empty(), "{proxy:?}: {seen}");
                seen.push_str(&String::from_utf8_lossy(&piece));
            }
        }
    }
}

/// HTTP/2 in a tunnel would bring requests that nobody is asked about, past every decision: an app
/// that speaks it never gets to know that a client wants to.
#[tokio::test]
async fn h02_no_tunnel_opens_for_requests_that_nobody_is_asked_about() {
    let asked = [
        "Upgrade: h2c",
        "Upgrade: H2C",
        "Upgrade: HTTP/2.0",
        "Upgrade: websocket, h2c",
        "Upgrade: h2c, websocket",
        "Upgrade: h2c\r\nUpgrade: websocket",
        "Upgrade: websocket\r\nUpgrade: h2c",
    ];
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        scene.app.answer(|request| match request.header("upgrade") {
            Some(protocol) => Reply::upgrade(protocol),
            None => ok(),
        });
        for lines in asked {
            let request = format!(
                "GET /public/a HTTP/1.1\r\nHost: books.example\r\n\
                 Connection: Upgrade, HTTP2-Settings\r\n{lines}\r\n\
                 HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            );
            let address = scene.server.http();
            let mut client = Connection::open(address, raw::DEADLINE).await.unwrap();
            client.send(request.as_bytes()).await.unwrap();
            let _ = client.head().await;
            for request in scene.app.take() {
                let told = request.headers.all("upgrade").concat().to_lowercase();
                let is_http = told.contains("h2") || told.contains("http");
                assert!(!is_http, "{proxy:?} `{lines}`: {told}");
            }
        }
    }
}
