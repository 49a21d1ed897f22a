//! What is too large is refused (H-13, F-13).

use proto::v1::authorization_service_client::AuthorizationServiceClient;
use tonic::{Code, metadata::MetadataMap};

use crate::harness::*;

#[tokio::test]
async fn too_many_or_too_large_header_fields_are_refused() {
    let sidecar = start().await;
    let http = sidecar.addresses.http[0].to_string();
    let many: String = (0..120).map(|n| format!("x-{n}: 1\r\n")).collect();
    let large = format!("x-large: {}\r\n", "a".repeat(20_000));
    for (address, headers) in [
        (&http, &many),
        (&http, &large),
        (&sidecar.telemetry(), &many),
        (&sidecar.telemetry(), &large),
    ] {
        assert_eq!(get(address, "/livez", headers).await.0, 431, "{address}");
    }
}

#[tokio::test]
async fn too_much_metadata_is_refused() {
    let sidecar = start().await;
    for (count, size) in [(120, 1), (1, 20_000)] {
        let mut client = AuthorizationServiceClient::new(tcp_channel(&sidecar.tcp()).await);
        let mut request = with_token(authorize("/hello"), Some(SHOP_TOKEN));
        let metadata: &mut MetadataMap = request.metadata_mut();
        for n in 0..count {
            let name = format!("x-{n}");
            let key: tonic::metadata::AsciiMetadataKey = name.parse().unwrap();
            metadata.insert(key, "a".repeat(size).parse().unwrap());
        }
        assert!(client.authorize(request).await.is_err(), "{count} x {size}");
    }
    assert_eq!(sidecar.operation().await, "hello");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let sidecar = start().await;
    let mut client = AuthorizationServiceClient::new(tcp_channel(&sidecar.tcp()).await);
    let mut message = authorize("/hello");
    message.data_json = vec![b' '; 300 * 1024].into();
    let request = with_token(message, Some(SHOP_TOKEN));
    let status = client.authorize(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}
