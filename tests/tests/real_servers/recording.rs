//! The recording app and the raw client, against each other: bytes arrive as they were sent.

use std::time::Duration;

use bytes::Bytes;
use harness::{
    raw::{self, Connection, DEADLINE, NoAnswer},
    recorder::{App, Reply},
};
use tokio::sync::mpsc;

async fn open(app: &App) -> Connection {
    Connection::open(app.address(), DEADLINE).await.unwrap()
}

#[tokio::test]
async fn a_request_is_recorded_as_it_came() {
    let app = App::ok().await;
    let sent = b"GET /a%2f..//\xff HTTP/1.1\r\nhOsT: b\r\nX_Y:  1\r\nX-Y: 2\r\nX-y: 3\r\n folded\r\nnocolon\r\n\r\n";
    raw::exchange(app.address(), sent, DEADLINE).await.unwrap();
    let request = app.take().remove(0);
    assert_eq!(request.target, "/a%2f..//\u{ff}");
    let expected = [
        ("hOsT", "b"),
        ("X_Y", "1"),
        ("X-Y", "2"),
        ("X-y", "3"),
        ("", " folded"),
        ("", "nocolon"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(request.headers.lines(), expected);
    assert_eq!(request.headers.all("x-y"), ["2", "3"]);
    assert_eq!(request.headers.aliases("x-y").len(), 3);
    assert!(request.mentions("folded") && !request.mentions("absent"));
}

#[tokio::test]
async fn a_chunked_body_is_recorded_with_its_trailers() {
    let app = App::ok().await;
    let sent = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-End: 1\r\n\r\n";
    raw::exchange(app.address(), sent, DEADLINE).await.unwrap();
    let request = app.take().remove(0);
    assert_eq!((request.text().as_str(), request.body_length), ("abcde", 5));
    assert_eq!(request.trailers.first("x-end"), Some("1"));
    assert!(request.complete);
}

#[tokio::test]
async fn two_requests_share_a_connection() {
    let app = App::ok().await;
    let mut connection = open(&app).await;
    for _ in 0..2 {
        connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(connection.answer(false).await.unwrap().text(), "ok");
    }
    assert_eq!((app.requests().len(), app.connections()), (2, 1));
    app.open_connections(1).await;
    drop(connection);
    app.open_connections(0).await;
}

#[tokio::test]
async fn no_answer_is_told_apart() {
    let app = App::start(|request| match request.target.as_str() {
        "/close" => Reply::close(),
        "/hang" => Reply::hang(),
        "/bytes" => Reply::bytes("SSH-2.0\r\n\r\n"),
        _ => Reply::status(200).cut_after("abc", 10),
    })
    .await;
    let ask = async |target: &str| {
        let deadline = Duration::from_millis(300);
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        raw::exchange(app.address(), request.as_bytes(), deadline).await
    };
    assert!(matches!(ask("/close").await, Err(NoAnswer::Closed(_))));
    assert!(matches!(ask("/hang").await, Err(NoAnswer::TimedOut)));
    assert!(matches!(ask("/bytes").await, Err(NoAnswer::Malformed(_))));
    let cut = ask("/cut").await.unwrap();
    assert_eq!((cut.text().as_str(), cut.complete), ("abc", false));
    app.received(4).await;
}

#[tokio::test]
async fn an_upgrade_echoes() {
    let app = App::start(|_| Reply::upgrade("websocket")).await;
    let mut connection = open(&app).await;
    let sent = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly";
    connection.send(sent).await.unwrap();
    assert_eq!(connection.head().await.unwrap().status, 101);
    assert_eq!(connection.read_some().await.unwrap(), b"early");
    connection.send(b"late").await.unwrap();
    assert_eq!(connection.read_some().await.unwrap(), b"late");
}

#[tokio::test]
async fn events_come_when_the_test_sends_them() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let reply = std::sync::Mutex::new(Some(Reply::events(receiver)));
    let app = App::start(move |_| reply.lock().unwrap().take().unwrap()).await;
    let mut connection = open(&app).await;
    connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let head = connection.head().await.unwrap();
    assert_eq!(
        head.headers.first("content-type"),
        Some("text/event-stream")
    );
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        sender.send(Bytes::from(event)).unwrap();
        let came = connection.read_some().await.unwrap();
        assert!(String::from_utf8_lossy(&came).contains(event));
    }
    drop(sender);
    assert_eq!(connection.read_some().await.unwrap(), b"0\r\n\r\n");
}

#[tokio::test]
async fn a_slow_body_comes_in_pieces() {
    let app = App::start(|_| Reply::status(200).slow(&["a", "b"], Duration::from_millis(5))).await;
    let answer = raw::get(app.address(), "/").await.unwrap();
    assert_eq!((answer.text().as_str(), answer.complete), ("ab", true));
}

#[tokio::test]
async fn a_gibibyte_streams_through() {
    const GIB: u64 = 1 << 30;
    let app = App::start(|_| Reply::status(200).zeros(GIB)).await;
    let mut connection = open(&app).await;
    connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let head = connection.head().await.unwrap();
    let mut length = 0;
    let (_, complete) = connection
        .body(&head, false, |piece| length += piece.len() as u64)
        .await
        .unwrap();
    assert_eq!((length, complete), (GIB, true));
}
