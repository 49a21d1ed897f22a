//! Handshakes: what is served to whom, and who is turned away.

use harness::raw;
use rustls::HandshakeKind;
use tokio::io::AsyncWriteExt as _;

use crate::{
    authority::{Authority, Kind},
    client::Client,
    scene::{Scene, tcp},
};

#[tokio::test]
async fn a_wrong_certificate_is_refused_and_none_is_not() {
    let scene = Scene::start().await;
    let (at, clients) = (scene.path(), &scene.clients);
    let names = ["spiffe://shop.example/desk"];
    let sign = |kind, name| clients.sign(at, name, kind, &names);
    let strangers = Authority::new("clients");
    for (what, certificate, is_served) in [
        ("none", None, true),
        ("good", Some(sign(Kind::Client, "good")), true),
        ("expired", Some(sign(Kind::ExpiredClient, "old")), false),
        (
            "of tomorrow",
            Some(sign(Kind::ClientOfTomorrow, "new")),
            false,
        ),
        ("a server's", Some(sign(Kind::Server, "own")), false),
        (
            "of another authority",
            Some(strangers.sign(at, "strange", Kind::Client, &names)),
            false,
        ),
    ] {
        let ca = at.join("servers.pem");
        let client = Client::new(&ca, certificate.as_ref(), &["http/1.1"]);
        for address in [scene.proxy(), scene.http(), scene.forward_auth()] {
            let heard = client.ask(address, "GET", "/public", &[]).await;
            assert_eq!(heard.is_ok(), is_served, "{what}: {heard:?}");
        }
    }
}

#[tokio::test]
async fn where_certificates_name_clients_each_handshake_is_a_whole_one() {
    let scene = Scene::start().await;
    let client = Client::new(&scene.path().join("servers.pem"), None, &["http/1.1"]);
    let kinds = client.twice(scene.proxy()).await;
    assert_eq!(kinds, [Some(HandshakeKind::Full); 2]);
}

#[tokio::test]
async fn the_protocol_is_agreed_on_in_the_handshake() {
    let scene = Scene::start().await;
    let ca = scene.path().join("servers.pem");
    for (address, offered, agreed) in [
        (scene.proxy(), &["h2", "http/1.1"][..], Ok(Some("h2"))),
        (scene.proxy(), &["http/1.1"], Ok(Some("http/1.1"))),
        (scene.proxy(), &[], Ok(None)),
        (scene.proxy(), &["spdy"], Err(())),
        (scene.http(), &["http/1.1"], Ok(Some("http/1.1"))),
        (scene.grpc(), &["http/1.1", "h2"], Ok(Some("h2"))),
        (scene.grpc(), &["http/1.1"], Err(())),
    ] {
        let client = Client::new(&ca, None, offered);
        let connected = client.connect(address).await.map_err(|_| ());
        let got = connected.map(|stream| {
            let agreed = stream.get_ref().1.alpn_protocol();
            agreed.map(|name| String::from_utf8(name.to_vec()).unwrap())
        });
        let agreed = agreed.map(|name| name.map(ToOwned::to_owned));
        assert_eq!(got, agreed, "{offered:?}");
    }
}

#[tokio::test]
async fn nothing_is_served_in_the_clear_where_tls_is() {
    let scene = Scene::start().await;
    for address in [
        scene.http(),
        scene.proxy(),
        scene.grpc(),
        scene.forward_auth(),
    ] {
        let answer = raw::get(address, "/public").await.unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("https://"), "{}", answer.text());
    }
    assert!(scene.app.take().is_empty(), "nothing reaches the app");
}

#[tokio::test]
async fn tls_to_a_listener_in_the_clear_fails_at_once() {
    let scene = Scene::start().await;
    let telemetry = tcp(scene.addresses.telemetry.as_ref().unwrap());
    let client = Client::new(&scene.path().join("servers.pem"), None, &[]);
    assert!(client.connect(telemetry).await.is_err());
}

#[tokio::test]
async fn a_handshake_in_the_middle_does_not_hold_up_the_end() {
    let scene = Scene::start().await;
    let mut silent = tokio::net::TcpStream::connect(scene.proxy()).await.unwrap();
    silent.write_all(&[22, 3, 1]).await.unwrap();
    // It has been accepted once another one has been served.
    let client = Client::new(&scene.path().join("servers.pem"), None, &[]);
    client
        .ask(scene.proxy(), "GET", "/public", &[])
        .await
        .unwrap();
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(5), scene.stopped());
    stopped.await.unwrap();
}
