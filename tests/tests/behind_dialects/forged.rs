//! Whom no request of another site and no answer of an app signs in (C-06, R26). nginx, Caddy and
//! Traefik show Sidegate no answer, so that none of its headers may do anything there, nor go on.

use std::sync::Arc;

use auth_core::{
    clock::Timestamp,
    session::Tenant,
    store::{SessionFilter, SessionStore as _, memory::MemoryStore},
};
use cli::attack::wire::Headers;
use harness::{
    raw::{self, Connection},
    real::printed::Proxy,
    recorder::{Reply, Request},
};

use crate::{
    messages::OURS,
    scene::{Scene, Setup, ok},
};

/// The headers of ours among these.
fn ours(headers: &Headers) -> Vec<&str> {
    let lines = headers.lines().iter();
    let ours = lines.filter(|(name, _)| name.to_ascii_lowercase().starts_with("sidegate"));
    ours.map(|(name, _)| name.as_str()).collect()
}

/// Whether the answer hands out a session.
fn signs_in(headers: &Headers) -> bool {
    let cookies = headers.all("set-cookie");
    let is_new = |it: &&str| it.starts_with("__Host-session=") && !it.contains("Max-Age=0");
    cookies.iter().any(is_new)
}

#[tokio::test]
async fn c06_no_request_that_another_site_may_have_caused_signs_in() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let own = scene.sign_in().await;
        let cookie = ("Cookie", own.as_str());
        for headers in [
            vec![("Sec-Fetch-Site", "cross-site")],
            vec![("Sec-Fetch-Site", "same-site")],
            vec![("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "cors")],
            vec![("Sec-Fetch-Site", "Same-Origin")],
            vec![
                ("Sec-Fetch-Site", "same-origin"),
                ("Sec-Fetch-Site", "cross-site"),
            ],
            vec![
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Site", "same-origin"),
            ],
            vec![
                ("Sec-Fetch-Site", "cross-site"),
                ("Origin", "https://books.example"),
            ],
            vec![("Origin", "https://evil.example")],
            vec![("Origin", "https://books.example.evil.example")],
            vec![("Origin", "null")],
            vec![
                ("Origin", "https://books.example"),
                ("Origin", "https://evil.example"),
            ],
            vec![
                ("Origin", "https://evil.example"),
                ("X-Forwarded-Host", "evil.example"),
            ],
            vec![("Sec-Fetch-Mode", "navigate")],
            vec![cookie],
            vec![cookie, ("Referer", "https://books.example/")],
            vec![cookie, ("Authorization", "Bearer x")],
        ] {
            let (answer, reached) = scene.ask("POST", "/login", &headers).await;
            let status = answer.status;
            assert!(
                matches!(status, 400 | 401 | 403),
                "{proxy:?} {headers:?} {status}"
            );
            assert!(reached.is_empty(), "{proxy:?} {headers:?}");
            assert!(!signs_in(&answer.headers), "{proxy:?} {headers:?}");
        }
        for headers in [
            vec![],
            vec![("Sec-Fetch-Site", "same-origin")],
            vec![("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate")],
            vec![("Origin", "https://books.example")],
        ] {
            let (answer, reached) = scene.ask("POST", "/login", &headers).await;
            let seen = (answer.status, reached.len());
            assert_eq!(seen, (200, 1), "{proxy:?} {headers:?}");
        }
    }
}

/// An answer that asks for this change, with the handle of its very request.
fn writing(request: &Request, (name, value): (&str, &str)) -> Reply {
    let call = request.header("sidegate-call").unwrap_or_default();
    ok().header("Sidegate-Call", call).header(name, value)
}

