//! What is open through Envoy ends with the session that opened it, where Envoy has us look at
//! answers (R17).

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use harness::{
    raw::{self, Connection},
    recorder::Reply,
};
use tokio::sync::mpsc;

use crate::scene::{Scene, Setup};

/// After so long, what was not ended stays open.
const LONG: Duration = Duration::from_millis(600);

async fn start() -> Option<Scene> {
    let setup = Setup {
        writes: true,
        ..Setup::default()
    };
    Scene::start(setup).await
}

/// Signs in; gives the cookie.
async fn sign_in(scene: &Scene) -> String {
    scene.app.answer(|request| {
        let call = request.header("sidegate-call").unwrap_or_default();
        Reply::status(200)
            .header("Sidegate-Call", call)
            .header("Sidegate-Session-Set", r#"{"subject":"u1"}"#)
    });
    let (answer, _) = scene.ask("POST", "/login", &[]).await;
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn log_out(scene: &Scene, cookie: &str) {
    scene.app.answer(|request| {
        let call = request.header("sidegate-call").unwrap_or_default();
        Reply::status(200)
            .header("Sidegate-Call", call)
            .header("Sidegate-Session-Clear", "this")
    });
    let headers = [("Cookie", cookie), ("Sec-Fetch-Site", "same-origin")];
    let (answer, _) = scene.ask("POST", "/logout", &headers).await;
    assert_eq!(answer.status, 200);
}

/// Asks for this, and leaves the connection open.
async fn open(scene: &Scene, target: &str, headers: &str) -> (Connection, raw::Head) {
    let mut client = Connection::open(scene.envoy.http(), raw::DEADLINE)
        .await
        .unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: books.example\r\n{headers}\r\n");
    client.send(request.as_bytes()).await.unwrap();
    let head = client.head().await.unwrap();
    (client, head)
}

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn is_open(socket: &mut Connection) -> bool {
    socket.send(b"ping").await.is_ok() && socket.read_some().await.is_ok_and(|read| read == b"ping")
}

#[tokio::test]
async fn r17_a_socket_through_envoy_ends_with_its_session() {
    let Some(scene) = start().await else { return };
    let (own, another) = (sign_in(&scene).await, sign_in(&scene).await);
    scene.app.answer(|_| Reply::upgrade("websocket"));
    let headers = format!("Cookie: {own}\r\nSec-Fetch-Site: same-origin\r\n{WEBSOCKET}");
    let (mut socket, head) = open(&scene, "/closed", &headers).await;
    assert_eq!(head.status, 101);
    assert!(is_open(&mut socket).await);
    log_out(&scene, &another).await;
    tokio::time::sleep(LONG).await;
    assert!(is_open(&mut socket).await, "another session has ended");
    log_out(&scene, &own).await;
    let end = socket.read_some().await;
    let has_ended = matches!(&end, Ok(read) if read.is_empty())
        || matches!(&end, Err(raw::NoAnswer::Closed(_)));
    assert!(has_ended, "{end:?}");
}

#[tokio::test]
async fn r17_a_stream_through_envoy_breaks_off_with_its_session() {
    let Some(scene) = start().await else { return };
    let own = sign_in(&scene).await;
    let (piece, pieces) = mpsc::unbounded_channel();
    let pieces = Mutex::new(Some(pieces));
    scene
        .app
        .answer(move |_| Reply::events(pieces.lock().unwrap().take().unwrap()));
    piece.send(Bytes::from_static(b"data: 1\n\n")).unwrap();
    let (mut client, head) = open(&scene, "/closed", &format!("Cookie: {own}\r\n")).await;
    assert_eq!(head.status, 200);
    log_out(&scene, &own).await;
    let mut seen = Vec::new();
    let body = client.body(&head, false, |piece| seen.extend_from_slice(piece));
    let (_, is_whole) = body.await.unwrap();
    assert_eq!(String::from_utf8_lossy(&seen), "data: 1\n\n");
    assert!(!is_whole, "the client must not take it for the end");
}
