//! Messages of every shape: what the app receives of a request, and the client of an answer.

use harness::{
    raw::{self, Connection},
    recorder::{App, Reply},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::scene::Scene;

const CHUNKED: &str = "POST /public/x HTTP/1.1\r\nHost: books.example\r\n\
                       Transfer-Encoding: chunked\r\n";

/// Reads until this has come.
async fn read_until(stream: &mut TcpStream, seen: &mut Vec<u8>, wanted: &str) {
    while !String::from_utf8_lossy(seen).contains(wanted) {
        let read = tokio::time::timeout(raw::DEADLINE, stream.read_buf(seen)).await;
        assert!(read.unwrap().unwrap() > 0, "the end came before `{wanted}`");
    }
}

#[tokio::test]
async fn a_body_reaches_the_app_piece_by_piece() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let scene = Scene::before(App::ok().await, upstream, "timeout: 60s").await;
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    client.send(CHUNKED.as_bytes()).await.unwrap();
    client.send(b"\r\n5\r\nfirst\r\n").await.unwrap();
    let (mut app, _) = listener.accept().await.unwrap();
    let mut seen = Vec::new();
    read_until(&mut app, &mut seen, "first").await;
    // Only now does the client go on.
    client.send(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut app, &mut seen, "last").await;
    app.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn an_app_may_answer_before_it_has_the_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let scene = Scene::before(App::ok().await, upstream, "timeout: 60s").await;
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    client.send(CHUNKED.as_bytes()).await.unwrap();
    client.send(b"\r\n5\r\nfirst\r\n").await.unwrap();
    let (mut app, _) = listener.accept().await.unwrap();
    read_until(&mut app, &mut Vec::new(), "first").await;
    app.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        .await
        .unwrap();
    let answer = client.answer(false).await.unwrap();
    assert_eq!((answer.status, &*answer.text()), (413, "big"));
}

#[tokio::test]
async fn an_answer_without_a_body_stays_one() {
    let scene = Scene::start().await;
    let (answer, reached) = scene.ask("HEAD", "/public/x", &[]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-length"), Some("2"));
    assert_eq!(reached[0].method, "HEAD");
    for status in [204, 304] {
        scene
            .app
            .answer(move |_| Reply::bytes(format!("HTTP/1.1 {status} X\r\nETag: \"a\"\r\n\r\n")));
        let (answer, _) = scene.ask("GET", "/public/x", &[]).await;
        assert_eq!((answer.status, answer.body.len()), (status, 0));
        assert_eq!(answer.header("etag"), Some("\"a\""));
        assert_eq!(answer.header("transfer-encoding"), None);
    }
}

#[tokio::test]
async fn a_chunked_answer_arrives_whole() {
    let scene = Scene::start().await;
    scene.app.answer(|_| {
        Reply::bytes(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        )
    });
    let (answer, _) = scene.ask("GET", "/public/x", &[]).await;
    assert_eq!((answer.complete, &*answer.text()), (true, "abc"));
}

#[tokio::test]
async fn h05_no_trailer_says_who_calls() {
    let scene = Scene::start().await;
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!(
        "{CHUNKED}Trailer: Sidegate-Subject\r\nTE: trailers\r\nConnection: TE\r\n\r\n\
         2\r\nab\r\n0\r\nSidegate-Subject: forged\r\n\r\n"
    );
    client.send(request.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let reached = scene.app.take();
    assert_eq!((reached.len(), &*reached[0].text()), (1, "ab"));
    assert!(!reached[0].mentions("forged"), "{reached:?}");
}

#[tokio::test]
async fn what_may_have_reached_the_app_is_not_sent_again() {
    let scene = Scene::start().await;
    assert_eq!(scene.ask("GET", "/public/x", &[]).await.0.status, 200);
    // The connection is kept, and the app closes it when it has read the next request.
    scene.app.answer(|_| Reply::close());
    let (answer, reached) = scene.post("POST", "/public/x", &[], b"once").await;
    assert_eq!((answer.status, reached.len()), (502, 1));
}

#[tokio::test]
async fn only_a_listed_proxy_is_believed_who_the_client_is() {
    let said = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("X-Real-IP", "203.0.113.8"),
        ("Forwarded", "for=203.0.113.7"),
    ];
    for (more, [way, client, scheme, host]) in [
        (
            "timeout: 60s",
            ["127.0.0.1", "127.0.0.1", "http", "books.example"],
        ),
        (
            "trusted_proxies: [ 127.0.0.1 ]",
            [
                "203.0.113.9, 127.0.0.1",
                "203.0.113.9",
                "https",
                "shop.example",
            ],
        ),
    ] {
        let scene = Scene::with(more).await;
        let (_, reached) = scene.ask("GET", "/public/x", &said).await;
        let all = |name: &str| reached[0].headers.all(name);
        assert_eq!(all("x-forwarded-for"), [way], "{more}");
        assert_eq!(all("x-real-ip"), [client], "{more}");
        assert_eq!(all("x-forwarded-proto"), [scheme], "{more}");
        assert_eq!(all("x-forwarded-host"), [host], "{more}");
        assert_eq!(all("host"), ["books.example"], "{more}");
        assert!(all("forwarded").is_empty(), "{more}");
    }
}
