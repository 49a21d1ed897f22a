//! Clients that speak HTTP/2.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use crate::scene::Scene;

/// A connection, driven beside the test.
async fn connect(scene: &Scene) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(scene.proxy).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

/// Sends a request, with a body and trailers where there are any, and waits for the head of its
/// answer.
async fn ask(
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

fn request(method: &str, path: &str) -> http::request::Builder {
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
    let asked = request("POST", "/shop.Books/Buy").header("content-type", "application/grpc");
    let asked = asked.header("te", "trailers").body(()).unwrap();
    let mut answer = ask(connect(&scene).await, asked, None).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    assert_eq!(answer.headers()["grpc-status"], "7");
    assert!(answer.body_mut().data().await.is_none());
    assert!(scene.app.take().is_empty());
}
