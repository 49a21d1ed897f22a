//! Who may ask, and how they are known (R25).

use std::{
    convert::Infallible, future::poll_fn, os::unix::fs::PermissionsExt as _, time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;

use proto::{
    admin::v1::{GetStatusRequest, admin_service_client::AdminServiceClient},
    v1::{self, authorization_service_client::AuthorizationServiceClient},
};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt as _;
use tower::Service as _;

use crate::harness::*;

/// Why a request was refused; empty when it was not.
fn reason<T>(result: Result<T, tonic::Status>) -> String {
    match result {
        Ok(_) => String::new(),
        Err(status) => status.get_error_details().error_info().map_or_else(
            || format!("{:?}", status.code()),
            |info| info.reason.clone(),
        ),
    }
}

async fn decides(channel: Channel, token: Option<&str>) -> String {
    let mut client = AuthorizationServiceClient::new(channel);
    reason(
        client
            .authorize(with_token(authorize("/hello"), token))
            .await,
    )
}

async fn manages(channel: Channel, token: Option<&str>) -> String {
    let request = with_token(v1::ListSessionsRequest::default(), token);
    reason(store_client(channel).list_sessions(request).await)
}

async fn administers(channel: Channel, token: Option<&str>) -> String {
    let mut client = AdminServiceClient::new(channel);
    reason(
        client
            .get_status(with_token(GetStatusRequest {}, token))
            .await,
    )
}

#[tokio::test]
async fn a_caller_is_known_by_its_token_or_user_and_held_to_its_grants() {
    let sidecar = start().await;
    let tcp = tcp_channel(&sidecar.tcp()).await;
    let unix = unix_channel(&sidecar.unix()).await;
    let admin = unix_channel(&sidecar.admin()).await;
    let wrong = format!("{SHOP_TOKEN}x");
    for (socket, channel, token, expected) in [
        // Decides, manages sessions, administers.
        ("tcp", &tcp, None, ["CALLER_UNKNOWN"; 2]),
        ("tcp", &tcp, Some(SHOP_TOKEN), ["", "GRANT_MISSING"]),
        ("tcp", &tcp, Some(CLERK_TOKEN), ["GRANT_MISSING"; 2]),
        ("tcp", &tcp, Some(&*wrong), ["CALLER_UNKNOWN"; 2]),
        ("tcp", &tcp, Some("short"), ["CALLER_UNKNOWN"; 2]),
        ("unix", &unix, None, ["", ""]),
        ("unix", &unix, Some(SHOP_TOKEN), ["", "GRANT_MISSING"]),
        // A presented token decides: there is no falling back to the user id.
        ("unix", &unix, Some(&*wrong), ["CALLER_UNKNOWN"; 2]),
    ] {
        let got = [
            decides(channel.clone(), token).await,
            manages(channel.clone(), token).await,
        ];
        assert_eq!(got, expected, "{socket} {token:?}");
    }
    assert_eq!(manages(admin.clone(), None).await, "");
    assert_eq!(administers(admin.clone(), None).await, "");
    assert_eq!(administers(admin, Some(SHOP_TOKEN)).await, "GRANT_MISSING");
}

#[tokio::test]
async fn an_unknown_caller_is_told_so_in_the_details() {
    let sidecar = start().await;
    let mut client = AuthorizationServiceClient::new(tcp_channel(&sidecar.tcp()).await);
    let status = client.authorize(authorize("/hello")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().domain, "sidegate");
}

#[tokio::test]
async fn a_data_socket_answers_no_administration() {
    let sidecar = start().await;
    for channel in [
        tcp_channel(&sidecar.tcp()).await,
        unix_channel(&sidecar.unix()).await,
    ] {
        assert_eq!(administers(channel, None).await, "Unimplemented");
    }
}

#[tokio::test]
async fn the_admin_socket_belongs_to_its_user_alone() {
    let sidecar = start().await;
    let mode = std::fs::metadata(sidecar.admin())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_bad_token_file_stops_the_start() {
    let long = "0123456789abcdef0123456789abcdef";
    for (token, mode, expected) in [
        (long, 0o644, "others may read"),
        ("short", 0o600, "must have 32 to"),
        ("0123456789abcdef 0123456789abcdef", 0o600, "cannot have"),
        (CLERK_TOKEN, 0o600, "also that of caller `clerk`"),
    ] {
        let folder = files();
        let path = folder.path().join("shop.token");
        secret(&path, token);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = builder(&folder).bind().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("shop.token"), "{error}");
        assert!(!error.contains(token) || token.len() < 10, "{error}");
    }
}

/// Else anybody whom the network lets through could hold as many bodies as it likes.
#[tokio::test]
async fn a_stranger_is_refused_before_its_message_has_come() {
    let sidecar = start().await;
    for method in [
        "Authorize",
        "BatchAuthorize",
        "ContinueCall",
        "GetWireProfile",
    ] {
        let mut channel = tcp_channel(&sidecar.tcp()).await;
        let silent = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let request = http::Request::post(format!("/sidegate.v1.AuthorizationService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(tonic::body::Body::new(StreamBody::new(silent)));
        poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
        let answer = channel.call(request.unwrap());
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        let answer = answer.expect("nobody waits for a stranger").unwrap();
        assert_eq!(answer.headers()["grpc-status"], "16", "{method}");
    }
}
