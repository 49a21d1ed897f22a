//! What is open ends with the session that opened it, and with nothing else (R17).

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use harness::{
    raw::{self, Connection},
    recorder::{Reply, Request},
};
use sidecar::edge::lasting::Rhythm;
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::scene::{Scene, cookie, writing};

const RHYTHM: Rhythm = Rhythm {
    interval: Duration::from_millis(50),
    grace: Duration::from_secs(30),
};
/// After so many questions, what was not ended by them stays open.
const LONG: Duration = Duration::from_millis(600);

const HEAD: &str = "Host: books.example\r\nSec-Fetch-Site: same-origin\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/// An app whose `/me` and `/public/socket` are sockets, and which does what its path says.
fn app(request: &Request) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default();
    let asked = request.target.split_once('?').map(|(_, asked)| asked);
    let sign_in = ("Sidegate-Session-Set", r#"{"subject":"u1"}"#);
    match path {
        "/me" | "/public/socket" => Reply::upgrade("echo"),
        // The first thing that the socket does is to sign in.
        "/login" if asked == Some("socket") => Reply::upgrade("echo")
            .header(
                "Sidegate-Call",
                request.header("sidegate-call").unwrap_or_default(),
            )
            .header(sign_in.0, sign_in.1),
        "/login" if asked == Some("short") => writing(
            request,
            200,
            ("Sidegate-Session-Set", r#"{"subject":"u1","ttl":2}"#),
        ),
        "/login" if asked == Some("other") => writing(
            request,
            200,
            ("Sidegate-Session-Set", r#"{"subject":"u2"}"#),
        ),
        "/login" => writing(request, 200, sign_in),
        "/theme" => writing(
            request,
            200,
            ("Sidegate-Session-Patch", r#"{"theme":"dark"}"#),
        ),
        "/logout" => writing(
            request,
            200,
            ("Sidegate-Session-Clear", asked.unwrap_or("this")),
        ),
        _ => Reply::status(404),
    }
}

async fn start() -> Scene {
    let scene = Scene::in_rhythm(RHYTHM).await;
    scene.app.answer(app);
    scene
}

/// Signs in at this target; gives the cookie.
async fn sign_in(scene: &Scene, target: &str) -> String {
    let (answer, _) = scene.ask("POST", target, &[]).await;
    cookie(&answer).unwrap()
}

async fn post(scene: &Scene, target: &str, own: &str) {
    let headers = [("Cookie", own), ("Sec-Fetch-Site", "same-origin")];
    let (answer, _) = scene.ask("POST", target, &headers).await;
    assert_eq!(answer.status, 200, "{target}");
}

/// Opens a socket.
async fn socket(scene: &Scene, method: &str, target: &str, own: &str) -> Connection {
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\n{HEAD}Cookie: {own}\r\n{UPGRADE}");
    client.send(request.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 101);
    assert!(is_open(&mut client).await);
    client
}

async fn is_open(socket: &mut Connection) -> bool {
    socket.send(b"ping").await.is_ok() && socket.read_some().await.is_ok_and(|read| read == b"ping")
}

/// Waits until the other side has closed it.
async fn ends(socket: &mut Connection, why: &str) {
    let end = socket.read_some().await;
    let has_ended = matches!(&end, Ok(read) if read.is_empty())
        || matches!(&end, Err(raw::NoAnswer::Closed(_)));
    assert!(has_ended, "{why}: {end:?}");
}

/// Its handshake is a GET, which a page of any site can have a browser make with our cookie.
#[tokio::test]
async fn w01_a_websocket_with_a_cookie_opens_to_own_pages_alone() {
    let scene = start().await;
    let own = sign_in(&scene, "/login").await;
    for (page, status) in [
        ("Origin: https://books.example\r\n", 101),
        ("Sec-Fetch-Site: same-origin\r\n", 101),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("", 403),
    ] {
        let _ = scene.app.take();
        let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
        let request = format!(
            "GET /me HTTP/1.1\r\nHost: books.example\r\nCookie: {own}\r\n{page}Sec-WebSocket-Version: 13\r\n{UPGRADE}"
        );
        client.send(request.as_bytes()).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, status, "{page}");
        let reached = scene.app.take().len();
        assert_eq!(reached, usize::from(status == 101), "{page}");
    }
}

#[tokio::test]
async fn r17_a_tunnel_ends_with_its_session() {
    for (by, target) in [
        ("its own logout", "/logout"),
        ("everybody's logout", "/logout?all"),
        ("a switch of user", "/login?other"),
    ] {
        let scene = start().await;
        let own = sign_in(&scene, "/login").await;
        let mut socket = socket(&scene, "GET", "/me", &own).await;
        post(&scene, target, &own).await;
        ends(&mut socket, by).await;
    }
}

#[tokio::test]
async fn r17_a_tunnel_ends_when_another_session_ends_all_or_the_others() {
    for scope in ["all", "others"] {
        let scene = start().await;
        let own = sign_in(&scene, "/login").await;
        let another = sign_in(&scene, "/login").await;
        let mut socket = socket(&scene, "GET", "/me", &own).await;
        post(&scene, &format!("/logout?{scope}"), &another).await;
        ends(&mut socket, scope).await;
    }
}

#[tokio::test]
async fn r17_a_tunnel_ends_when_its_session_expires() {
    let scene = start().await;
    let own = sign_in(&scene, "/login?short").await;
    let mut socket = socket(&scene, "GET", "/me", &own).await;
    ends(&mut socket, "two seconds are over").await;
}

#[tokio::test]
async fn r17_a_tunnel_that_signed_in_ends_with_that_session() {
    let scene = start().await;
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("POST /login?socket HTTP/1.1\r\n{HEAD}{UPGRADE}");
    client.send(request.as_bytes()).await.unwrap();
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 101);
    let own = head.headers.first("set-cookie").unwrap();
    let own = own.split(';').next().unwrap().to_owned();
    assert!(is_open(&mut client).await);
    post(&scene, "/logout", &own).await;
    ends(&mut client, "it logged out").await;
}

#[tokio::test]
async fn r17_a_tunnel_outlives_what_does_not_end_its_session() {
    let scene = start().await;
    let own = sign_in(&scene, "/login").await;
    let another = sign_in(&scene, "/login").await;
    let mut socket = socket(&scene, "GET", "/me", &own).await;
    post(&scene, "/theme", &own).await;
    post(&scene, "/logout", &another).await;
    tokio::time::sleep(LONG).await;
    assert!(is_open(&mut socket).await);
}

#[tokio::test]
async fn r17_a_tunnel_of_nobody_stays() {
    let scene = start().await;
    let mut socket = socket(&scene, "GET", "/public/socket", "a=1").await;
    tokio::time::sleep(LONG).await;
    assert!(is_open(&mut socket).await);
}

/// An app that sends what the test does, for as long as it does.
fn streaming(scene: &Scene) -> UnboundedSender<Bytes> {
    let (piece, pieces) = mpsc::unbounded_channel();
    let pieces = Mutex::new(Some(pieces));
    scene.app.answer(move |request| match &*request.target {
        "/me" => Reply::events(pieces.lock().unwrap().take().unwrap()),
        _ => app(request),
    });
    piece
}

#[tokio::test]
async fn r17_a_streamed_answer_breaks_off_with_its_session() {
    let scene = start().await;
    let own = sign_in(&scene, "/login").await;
    let piece = streaming(&scene);
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("GET /me HTTP/1.1\r\n{HEAD}Cookie: {own}\r\n\r\n");
    client.send(request.as_bytes()).await.unwrap();
    piece.send(Bytes::from_static(b"data: 1\n\n")).unwrap();
    let head = client.head().await.unwrap();
    post(&scene, "/logout", &own).await;
    let mut seen = Vec::new();
    let body = client.body(&head, false, |piece| seen.extend_from_slice(piece));
    let (_, is_whole) = body.await.unwrap();
    assert_eq!(String::from_utf8_lossy(&seen), "data: 1\n\n");
    assert!(!is_whole, "the client must not take it for the end");
}

/// Sends half of a request's body with this session, which was let through.
async fn upload(scene: &Scene, own: &str) -> Connection {
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!(
        "POST /theme HTTP/1.1\r\n{HEAD}Cookie: {own}\r\nContent-Length: 10\r\n\
         Expect: 100-continue\r\n\r\n"
    );
    client.send(request.as_bytes()).await.unwrap();
    // Who sends it on asks for it.
    let interim = client.read_some().await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{interim:?}");
    client.send(b"12345").await.unwrap();
    client
}

#[tokio::test]
async fn r17_a_request_that_is_still_sent_is_broken_off_with_its_session() {
    let scene = start().await;
    let own = sign_in(&scene, "/login").await;
    let mut client = upload(&scene, &own).await;
    post(&scene, "/logout", &own).await;
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 401);
    assert!(head.headers.all("www-authenticate")[0].contains("invalid_token"));
    let requests = scene.app.take();
    let mut whole = requests.iter().filter(|request| request.complete);
    let has_come = whole.any(|request| request.target == "/theme");
    assert!(!has_come, "the app never had the whole request");
}

