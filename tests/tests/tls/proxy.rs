//! The reverse proxy over TLS.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use harness::{
    raw,
    recorder::{Reply, Request},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::{authority::Kind, client::Client, scene::Scene};

fn client(scene: &Scene, protocol: &str) -> Client {
    Client::new(&scene.path().join("servers.pem"), None, &[protocol])
}

#[tokio::test]
async fn a_browser_signs_in_and_is_known_by_its_cookie() {
    let scene = Scene::start().await;
    scene.app.answer(|request: &Request| {
        let call = request.header("sidegate-call").unwrap_or_default();
        Reply::status(200)
            .header("Sidegate-Call", call)
            .header("Sidegate-Session-Set", r#"{"subject":"u1"}"#)
    });
    let client = client(&scene, "http/1.1");
    let own = [("Origin", "https://books.example")];
    let answer = client.ask(scene.proxy(), "POST", "/login", &own).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; Secure"), "{cookie}");
    let held = [("Cookie", cookie.split(';').next().unwrap())];
    scene.app.answer(|_| Reply::status(200).body("ok"));
    let _ = scene.app.take();
    let answer = client
        .ask(scene.proxy(), "GET", "/me", &held)
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let seen = scene.app.take();
    assert_eq!(seen[0].header("sidegate-subject"), Some("u1"));
    assert_eq!(seen[0].header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn no_client_says_how_it_came() {
    let scene = Scene::start().await;
    let client = client(&scene, "http/1.1");
    let lie = [("X-Forwarded-Proto", "http")];
    let answer = client.ask(scene.proxy(), "GET", "/public", &lie).await;
    assert_eq!(answer.unwrap().status, 200);
    let seen = scene.app.take();
    assert_eq!(seen[0].headers.all("x-forwarded-proto"), ["https"]);
}

#[tokio::test]
async fn t25_a_client_is_known_by_its_certificate() {
    let scene = Scene::start().await;
    let ca = scene.path().join("servers.pem");
    let names = ["stranger.example"];
    let other = scene
        .clients
        .sign(scene.path(), "other", Kind::Client, &names);
    let desk = scene.desk();
    for (certificate, status) in [(Some(&desk), 200), (Some(&other), 401), (None, 401)] {
        let client = Client::new(&ca, certificate, &["http/1.1"]);
        let answer = client.ask(scene.proxy(), "GET", "/me", &[]).await.unwrap();
        assert_eq!(answer.status, status, "{certificate:?} {}", answer.body);
    }
    let seen = scene.app.take();
    assert_eq!(seen.len(), 1);
    // Principals of another namespace than the app's own are named in full only.
    let session = seen[0].header("sidegate-session").unwrap();
    let session = String::from_utf8(URL_SAFE_NO_PAD.decode(session).unwrap()).unwrap();
    assert!(session.contains("spiffe://shop.example/desk"), "{session}");
}

/// A browser presents its certificate wherever it is sent, as it does a cookie.
#[tokio::test]
async fn a_certificate_is_no_proof_that_a_call_is_of_the_same_site() {
    let scene = Scene::start().await;
    let ca = scene.path().join("servers.pem");
    let client = Client::new(&ca, Some(&scene.desk()), &["http/1.1"]);
    for (site, status) in [("same-origin", 200), ("cross-site", 403)] {
        let said = [("Sec-Fetch-Site", site), ("Content-Length", "0")];
        let answer = client
            .ask(scene.proxy(), "POST", "/note", &said)
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{site} {}", answer.body);
    }
}

type Tunnel = BufReader<TlsStream<TcpStream>>;

/// Opens a tunnel to an app that repeats every line.
async fn tunnel(scene: &Scene, client: &Client, target: &str) -> Tunnel {
    let mut stream = client.connect(scene.proxy()).await.unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: books.example\r\nConnection: Upgrade\r\n\
         Upgrade: echo\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 101 "), "{line}");
    while line != "\r\n" {
        line.clear();
        lines.read_line(&mut line).await.unwrap();
    }
    lines
}

async fn repeats(tunnel: &mut Tunnel) -> bool {
    let mut line = String::new();
    tunnel.write_all(b"over TLS\n").await.is_ok()
        && tunnel.read_line(&mut line).await.is_ok()
        && line == "over TLS\n"
}

#[tokio::test]
async fn an_upgrade_goes_through() {
    let scene = Scene::start().await;
    scene.app.answer(|_| Reply::upgrade("echo"));
    let mut tunnel = tunnel(&scene, &client(&scene, "http/1.1"), "/public").await;
    assert!(repeats(&mut tunnel).await);
}

/// Nothing is asked of a certificate after the handshake but by us.
#[tokio::test]
async fn t25_a_tunnel_ends_with_the_certificate_that_opened_it() {
    let scene = Scene::start().await;
    scene.app.answer(|_| Reply::upgrade("echo"));
    let ca = scene.path().join("servers.pem");
    let open = async |kind| {
        let names = ["spiffe://shop.example/desk"];
        let pair = scene.clients.sign(scene.path(), "brief", kind, &names);
        let client = Client::new(&ca, Some(&pair), &["http/1.1"]);
        let mut tunnel = tunnel(&scene, &client, "/me").await;
        assert!(repeats(&mut tunnel).await, "{kind:?}");
        tunnel
    };
    let mut lasting = open(Kind::Client).await;
    let soon = SystemTime::now() + Duration::from_secs(3);
    let mut brief = open(Kind::ClientUntil(soon)).await;
    let mut rest = String::new();
    let end = timeout(raw::DEADLINE, brief.read_line(&mut rest)).await;
    assert!(
        end.is_ok_and(|read| read.is_err() || rest.is_empty()),
        "{rest}"
    );
    assert!(SystemTime::now() >= soon);
    assert!(repeats(&mut lasting).await);
}

#[tokio::test]
async fn http_2_is_served() {
    let scene = Scene::start().await;
    let stream = client(&scene, "h2").connect(scene.proxy()).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client: h2::client::SendRequest<Bytes> = client.ready().await.unwrap();
    let request = http::Request::get("https://books.example/public");
    let (answer, _) = client
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
}
