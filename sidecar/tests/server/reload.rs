//! A new configuration takes over at once; a bad one changes nothing (F-19).

use proto::admin::v1::{GetStatusRequest, ReloadPolicyRequest};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::harness::*;

#[tokio::test]
async fn a_changed_file_takes_over_by_itself() {
    let sidecar = start().await;
    assert_eq!(sidecar.operation().await, "hello");
    sidecar.write_app(&app("welcome"));
    until("welcome", || async {
        sidecar.operation().await == "welcome"
    })
    .await;
}

#[tokio::test]
async fn a_swapped_link_takes_over_by_itself() {
    let folder = files();
    let root = folder.path().to_owned();
    // As a ConfigMap is mounted: the file is a link through a link that is swapped.
    for (version, operation) in [("v1", "hello"), ("v2", "welcome")] {
        std::fs::create_dir(root.join(version)).unwrap();
        std::fs::write(root.join(version).join("shop.yaml"), app(operation)).unwrap();
    }
    std::os::unix::fs::symlink("v1", root.join("..data")).unwrap();
    std::fs::remove_file(root.join("apps/shop.yaml")).unwrap();
    std::os::unix::fs::symlink("../..data/shop.yaml", root.join("apps/shop.yaml")).unwrap();
    let text = policy().replace("apps/*.yaml", "apps/shop.yaml");
    std::fs::write(root.join("sidegate.yaml"), text).unwrap();
    let sidecar = start_with(builder(&folder), folder).await;
    assert_eq!(sidecar.operation().await, "hello");

    std::os::unix::fs::symlink("v2", root.join("..new")).unwrap();
    std::fs::rename(root.join("..new"), root.join("..data")).unwrap();
    until("welcome", || async {
        sidecar.operation().await == "welcome"
    })
    .await;
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_policy_and_says_so() {
    let sidecar = start().await;
    sidecar.write_app("operations: { hello: { sesion: none, http: GET /hello } }\n");
    let mut admin = sidecar.admin_client().await;
    let refused = admin
        .reload_policy(ReloadPolicyRequest {})
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let info = refused.get_error_details().error_info().unwrap().clone();
    assert_eq!(info.reason, "POLICY_INVALID");
    assert!(refused.message().contains("apps/shop.yaml:1"), "{refused}");

    assert_eq!(sidecar.operation().await, "hello");
    let status = admin.get_status(GetStatusRequest {}).await.unwrap();
    let policy = status.into_inner().policy.unwrap();
    assert!(policy.last_error.contains("sesion"), "{policy:?}");
    assert!(policy.last_error_time.is_some());
    let (_, metrics) = get(&sidecar.telemetry(), "/metrics", "").await;
    assert!(metrics.contains("sidegate_config_last_reload_success 0\n"));

    sidecar.write_app(&app("welcome"));
    let answer = admin.reload_policy(ReloadPolicyRequest {}).await.unwrap();
    assert_eq!(answer.into_inner().policy.unwrap().last_error, "");
    assert_eq!(sidecar.operation().await, "welcome");
}

#[tokio::test]
async fn a_new_token_takes_over_with_a_reload() {
    let sidecar = start().await;
    let token = "fresh-0123456789abcdef0123456789abcdef";
    secret(&sidecar.folder.path().join("shop.token"), token);
    let mut admin = sidecar.admin_client().await;
    admin.reload_policy(ReloadPolicyRequest {}).await.unwrap();
    let channel = tcp_channel(&sidecar.tcp()).await;
    let mut client =
        proto::v1::authorization_service_client::AuthorizationServiceClient::new(channel);
    for (token, known) in [(token, true), (SHOP_TOKEN, false)] {
        let request = with_token(authorize("/hello"), Some(token));
        assert_eq!(client.authorize(request).await.is_ok(), known, "{token}");
    }
}
