//! Requests that are no call: another method, type or length, no bytes or the wrong ones.

use serde_json::json;

use super::scene::Scene;
use crate::{ask::*, harness::*};

#[tokio::test]
async fn a_request_that_is_no_call_is_refused() {
    let scene = Scene::new().await;
    let body = scene.good("Authorize").to_string();
    let path = path(&method("Authorize"));
    let json = "content-type: application/json\r\n";
    let host = "host: localhost\r\n";
    let token = format!("authorization: Bearer {SHOP_TOKEN}\r\n");
    let all = format!("{host}{token}{json}");
    let unknown_service = path.replace("Authorization", "Unknown");
    for (what, line, head, status, code, says) in [
        (
            "GET",
            format!("GET {path}"),
            all.clone(),
            405,
            "unimplemented",
            "only POST",
        ),
        (
            "PUT",
            format!("PUT {path}"),
            all.clone(),
            405,
            "unimplemented",
            "only POST",
        ),
        (
            "no service",
            format!("POST {unknown_service}"),
            all.clone(),
            404,
            "unimplemented",
            "no such method",
        ),
        (
            "no type",
            format!("POST {path}"),
            format!("{host}{token}"),
            415,
            "invalid_argument",
            "application/json",
        ),
        (
            "another type",
            format!("POST {path}"),
            format!("{host}{token}content-type: application/x-www-form-urlencoded\r\n"),
            415,
            "invalid_argument",
            "application/json",
        ),
        (
            "two types",
            format!("POST {path}"),
            format!("{all}{json}"),
            415,
            "invalid_argument",
            "application/json",
        ),
        (
            "compressed",
            format!("POST {path}"),
            format!("{all}content-encoding: br\r\n"),
            415,
            "invalid_argument",
            "not encoded",
        ),
        (
            "another charset",
            format!("POST {path}"),
            format!("{host}{token}content-type: application/json; charset=utf-16\r\n"),
            415,
            "invalid_argument",
            "UTF-8",
        ),
        (
            "no token",
            format!("POST {path}"),
            format!("{host}{json}"),
            401,
            "unauthenticated",
            "present its token",
        ),
        (
            "an endless timeout",
            format!("POST {path}"),
            format!("{all}connect-timeout-ms: 99999999999\r\n"),
            400,
            "invalid_argument",
            "number of milliseconds",
        ),
    ] {
        let head = format!("{line} HTTP/1.1\r\n{head}");
        let plain = exchange(&scene.http, &head, body.as_bytes()).await;
        let refused = plain.result().unwrap_err();
        assert_eq!(
            (plain.status, &*refused.code),
            (status, code),
            "{what}: {refused:?}"
        );
        assert!(refused.message.contains(says), "{what}: {refused:?}");
    }
    assert_eq!(scene.operation().await, "hello");
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_and_one_at_it_is_read() {
    let scene = Scene::new().await;
    let limit = sidecar::edge::json::MAX_BODY_BYTES;
    let good = scene.good("Authorize").to_string();
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    let read = scene.post("Authorize", padded(limit).as_bytes()).await;
    assert_eq!(read.result().unwrap()["operation"], "hello");
    let refused = scene.post("Authorize", padded(limit + 1).as_bytes()).await;
    assert_eq!(refused.status, 413);
    let refused = refused.result().unwrap_err();
    assert_eq!(refused.code, "resource_exhausted");
    assert!(refused.message.contains("131072 bytes"), "{refused:?}");
    for method in methods() {
        let (channel, token) = scene.door(method.name());
        let large = vec![0; 256 * 1024 + 1];
        let refused = ask_bytes(channel, token, &method, large).await.unwrap_err();
        assert_eq!(refused.code, "out_of_range", "{}", method.name());
        assert!(refused.message.contains("262144 bytes"), "{refused:?}");
    }
    assert_eq!(scene.operation().await, "hello");
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let scene = Scene::new().await;
    let before = scene.held().await;
    for method in methods() {
        let (channel, token) = scene.door(method.name());
        for bytes in [&[0xff; 16][..], &[0x0a, 0x7f], &[0x00]] {
            let asked = ask_bytes(channel, token, &method, bytes.to_vec()).await;
            let name = method.name();
            // The code that gRPC has for a message that cannot be parsed.
            let refused = asked.unwrap_err();
            assert_eq!(refused.code, "internal", "{name} {bytes:?}: {refused:?}");
        }
    }
    assert_eq!(scene.held().await, before);
    assert_eq!(scene.operation().await, "hello");
}

/// Answers to nothing at all: the field that is missing, or none.
const EMPTY: [(&str, &str); 23] = [
    ("Authorize", "wire"),
    ("BatchAuthorize", "caller"),
    ("ContinueCall", "CALL_INVALID"),
    ("GetWireProfile", "kind"),
    ("GetSession", "CALL_INVALID"),
    ("SetSession", "change"),
    ("ClearSession", "scope"),
    ("CreateSession", "sign_in"),
    ("ReadSession", "name"),
    ("UpdateSession", "name"),
    ("RotateSession", "name"),
    ("RevokeSession", "name"),
    ("RevokeSubject", "subject"),
    ("RevokeAllSessions", "expected_count"),
    ("ListSessions", ""),
    ("WatchSessions", ""),
    ("GetStatus", ""),
    ("ExplainDecision", "wire"),
    ("ReloadPolicy", ""),
    ("WatchDecisions", ""),
    ("CreateApiKey", "subject"),
    ("ListApiKeys", ""),
    ("RevokeApiKey", "name"),
];

#[tokio::test]
async fn an_empty_request_is_told_what_is_missing() {
    let scene = Scene::new().await;
    let before = scene.held().await;
    for method in methods() {
        let name = method.name();
        let row = EMPTY.iter().find(|(row, _)| *row == name);
        let (_, expected) = row.unwrap_or_else(|| panic!("no row for {name}"));
        // A watch of decisions has no first message.
        if name == "WatchDecisions" {
            continue;
        }
        let said = if expected.is_empty() {
            scene
                .ask(name, &json!({}))
                .await
                .map(|_| String::new())
                .unwrap_or_else(|r| r.message)
        } else {
            let refused = scene.refused(name, &json!({})).await.unwrap();
            if refused.field.is_empty() {
                refused.reason
            } else {
                refused.field
            }
        };
        assert_eq!(said, *expected, "{name}");
    }
    assert_eq!(scene.held().await, before);
}
