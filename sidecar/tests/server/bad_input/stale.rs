//! Etags that are no longer right, and handles and page tokens that never were.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::scene::{Scene, text, with};
use crate::ask::*;

/// How often two writers meet.
const ROUNDS: usize = 20;

/// Of two answers one must be a change and the other a refusal. Answers which one is the change.
fn winner(one: &Result<Value, Refused>, other: &Result<Value, Refused>) -> usize {
    let lost = match (one, other) {
        (Ok(_), Err(lost)) | (Err(lost), Ok(_)) => lost,
        both => panic!("one must win: {both:?}"),
    };
    assert_eq!(
        (&*lost.code, &*lost.reason),
        ("aborted", "ETAG_MISMATCH"),
        "{lost:?}"
    );
    assert!(
        lost.message.contains("has changed since it was read"),
        "{lost:?}"
    );
    usize::from(one.is_err())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s20_of_two_changes_by_name_with_one_etag_one_is_made() {
    let scene = Scene::new().await;
    for round in 0..ROUNDS {
        let (name, etag, _) = scene.made().await;
        let body =
            |key: &str| json!({ "name": name, "etag": etag, "patch": { "set": { key: round } } });
        let (one, other) = (body("one"), body("other"));
        let (one, other) = tokio::join!(
            scene.ask("UpdateSession", &one),
            scene.ask("UpdateSession", &other)
        );
        let key = ["one", "other"][winner(&one, &other)];
        let read = scene
            .ask("ReadSession", &json!({ "name": name }))
            .await
            .unwrap();
        assert_eq!(
            read["session"]["session"]["attributes"],
            json!({ key: round })
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s20_of_two_changes_by_handle_with_one_etag_one_is_made() {
    let scene = Scene::new().await;
    for round in 0..ROUNDS {
        let (name, etag, token) = scene.made().await;
        let call = scene.cart(&token).await;
        let body =
            |key: &str| json!({ "call": call, "etag": etag, "patch": { "set": { key: round } } });
        let (one, other) = (body("one"), body("other").to_string());
        let (one, other) = tokio::join!(scene.ask("SetSession", &one), async {
            scene.post("SetSession", other.as_bytes()).await.result()
        });
        let key = ["one", "other"][winner(&one, &other)];
        let read = scene
            .ask("ReadSession", &json!({ "name": name }))
            .await
            .unwrap();
        assert_eq!(
            read["session"]["session"]["attributes"],
            json!({ key: round })
        );
    }
}

#[tokio::test]
async fn s20_a_stale_etag_changes_nothing_by_any_verb() {
    let scene = Scene::new().await;
    let (name, stale, token) = scene.made().await;
    let call = scene.cart(&token).await;
    let change = json!({ "name": name, "patch": { "set": { "a": 1 } } });
    scene.ask("UpdateSession", &change).await.unwrap();
    let mut login = scene.good("Authorize");
    login["wire"]["method"] = "POST".into();
    login["wire"]["target"] = "/login".into();
    login["wire"]["credentials"] = json!([{ "source": 1, "text": format!("Bearer {token}") }]);
    let again = text(&scene.ask("Authorize", &login).await.unwrap(), "/call");
    let sign_in = scene.good("SetSession")["signIn"].clone();
    let all = json!({ "pageSize": 1000, "includeEnded": true });
    let before = scene.ask("ListSessions", &all).await.unwrap();
    for etag in [&*stale, "\"77\"", "\"18446744073709551615\""] {
        for (verb, body) in [
            (
                "UpdateSession",
                json!({ "name": name, "etag": etag, "patch": { "remove": ["a"] } }),
            ),
            ("RotateSession", json!({ "name": name, "etag": etag })),
            (
                "SetSession",
                json!({ "call": call, "etag": etag, "patch": { "set": { "a": 2 } } }),
            ),
            (
                "SetSession",
                json!({ "call": again, "etag": etag, "signIn": sign_in }),
            ),
            // Nobody is signed in, so that nothing can have been read.
            (
                "SetSession",
                json!({ "call": scene.call, "etag": etag, "signIn": sign_in }),
            ),
        ] {
            let refused = scene.refused(verb, &body).await;
            let refused = refused.unwrap_or_else(|fault| panic!("{verb} {body}: {fault}"));
            assert_eq!(
                (&*refused.code, &*refused.reason),
                ("aborted", "ETAG_MISMATCH"),
                "{verb}"
            );
        }
    }
    assert_eq!(scene.ask("ListSessions", &all).await.unwrap(), before);
    // With the etag that is right the sign-in is made.
    let read = scene
        .ask("GetSession", &json!({ "call": again }))
        .await
        .unwrap();
    let etag = text(&read, "/session/etag");
    let body = json!({ "call": again, "etag": etag, "signIn": sign_in });
    scene.ask("SetSession", &body).await.unwrap();
}

#[tokio::test]
async fn a_handle_that_was_not_given_to_this_caller_is_none() {
    let scene = Scene::new().await;
    let (_, _, token) = scene.made().await;
    let good = STANDARD.decode(scene.cart(&token).await).unwrap();
    let before = scene.held().await;
    let mut forged: Vec<Vec<u8>> = (0..good.len())
        .step_by(5)
        .map(|index| {
            let mut bytes = good.clone();
            bytes[index] ^= 1;
            bytes
        })
        .collect();
    forged.extend((0..good.len()).step_by(16).map(|end| good[..end].to_vec()));
    forged.push([&good[..], b"x"].concat());
    forged.push(vec![0; 60_000]);
    forged.push(token.into_bytes());
    let mut answers = std::collections::BTreeSet::new();
    for bytes in forged {
        let call = STANDARD.encode(&bytes);
        for name in ["GetSession", "SetSession", "ClearSession"] {
            let body = with(scene.good(name), "/call", call.clone().into());
            let refused = scene.refused(name, &body).await.unwrap();
            answers.insert((refused.code, refused.reason, refused.message));
        }
    }
    // The handle is right, and the caller another one.
    let call = STANDARD.encode(&good);
    let body = json!({ "call": call });
    let refused = ask(&scene.unix, None, "GetSession", &body)
        .await
        .unwrap_err();
    answers.insert((refused.code, refused.reason, refused.message));
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (code, reason, message) = answers.pop_first().unwrap();
    assert_eq!(
        (&*code, &*reason),
        ("unauthenticated", "CALL_INVALID"),
        "{message}"
    );
    assert_eq!(scene.held().await, before);
    assert!(
        scene.ask("GetSession", &body).await.is_ok(),
        "the right one is"
    );
}

#[tokio::test]
async fn a_page_token_of_another_list_is_none() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        scene.made().await;
        scene
            .ask("CreateApiKey", &scene.good("CreateApiKey"))
            .await
            .unwrap();
    }
    let first = json!({ "pageSize": 1 });
    let sessions = scene.ask("ListSessions", &first).await.unwrap();
    let sessions = text(&sessions, "/nextPageToken");
    let keys = text(
        &scene.ask("ListApiKeys", &first).await.unwrap(),
        "/nextPageToken",
    );
    let subject = json!({ "namespace": "local", "id": "u1" });
    let mut turned = sessions.clone().into_bytes();
    turned.reverse();
    let turned = String::from_utf8(turned).unwrap();
    for (name, body) in [
        ("ListSessions", json!({ "pageSize": 1, "pageToken": keys })),
        (
            "ListSessions",
            json!({ "pageSize": 2, "pageToken": sessions }),
        ),
        (
            "ListSessions",
            json!({ "pageSize": 1, "pageToken": sessions, "includeEnded": true }),
        ),
        (
            "ListSessions",
            json!({ "pageSize": 1, "pageToken": sessions, "subject": subject }),
        ),
        (
            "ListSessions",
            json!({ "pageSize": 1, "pageToken": turned }),
        ),
        (
            "ListSessions",
            json!({ "pageSize": 1, "pageToken": sessions[1..] }),
        ),
        (
            "ListApiKeys",
            json!({ "pageSize": 1, "pageToken": sessions }),
        ),
        ("ListApiKeys", json!({ "pageSize": 1, "pageToken": turned })),
        ("WatchSessions", json!({ "position": sessions })),
        ("WatchSessions", json!({ "position": keys })),
    ] {
        let refused = scene.refused(name, &body).await.unwrap();
        assert_eq!(
            refused.reason, "INVALID_FIELD",
            "{name} {body}: {refused:?}"
        );
    }
    let second = json!({ "pageSize": 1, "pageToken": sessions });
    assert!(scene.ask("ListSessions", &second).await.is_ok());
}
