//! Envoy, forward-auth and another Sidegate over TLS.

use harness::raw;
use proto::envoy::service::auth::v3::{CheckRequest, authorization_client::AuthorizationClient};
use sidecar::Sidecar;

use crate::{
    authority::{Authority, Kind},
    client::Client,
    scene::{Scene, tcp},
};

#[tokio::test]
async fn nobody_but_envoy_asks_where_envoy_does() {
    let scene = Scene::start().await;
    let names = ["envoy.shop.example"];
    let envoy = scene
        .clients
        .sign(scene.path(), "envoy", Kind::Client, &names);
    let desk = scene.desk();
    for (certificate, is_admitted) in [(Some(&envoy), true), (Some(&desk), false), (None, false)] {
        let channel = scene.channel(scene.envoy(), certificate);
        let answer = AuthorizationClient::new(channel)
            .check(CheckRequest::default())
            .await;
        let is_answered = answer.is_ok_and(|answer| answer.into_inner().status.is_some());
        assert_eq!(is_answered, is_admitted, "{certificate:?}");
    }
}

#[tokio::test]
async fn forward_auth_is_asked_over_tls() {
    let scene = Scene::start().await;
    let client = Client::new(&scene.path().join("servers.pem"), None, &["http/1.1"]);
    let described = [
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Host", "books.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    let answer = client.ask(
        scene.forward_auth(),
        "GET",
        "/forward-auth/caddy",
        &described,
    );
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The proxy of a Sidegate that asks the one of the scene, known to it by `named`.
async fn asked_by(scene: &Scene, ca: &str, named: &str) -> u16 {
    let folder = tempfile::tempdir().unwrap();
    let at = scene.path().display();
    let (grpc, app) = (scene.grpc(), scene.app.address());
    let policy = format!(
        r#"
decide: {{ remote: {{ address: "https://{grpc}", ca: {at}/{ca}, {named} }} }}
listen:
  telemetry: 127.0.0.1:0
  admin: unix:./admin.sock
  proxy: {{ address: "127.0.0.1:0", upstream: "http://{app}", caller: front }}
callers: {{ front: {{ uid: 4711, may: [ authorize, session.self ] }} }}
"#
    );
    std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
    let bound = Sidecar::builder(folder.path().join("sidegate.yaml"));
    let bound = bound.bind().await.unwrap();
    let proxy = tcp(bound.addresses.proxy.as_ref().unwrap());
    let running = tokio::spawn(bound.run(std::future::pending()));
    let request = raw::request("GET", "/public", "books.example", &[], b"");
    let answer = raw::exchange(proxy, &request, raw::DEADLINE).await;
    running.abort();
    answer.unwrap().status
}

#[tokio::test]
async fn another_sidegate_asks_over_tls_by_certificate_or_token() {
    let scene = Scene::start().await;
    let at = scene.path();
    let pair = |name: &str| {
        let at = at.display();
        format!("certificate: {at}/{name}.pem, key: {at}/{name}.key")
    };
    let names = ["spiffe://shop.example/edge"];
    scene.clients.sign(at, "edge", Kind::Client, &names);
    let strangers = Authority::new("clients");
    strangers.sign(at, "strange", Kind::Client, &names);
    strangers.write(at, "strangers");
    let token = format!("token_file: {}/edge.token", at.display());
    for (ca, named, status) in [
        ("servers.pem", &*token, 200),
        ("servers.pem", &*pair("edge"), 200),
        ("servers.pem", &*pair("strange"), 503),
        ("strangers.pem", &*token, 503),
    ] {
        assert_eq!(asked_by(&scene, ca, named).await, status, "{ca} {named}");
    }
}
