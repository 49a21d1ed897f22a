//! Bodies and connections: streamed, bounded where a decision reads them, and ended in time.

use std::{io::ErrorKind, time::Duration};

use bytes::Bytes;
use harness::{
    raw::{self, Connection},
    recorder::{App, Reply},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use crate::scene::Scene;

const HEAD: &str = "Host: books.example\r\n";

#[tokio::test]
async fn an_answer_is_passed_on_piece_by_piece() {
    let scene = Scene::start().await;
    let (piece, pieces) = mpsc::unbounded_channel();
    let pieces = std::sync::Mutex::new(Some(pieces));
    scene
        .app
        .answer(move |_| Reply::events(pieces.lock().unwrap().take().unwrap()));
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("GET /public/events HTTP/1.1\r\n{HEAD}\r\n");
    client.send(request.as_bytes()).await.unwrap();
    piece.send(Bytes::from_static(b"data: 1\n\n")).unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let mut seen = Vec::new();
    for number in 2..4 {
        // Each is sent only once the one before it has arrived.
        let expected = format!("data: {}\n\n", number - 1);
        while !String::from_utf8_lossy(&seen).contains(&expected) {
            seen.extend(client.read_some().await.unwrap());
        }
        piece.send(format!("data: {number}\n\n").into()).unwrap();
    }
}

#[tokio::test]
async fn a_body_that_a_decision_reads_reaches_the_app_as_it_came() {
    let scene = Scene::start().await;
    let json = [("Content-Type", "application/json")];
    let body = br#" { "note" : "abc", "more": [1.0] } "#;
    let (answer, reached) = scene.post("POST", "/note", &json, body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(reached[0].body, body);
    for (headers, body, status) in [
        (json.to_vec(), &br#"{"note":"too long"}"#[..], 403),
        (json.to_vec(), br#"{"note":"a","note":"b"}"#, 400),
        (json.to_vec(), br#"{"note":"#, 400),
        (vec![("Content-Type", "text/plain")], b"note", 403),
        (
            vec![json[0], ("Content-Encoding", "gzip")],
            br#"{"note":"a"}"#,
            403,
        ),
    ] {
        let (answer, reached) = scene.post("POST", "/note", &headers, body).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!((answer.status, reached.len()), (status, 0), "{shown}");
    }
    let long = format!("{{\"note\":\"a\",\"x\":\"{}\"}}", "x".repeat(70 * 1024));
    let (answer, reached) = scene.post("POST", "/note", &json, long.as_bytes()).await;
    assert_eq!((answer.status, reached.len()), (413, 0));
}

#[tokio::test]
async fn a_form_says_numbers_and_truths_as_a_query_does() {
    let scene = Scene::start().await;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for (body, status) in [
        ("count=9&gift=true", 200),
        ("count=10&gift=true", 403),
        ("count=9&gift=false", 403),
        ("count=09&gift=true", 403),
        ("count=few&gift=true", 403),
        ("count=9&count=9&gift=true", 400),
    ] {
        let (answer, reached) = scene.post("POST", "/order", &form, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let passed: Vec<_> = reached.iter().map(|request| &*request.body).collect();
        let expected: &[&[u8]] = if status == 200 {
            &[body.as_bytes()]
        } else {
            &[]
        };
        assert_eq!(passed, expected, "the app reads the form as it was sent");
    }
}

#[tokio::test]
async fn a_body_that_no_decision_reads_may_be_of_any_length() {
    let scene = Scene::start().await;
    let body = vec![b'x'; 3 * 1024 * 1024];
    let (answer, reached) = scene.post("POST", "/public/upload", &[], &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(reached[0].body_length, body.len() as u64);
    scene
        .app
        .answer(|_| Reply::status(200).zeros(8 * 1024 * 1024));
    let (answer, _) = scene.ask("GET", "/public/download", &[]).await;
    assert_eq!(
        (answer.body.len(), answer.complete),
        (8 * 1024 * 1024, true)
    );
}

/// Whether its length is said beforehand or not.
#[tokio::test]
async fn a_body_that_is_longer_than_any_may_be_is_refused() {
    let scene = Scene::with("max_body_bytes: 10").await;
    let head = format!("POST /public/x HTTP/1.1\r\n{HEAD}");
    for (rest, status) in [
        ("Content-Length: 10\r\n\r\n0123456789", 200),
        ("Content-Length: 11\r\n\r\n0123456789a", 413),
        (
            "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
            200,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n",
            413,
        ),
    ] {
        let request = format!("{head}{rest}");
        let answer = raw::exchange(scene.proxy, request.as_bytes(), raw::DEADLINE).await;
        assert_eq!(answer.unwrap().status, status, "{rest}");
        let whole = scene.app.take().into_iter().filter(|it| it.body_length > 0);
        assert_eq!(whole.count(), usize::from(status == 200), "{rest}");
    }
}

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel_for_those_who_may() {
    let scene = Scene::start().await;
    scene.app.answer(|_| Reply::upgrade("echo"));
    let asks = "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("GET /public/socket HTTP/1.1\r\n{HEAD}{asks}");
    client.send(request.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 101);
    for text in ["ping", "pong"] {
        client.send(text.as_bytes()).await.unwrap();
        assert_eq!(client.read_some().await.unwrap(), text.as_bytes());
    }
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("GET /me HTTP/1.1\r\n{HEAD}{asks}");
    client.send(request.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 401);
}

/// As long as the app reads nothing, nobody else may take what comes for it.
#[tokio::test]
async fn what_a_client_sends_after_the_app_closed_its_side_of_a_tunnel_arrives() {
    const LENGTH: usize = 32 * 1024 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let (start, may_read) = oneshot::channel();
    let app = tokio::spawn(async move {
        let (mut app, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(app.read_u8().await.unwrap());
        }
        let switch = "HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nbye";
        app.write_all(switch.as_bytes()).await.unwrap();
        app.shutdown().await.unwrap();
        may_read.await.unwrap();
        let mut rest = Vec::new();
        app.read_to_end(&mut rest).await.unwrap();
        rest.len()
    });
    let scene = Scene::before(App::ok().await, upstream, "timeout: 60s").await;
    let mut client = TcpStream::connect(scene.proxy).await.unwrap();
    let asks = "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let request = format!("GET /public/socket HTTP/1.1\r\n{HEAD}{asks}");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    let is_switched = said.starts_with("HTTP/1.1 101") && said.ends_with("bye");
    assert!(is_switched, "{said}");
    let piece = vec![0; 64 * 1024];
    let (mut left, mut start) = (LENGTH, Some(start));
    while left > 0 {
        let room = tokio::time::timeout(Duration::from_millis(200), client.writable()).await;
        if room.is_err() {
            // All there is between the two is full.
            if let Some(start) = start.take() {
                start.send(()).unwrap();
            }
            continue;
        }
        match client.try_write(&piece[..left.min(piece.len())]) {
            Ok(sent) => left -= sent,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert!(start.is_none(), "the app had to read for all to be sent");
    client.shutdown().await.unwrap();
    assert_eq!(app.await.unwrap(), LENGTH);
}

/// HTTP/2 in a tunnel would bring requests that nobody is asked about.
#[tokio::test]
async fn h02_no_tunnel_opens_for_another_http() {
    let scene = Scene::start().await;
    for protocol in ["h2c", "HTTP/2.0", "websocket, h2c"] {
        let request = format!(
            "GET /public/x HTTP/1.1\r\n{HEAD}Connection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
        client.send(request.as_bytes()).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!(head.status, 200, "{protocol}");
        let requests = scene.app.take();
        for name in ["upgrade", "http2-settings"] {
            assert_eq!(requests[0].header(name), None, "{protocol}");
        }
    }
}

#[tokio::test]
async fn connections_to_the_app_are_kept_and_used_again() {
    let scene = Scene::start().await;
    for _ in 0..5 {
        assert_eq!(scene.ask("GET", "/public/x", &[]).await.0.status, 200);
    }
    assert_eq!(scene.app.connections(), 1);
}

#[tokio::test]
async fn an_app_that_is_away_or_breaks_off_is_a_bad_gateway() {
    let gone = App::ok().await;
    let nowhere = gone.address();
    drop(gone);
    let scene = Scene::before(App::ok().await, nowhere, "timeout: 60s").await;
    let (answer, _) = scene.ask("GET", "/public/x", &[]).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.header("sidegate-outcome"), None, "it is no verdict");
    let scene = Scene::start().await;
    scene.app.answer(|_| Reply::close());
    let (answer, _) = scene.ask("POST", "/public/x", &[]).await;
    assert_eq!(answer.status, 502);
    scene
        .app
        .answer(|_| Reply::status(200).cut_after("half", 100));
    let (answer, _) = scene.ask("GET", "/public/x", &[]).await;
    assert!(!answer.complete, "the client sees that it was cut");
}

#[tokio::test]
async fn an_app_that_is_silent_is_a_gateway_timeout() {
    let scene = Scene::with("timeout: 1s").await;
    scene.app.answer(|_| Reply::hang());
    let (answer, _) = scene.ask("GET", "/public/x", &[]).await;
    assert_eq!(answer.status, 504);
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_body_is_given_up() {
    let scene = Scene::with("timeout: 1s").await;
    for target in ["/public/x", "/note"] {
        let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
        let request = format!(
            "POST {target} HTTP/1.1\r\n{HEAD}Content-Type: application/json\r\n\
             Content-Length: 100\r\n\r\n{{"
        );
        client.send(request.as_bytes()).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 408, "{target}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request_to_the_app() {
    let scene = Scene::start().await;
    scene.app.answer(|_| Reply::hang());
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("GET /public/x HTTP/1.1\r\n{HEAD}\r\n");
    client.send(request.as_bytes()).await.unwrap();
    scene.app.received(1).await;
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(20), scene.app.open_connections(0));
    assert!(ended.await.is_ok(), "the app still has the connection");
}

#[tokio::test]
async fn a_client_that_expects_to_be_asked_for_its_body_is() {
    let scene = Scene::start().await;
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!(
        "POST /public/x HTTP/1.1\r\n{HEAD}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    );
    client.send(request.as_bytes()).await.unwrap();
    let interim = client.read_some().await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{interim:?}");
    client.send(b"ab").await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
}
