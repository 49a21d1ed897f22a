//! Whoever is not entrusted with it names no peer, whichever way it asks (T-25).

use proto::v1::{
    self, Outcome, authorization_service_client::AuthorizationServiceClient as Authorization,
};

use crate::harness::*;

const APP: &str = "operations: { hello: { http: GET /hello } }\n";
const STRATEGIES: &str = "strategies: [ { peer: { as: session } } ]\n";
const MESH_TOKEN: &str = "mesh-0123456789abcdef0123456789abcdef";

/// Where `shop` may ask, and `mesh` may also tell of peers.
async fn scene() -> Running {
    let folder = files();
    secret(&folder.path().join("mesh.token"), MESH_TOKEN);
    let mesh = "callers:\n  mesh: { token_file: mesh.token, may: [ authorize, peer.assert ] }";
    let policy = policy().replace("callers:", mesh) + STRATEGIES;
    std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
    std::fs::write(folder.path().join("apps/shop.yaml"), APP).unwrap();
    start_with(builder(&folder), folder).await
}

/// A call of the peer `spiffe://shop/web`.
fn of_a_peer() -> v1::AuthorizeRequest {
    let mut request = authorize("/hello");
    request.wire.as_mut().unwrap().peer = Some(v1::Peer {
        identity: "spiffe://shop/web".into(),
        certificate_sha256: vec![7; 32].into(),
        ..v1::Peer::default()
    });
    request
}

#[tokio::test]
async fn t25_a_peer_is_believed_from_who_may_tell_of_it_alone() {
    let scene = scene().await;
    let mut client = Authorization::new(tcp_channel(&scene.tcp()).await);
    for (token, outcome) in [
        (SHOP_TOKEN, Outcome::Unauthenticated),
        (MESH_TOKEN, Outcome::Allow),
    ] {
        let asked = client.authorize(with_token(of_a_peer(), Some(token)));
        let answer = asked.await.unwrap().into_inner();
        assert_eq!(answer.outcome(), outcome, "{token}");
    }
}

#[tokio::test]
async fn t25_a_peer_of_a_batch_is_believed_from_who_may_tell_of_it_alone() {
    let scene = scene().await;
    let mut client = Authorization::new(tcp_channel(&scene.tcp()).await);
    let wire = of_a_peer().wire.unwrap();
    let batch = v1::BatchAuthorizeRequest {
        caller: Some(v1::WireContext {
            method: String::new(),
            target: String::new(),
            ..wire
        }),
        items: vec![v1::BatchAuthorizeItem {
            method: "GET".into(),
            target: "/hello".into(),
            data_complete: true,
            ..v1::BatchAuthorizeItem::default()
        }],
        tenant: String::new(),
    };
    for (token, outcome) in [
        (SHOP_TOKEN, Outcome::Unauthenticated),
        (MESH_TOKEN, Outcome::Allow),
    ] {
        let asked = client.batch_authorize(with_token(batch.clone(), Some(token)));
        let answer = asked.await.unwrap().into_inner();
        assert_eq!(answer.responses[0].outcome(), outcome, "{token}");
    }
}