#[tokio::test]
async fn r26_no_header_of_an_answer_changes_a_session_where_nobody_sees_it() {
    for proxy in Proxy::FORWARD_AUTH {
        let store = Arc::new(MemoryStore::new());
        let setup = Setup {
            store: store.clone(),
            ..Setup::default()
        };
        let Some(scene) = Scene::with(proxy, setup).await else {
            continue;
        };
        let own = scene.sign_in().await;
        let sessions = async || {
            let all = SessionFilter {
                include_ended: true,
                ..SessionFilter::default()
            };
            let tenant = Tenant::default();
            let page = store.list(&tenant, &all, None, 100, Timestamp::EPOCH).await;
            page.unwrap().sessions
        };
        let before = sessions().await;
        assert_eq!(before.len(), 1);
        for (target, change) in [
            ("/login", ("Sidegate-Session-Set", r#"{"subject":"u2"}"#)),
            ("/theme", ("Sidegate-Session-Patch", r#"{"theme":"dark"}"#)),
            ("/logout", ("Sidegate-Session-Clear", "all")),
        ] {
            scene.app.answer(move |request| writing(request, change));
            let headers = [("Cookie", &*own), ("Sec-Fetch-Site", "same-origin")];
            let (answer, reached) = scene.ask("POST", target, &headers).await;
            assert_eq!(
                (answer.status, reached.len()),
                (200, 1),
                "{proxy:?} {target}"
            );
            assert!(ours(&answer.headers).is_empty(), "{proxy:?} {target}");
            assert!(answer.headers.all("set-cookie").is_empty(), "{proxy:?}");
        }
        assert_eq!(sessions().await, before, "{proxy:?}");
    }
}

/// Whatever the status of the answer, and however the app writes the names.
#[tokio::test]
async fn r26_no_answer_of_an_app_brings_a_header_of_ours_to_the_client() {
    for proxy in Proxy::FORWARD_AUTH {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let spellings: [fn(&str) -> String; 3] =
            [str::to_owned, str::to_lowercase, str::to_uppercase];
        for status in [200, 201, 204, 302, 304, 401, 403, 404, 500, 503] {
            for spelled in spellings {
                scene.app.answer(move |_| {
                    let reply = Reply::status(status).header("X-Own", "kept");
                    let names = OURS.iter().map(|name| spelled(name));
                    names.fold(reply, |reply, name| {
                        reply.header(&name, "x").header(&name, "y")
                    })
                });
                let (answer, reached) = scene.ask("GET", "/public/a", &[]).await;
                let seen = (answer.status, reached.len());
                assert_eq!(seen, (status, 1), "{proxy:?} {status}");
                let left = ours(&answer.headers);
                assert!(left.is_empty(), "{proxy:?} {status}: {left:?}");
                assert_eq!(answer.header("x-own"), Some("kept"), "{proxy:?} {status}");
            }
        }
    }
}

#[tokio::test]
async fn r26_no_handshake_of_a_websocket_brings_a_header_of_ours_to_the_client() {
    for proxy in Proxy::FORWARD_AUTH {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        scene.app.answer(|_| {
            let reply = Reply::upgrade("websocket").header("X-Own", "kept");
            OURS.iter()
                .fold(reply, |reply, name| reply.header(name, "x"))
        });
        let address = scene.server.http();
        let mut client = Connection::open(address, raw::DEADLINE).await.unwrap();
        let request = "GET /public/socket HTTP/1.1\r\nHost: books.example\r\n\
                       Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.send(request.as_bytes()).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!(head.status, 101, "{proxy:?}");
        let left = ours(&head.headers).len();
        // Traefik changes nothing about such an answer, as its configuration says.
        let expected = if proxy == Proxy::Traefik {
            OURS.len()
        } else {
            0
        };
        assert_eq!(left, expected, "{proxy:?}");
    }
}

/// Caddy and Traefik take nothing out of trailers, as the README says.
#[tokio::test]
async fn r26_trailers_bring_a_header_of_ours_to_the_client_behind_two_proxies_alone() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        scene.app.answer(|_| {
            Reply::bytes(
                "HTTP/1.1 200 OK\r\nTrailer: Sidegate-Session-Clear\r\n\
                 Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\
                 Sidegate-Session-Clear: all\r\n\r\n",
            )
        });
        let asked = [("TE", "trailers")];
        let (answer, _) = scene.ask("GET", "/public/a", &asked).await;
        assert_eq!((answer.status, &*answer.text()), (200, "ok"), "{proxy:?}");
        let passes = matches!(proxy, Proxy::Caddy | Proxy::Traefik);
        assert_eq!(
            ours(&answer.trailers).len(),
            usize::from(passes),
            "{proxy:?}"
        );
    }
}
