//! Clients that speak HTTP/2.

use bytes::Bytes;
use h2::client::SendRequest;
use harness::recorder::App;
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::scene::Scene;

/// A connection, driven beside the test.
pub(crate) async fn connect(scene: &Scene) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(scene.proxy).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

/// Sends a request, with a body and trailers where there are any, and waits for the head of its
/// answer.
pub(crate) async fn ask(
    client: SendRequest<Bytes>,
    request: Request<()>,
    body: Option<(&'static [u8], HeaderMap)>,
) -> Response<h2::RecvStream> {
    let (answer, mut sent) = client
        .ready()
        .await
        .unwrap()
        .send_request(request, body.is_none())
        .unwrap();
    if let Some((bytes, trailers)) = body {
        sent.send_data(Bytes::from_static(bytes), false).unwrap();
        sent.send_trailers(trailers).unwrap();
    }
    answer.await.unwrap()
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://books.example{path}"))
}

#[tokio::test]
async fn a_cookie_in_crumbs_is_one() {
    let scene = Scene::start().await;
    let own = scene.sign_in().await;
    drop(scene.app.take());
    let asked = request("GET", "/me").header("cookie", "a=1");
    let asked = asked.header("cookie", own).header("cookie", "b=2");
    let answer = ask(connect(&scene).await, asked.body(()).unwrap(), None).await;
    assert_eq!(answer.status(), 200);
    let reached = scene.app.take();
    assert_eq!(reached[0].headers.all("sidegate-subject"), ["u1"]);
    assert_eq!(reached[0].headers.all("cookie"), ["a=1; b=2"]);
    assert_eq!(reached[0].headers.all("host"), ["books.example"]);
}

#[tokio::test]
async fn h05_no_trailer_says_who_calls() {
    let scene = Scene::start().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("sidegate-subject", "forged".parse().unwrap());
    let asked = request("POST", "/public/x").header("trailer", "sidegate-subject");
    let asked = asked.body(()).unwrap();
    let answer = ask(connect(&scene).await, asked, Some((b"ab", trailers))).await;
    assert_eq!(answer.status(), 200);
    let reached = scene.app.take();
    assert_eq!(reached[0].text(), "ab");
    assert!(!reached[0].mentions("forged"), "{reached:?}");
}

#[tokio::test]
async fn a_refused_grpc_call_ends_with_its_status_in_the_head() {
    let scene = Scene::start().await;
    let asked = request("POST", "/shop.Books/Sell").header("content-type", "application/grpc");
    let asked = asked.header("te", "trailers").body(()).unwrap();
    let mut answer = ask(connect(&scene).await, asked, None).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    assert_eq!(answer.headers()["grpc-status"], "7");
    assert!(answer.body_mut().data().await.is_none());
    assert!(scene.app.take().is_empty());
}

/// What a gRPC app received.
struct Received {
    head: http::request::Parts,
    body: Vec<u8>,
    trailers: HeaderMap,
}

/// Serves one call over h2c: reads all of it, and says `OK` in trailers.
async fn serve_grpc(listener: TcpListener) -> Received {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    tokio::spawn(async move { while connection.accept().await.is_some() {} });
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    let received = Received {
        head,
        body: bytes,
        trailers: body.trailers().await.unwrap().unwrap_or_default(),
    };
    let head = Response::builder().header("content-type", "application/grpc");
    let mut answer = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    answer
        .send_data(Bytes::from_static(b"\0\0\0\0\0"), false)
        .unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("sidegate-call", "leaked".parse().unwrap());
    answer.send_trailers(trailers).unwrap();
    received
}

#[tokio::test]
async fn a_grpc_call_reaches_the_app_with_nothing_forged_in_its_trailers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let app = tokio::spawn(serve_grpc(listener));
    let scene = Scene::before(App::ok().await, upstream, "timeout: 20s").await;
    let mut trailers = HeaderMap::new();
    trailers.insert("sidegate-subject", "forged".parse().unwrap());
    trailers.insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
    trailers.insert("authorization", "Bearer forged".parse().unwrap());
    trailers.insert("x-checksum", "1".parse().unwrap());
    let asked = request("POST", "/shop.Books/Buy")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let sent = Some((&b"\0\0\0\0\0"[..], trailers));
    let mut answer = ask(connect(&scene).await, asked, sent).await;
    assert_eq!(answer.status(), 200);
    let received = app.await.unwrap();
    assert_eq!(received.head.uri.path(), "/shop.Books/Buy");
    assert_eq!(received.head.headers["te"], "trailers");
    assert_eq!(received.body, b"\0\0\0\0\0");
    assert_eq!(received.trailers["x-checksum"], "1");
    assert_eq!(received.trailers.len(), 1, "{:?}", received.trailers);
    while answer.body_mut().data().await.is_some() {}
    let trailers = answer.body_mut().trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert!(!trailers.contains_key("sidegate-call"));
}
