//! Who is known by a certificate, and what that is worth (R25).

use proto::v1::{self, authorization_service_client::AuthorizationServiceClient};
use tonic::transport::Channel;

use crate::{
    authority::Kind,
    scene::{DESK_TOKEN, SHOP_TOKEN, Scene, manages, reason, with_token},
};

async fn decides(channel: Channel, token: Option<&str>) -> String {
    let mut client = AuthorizationServiceClient::new(channel);
    let wire = v1::WireContext {
        kind: v1::WireKind::Http.into(),
        authority: "books.example".to_owned(),
        method: "GET".to_owned(),
        target: "/public".to_owned(),
        ..v1::WireContext::default()
    };
    let request = v1::AuthorizeRequest {
        wire: Some(wire),
        data_complete: true,
        session_view: v1::SessionView::None.into(),
        ..v1::AuthorizeRequest::default()
    };
    reason(client.authorize(with_token(request, token)).await)
}

#[tokio::test]
async fn a_certificate_names_a_caller_and_suffices_where_a_token_does_not() {
    let scene = Scene::start().await;
    let (at, clients) = (scene.path(), &scene.clients);
    let desk = scene.desk();
    let nobody = clients.sign(at, "nobody", Kind::Client, &["nobody.example"]);
    let two = ["spiffe://shop.example/desk", "spiffe://shop.example/x"];
    let two = clients.sign(at, "two", Kind::Client, &two);
    let wrong = format!("{DESK_TOKEN}x");
    for (certificate, token, expected) in [
        // Decides, manages sessions.
        (None, None, ["CALLER_UNKNOWN"; 2]),
        (None, Some(SHOP_TOKEN), ["", "GRANT_MISSING"]),
        (None, Some(DESK_TOKEN), ["", "TRANSPORT_NOT_ALLOWED"]),
        (Some(&desk), None, ["", ""]),
        (Some(&desk), Some(DESK_TOKEN), ["", ""]),
        // A presented token decides: there is no falling back to the certificate.
        (Some(&desk), Some(SHOP_TOKEN), ["", "GRANT_MISSING"]),
        (Some(&desk), Some(&*wrong), ["CALLER_UNKNOWN"; 2]),
        (Some(&nobody), None, ["CALLER_UNKNOWN"; 2]),
        (
            Some(&nobody),
            Some(DESK_TOKEN),
            ["", "TRANSPORT_NOT_ALLOWED"],
        ),
        (Some(&two), None, ["CALLER_UNKNOWN"; 2]),
    ] {
        let channel = scene.channel(scene.grpc(), certificate);
        let got = [
            decides(channel.clone(), token).await,
            manages(channel, token).await,
        ];
        assert_eq!(got, expected, "{certificate:?} {token:?}");
    }
}

#[tokio::test]
async fn a_certificate_names_a_caller_of_json_too() {
    let scene = Scene::start().await;
    let desk = scene.desk();
    for (certificate, status) in [(Some(&desk), 200), (None, 401)] {
        let ca = scene.path().join("servers.pem");
        let client = crate::client::Client::new(&ca, certificate, &["http/1.1"]);
        let target = "/sidegate.v1.AuthorizationService/Authorize";
        let message = r#"{"wire":{"kind":"WIRE_KIND_HTTP","authority":"books.example",
            "method":"GET","target":"/public"},"dataComplete":true,
            "sessionView":"SESSION_VIEW_NONE"}"#;
        let heard = client.call(scene.http(), target, message).await.unwrap();
        assert_eq!(heard.status, status, "{}", heard.body);
    }
}