/// As where the app logged out by the session API, and takes its time to say so.
#[tokio::test(flavor = "multi_thread")]
async fn r17_a_request_that_has_come_whole_gets_its_answer_whatever_became_of_its_session() {
    let scene = start().await;
    let own = sign_in(&scene, "/login").await;
    let (release, released) = std::sync::mpsc::channel();
    let released = Mutex::new(released);
    scene.app.answer(move |request| match &*request.target {
        "/theme" => {
            released.lock().unwrap().recv().unwrap();
            Reply::status(200)
        }
        _ => app(request),
    });
    let mut client = upload(&scene, &own).await;
    client.send(b"67890").await.unwrap();
    post(&scene, "/logout", &own).await;
    tokio::time::sleep(4 * RHYTHM.interval).await;
    release.send(()).unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn r17_a_request_that_takes_its_time_is_not_broken_off() {
    let scene = start().await;
    let own = sign_in(&scene, "/login").await;
    let mut client = upload(&scene, &own).await;
    tokio::time::sleep(LONG).await;
    client.send(b"67890").await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn r17_a_stream_of_http2_is_reset_with_its_session() {
    let scene = start().await;
    let own = sign_in(&scene, "/login").await;
    let piece = streaming(&scene);
    let client = crate::http2::connect(&scene).await;
    let request = crate::http2::request("GET", "/me").header("cookie", &own);
    let answer = crate::http2::ask(client, request.body(()).unwrap(), None).await;
    let mut body = answer.into_body();
    piece.send(Bytes::from_static(b"data: 1\n\n")).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), "data: 1\n\n");
    post(&scene, "/logout", &own).await;
    let end = tokio::time::timeout(raw::DEADLINE, body.data())
        .await
        .unwrap();
    assert!(end.unwrap().unwrap_err().is_reset());
}
