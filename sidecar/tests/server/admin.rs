//! Administration over its socket.

use proto::{
    admin::v1::{
        CreateApiKeyRequest, ExplainDecisionRequest, GetStatusRequest, ListApiKeysRequest,
        RevokeApiKeyRequest, WatchDecisionsRequest, explain_decision_request::Who,
    },
    v1,
};
use tonic::Code;

use crate::harness::*;

fn key_for(id: &str) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        display_name: "nightly job".into(),
        subject: Some(v1::Principal {
            namespace: "local".into(),
            id: id.into(),
        }),
        ..CreateApiKeyRequest::default()
    }
}

#[tokio::test]
async fn status_tells_what_runs() {
    let sidecar = start().await;
    let mut admin = sidecar.admin_client().await;
    let status = admin
        .get_status(GetStatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert!(status.store_ready);
    assert!(status.store.contains("memory"), "{}", status.store);
    assert_eq!(status.listeners.len(), 5);
    let policy = status.policy.unwrap();
    assert_eq!(policy.operation_count, 1);
    assert!(policy.file.ends_with("sidegate.yaml"));
}

#[tokio::test]
async fn a_key_is_shown_once_listed_and_revoked() {
    let sidecar = start().await;
    let mut admin = sidecar.admin_client().await;
    let made = admin
        .create_api_key(key_for("u1"))
        .await
        .unwrap()
        .into_inner();
    assert!(made.key.starts_with("sgk_"));
    let name = made.api_key.unwrap().name;

    let request = ListApiKeysRequest::default();
    let listed = admin.list_api_keys(request).await.unwrap().into_inner();
    assert_eq!(listed.api_keys[0].name, name);
    assert_eq!(listed.api_keys[0].display_name, "nightly job");
    assert!(listed.next_page_token.is_empty());

    for was_live in [true, false] {
        let request = RevokeApiKeyRequest {
            name: name.clone(),
            reason: "leaked".into(),
        };
        let answer = admin.revoke_api_key(request).await.unwrap().into_inner();
        assert_eq!(answer.was_live, was_live);
    }
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let sidecar = start().await;
    let mut admin = sidecar.admin_client().await;
    for _ in 0..3 {
        admin.create_api_key(key_for("u1")).await.unwrap();
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    for expected in [2, 1] {
        let request = ListApiKeysRequest {
            page_size: 2,
            page_token,
            ..ListApiKeysRequest::default()
        };
        let page = admin.list_api_keys(request).await.unwrap().into_inner();
        assert_eq!(page.api_keys.len(), expected);
        names.extend(page.api_keys.into_iter().map(|key| key.name));
        page_token = page.next_page_token;
    }
    names.dedup();
    assert_eq!((names.len(), page_token.as_str()), (3, ""));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let sidecar = start().await;
    let mut admin = sidecar.admin_client().await;
    let no_subject = CreateApiKeyRequest::default();
    let foreign = CreateApiKeyRequest {
        parent: "tenants/other".into(),
        ..key_for("u1")
    };
    let lines = CreateApiKeyRequest {
        display_name: "a\nb".into(),
        ..key_for("u1")
    };
    for (request, code) in [
        (no_subject, Code::InvalidArgument),
        (foreign, Code::PermissionDenied),
        (lines, Code::InvalidArgument),
    ] {
        let refused = admin.create_api_key(request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    let forged = ListApiKeysRequest {
        page_token: "AAAA".into(),
        ..ListApiKeysRequest::default()
    };
    let refused = admin.list_api_keys(forged).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn decisions_are_seen_as_they_are_made() {
    let sidecar = start().await;
    let mut admin = sidecar.admin_client().await;
    let request = WatchDecisionsRequest {};
    let mut watch = admin.watch_decisions(request).await.unwrap().into_inner();
    let decided = sidecar.decide("/nothing?token=secret").await;
    let seen = watch.message().await.unwrap().unwrap();
    assert_eq!(seen.decision_id, decided.decision_id);
    assert_eq!((&*seen.outcome, &*seen.wire), ("deny", "http"));
    assert_eq!(seen.target, "GET /nothing");
}

#[tokio::test]
async fn a_decision_is_explained() {
    let sidecar = start().await;
    let mut admin = sidecar.admin_client().await;
    for who in [
        Who::Anonymous(true),
        Who::Subject("u1".into()),
        Who::SessionJson(br#"{"subject":"u1"}"#.as_slice().into()),
    ] {
        let request = ExplainDecisionRequest {
            wire: authorize("/hello").wire,
            data_complete: true,
            who: Some(who),
            ..ExplainDecisionRequest::default()
        };
        let answer = admin.explain_decision(request).await.unwrap().into_inner();
        assert_eq!(answer.decision.unwrap().decision(), v1::Decision::Allow);
        assert!(answer.explanation_json.starts_with(b"{"));
    }
    let typo = ExplainDecisionRequest {
        wire: authorize("/hello").wire,
        who: Some(Who::SessionJson(br#"{"role":"admin"}"#.as_slice().into())),
        ..ExplainDecisionRequest::default()
    };
    let refused = admin.explain_decision(typo).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
