//! How a sidecar begins and ends.

use std::time::Duration;

use proto::v1::authorization_service_client::AuthorizationServiceClient;
use sidecar::StartError;

use crate::harness::*;

#[tokio::test]
async fn a_socket_in_use_stops_the_start_and_is_left_alone() {
    let sidecar = start().await;
    let error = builder(&sidecar.folder).bind().await.unwrap_err();
    assert!(matches!(error, StartError::Bind(_)), "{error}");
    assert!(error.to_string().contains("is in use"), "{error}");
    assert_eq!(sidecar.operation().await, "hello");
}

#[tokio::test]
async fn a_stopped_sidecar_leaves_no_sockets_and_can_start_again() {
    let sidecar = start().await;
    sidecar.stop.cancel();
    sidecar.task.await.unwrap().unwrap();
    for name in ["s.sock", "admin.sock"] {
        assert!(!sidecar.folder.path().join(name).exists(), "{name}");
    }
    let again = start_with(builder(&sidecar.folder), sidecar.folder).await;
    assert_eq!(again.operation().await, "hello");
}

#[tokio::test]
async fn readiness_drops_before_connections_do() {
    let folder = files();
    let delayed = builder(&folder).drain_delay(Duration::from_millis(500));
    let sidecar = start_with(delayed, folder).await;
    let channel = tcp_channel(&sidecar.tcp()).await;
    sidecar.stop.cancel();
    let telemetry = sidecar.telemetry();
    until("not ready", || async {
        get(&telemetry, "/readyz", "").await.0 == 503
    })
    .await;
    let mut client = AuthorizationServiceClient::new(channel);
    let request = with_token(authorize("/hello"), Some(SHOP_TOKEN));
    assert!(client.authorize(request).await.is_ok());
    sidecar.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn open_streams_do_not_hold_the_end_up() {
    let sidecar = start().await;
    let mut admin = sidecar.admin_client().await;
    let request = proto::admin::v1::WatchDecisionsRequest {};
    let mut decisions = admin.watch_decisions(request).await.unwrap().into_inner();
    let mut manager = store_client(unix_channel(&sidecar.unix()).await);
    let request = proto::v1::WatchSessionsRequest::default();
    let mut sessions = manager.watch_sessions(request).await.unwrap().into_inner();
    assert!(sessions.message().await.unwrap().is_some());
    sidecar.stop.cancel();
    assert!(decisions.message().await.unwrap().is_none());
    let ended = sessions.message().await.unwrap_err();
    assert_eq!(ended.code(), tonic::Code::Unavailable);
    let end = tokio::time::timeout(Duration::from_secs(10), sidecar.task);
    end.await.unwrap().unwrap().unwrap();
}
