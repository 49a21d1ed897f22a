//! A change of the session counts only with the handle of the very request that it answers (R26).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use auth_core::{
    call::CALL_LIFETIME,
    clock::{ManualClock, Timestamp},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use harness::{
    hostile::flipped,
    raw,
    recorder::{Reply, Request},
};
use serde_json::json;

use crate::scene::{Scene, TOKENS, cookie, writing};

/// What is written, where, and of whom.
const WRITES: [(&str, &str, &str); 3] = [
    ("/login", "Sidegate-Session-Set", r#"{"subject":"u2"}"#),
    ("/theme", "Sidegate-Session-Patch", r#"{"theme":"dark"}"#),
    ("/logout", "Sidegate-Session-Clear", "all"),
];

fn handle_of(request: &Request) -> String {
    request.header("sidegate-call").unwrap().to_owned()
}

/// The handle that the app gets with this request.
async fn handle(scene: &Scene, method: &str, target: &str, own: Option<&str>) -> String {
    scene.app.answer(|_| Reply::status(200));
    let same_site = ("Sec-Fetch-Site", "same-origin");
    let headers: Vec<_> = own.map(|own| ("Cookie", own)).into_iter().collect();
    let headers = [&headers[..], &[same_site]].concat();
    let (answer, reached) = scene.ask(method, target, &headers).await;
    assert_eq!((answer.status, reached.len()), (200, 1), "{target}");
    handle_of(&reached[0])
}

/// The handle that another caller of the same process gets for the same call.
async fn handle_of_caller(scene: &Scene, token: &str, own: &str) -> String {
    let cookie = STANDARD.encode(own);
    let body = json!({ "wire": {
        "kind": "WIRE_KIND_HTTP", "authority": "books.example",
        "method": "POST", "target": "/login",
        "credentials": [ { "source": "CREDENTIAL_SOURCE_COOKIE", "value": cookie } ],
        "attributes": [ { "name": "sec-fetch-site", "value": STANDARD.encode("same-origin") } ],
        "acceptedUpdates": [ "WIRE_UPDATE_KIND_COOKIE" ],
    }, "dataComplete": true });
    let authorization = format!("Bearer {token}");
    let headers = [
        ("Authorization", &*authorization),
        ("Content-Type", "application/json"),
    ];
    let path = "/sidegate.v1.AuthorizationService/Authorize";
    let body = body.to_string();
    let asked = raw::request("POST", path, "localhost", &headers, body.as_bytes());
    let answer = raw::exchange(scene.json, &asked, raw::DEADLINE).await;
    let answer = answer.unwrap().json();
    assert_eq!(answer["decision"], "DECISION_ALLOW", "{answer}");
    let call = answer["call"].as_str().unwrap();
    URL_SAFE_NO_PAD.encode(STANDARD.decode(call).unwrap())
}

/// Has the app echo what `echo` makes of the right handle, with every kind of change, in answer to
/// requests of this client: nothing of it may count.
async fn assert_nothing_counts(
    scene: &Scene,
    own: &str,
    what: &str,
    echo: impl Fn(&str) -> Vec<String> + Send + Sync + Clone + 'static,
) {
    for (target, name, value) in WRITES {
        let echo = echo.clone();
        scene.app.answer(move |request| {
            let reply = Reply::status(200).header("Set-Cookie", "own=1");
            let echoes = echo(&handle_of(request)).into_iter();
            let reply = echoes.fold(reply, |reply, echo| reply.header("Sidegate-Call", echo));
            reply.header(name, value).body("from the app")
        });
        let headers = [("Cookie", own), ("Sec-Fetch-Site", "same-origin")];
        let (answer, reached) = scene.ask("POST", target, &headers).await;
        assert_eq!((answer.status, reached.len()), (503, 1), "{what}: {target}");
        assert!(!answer.text().contains("from the app"), "{what}: {target}");
        let cookies = answer.headers.all("set-cookie");
        assert!(cookies.is_empty(), "{what}: {target}: {cookies:?}");
    }
}

/// The session lives, is of `u1` and has no attribute.
async fn assert_untouched(scene: &Scene, own: &str, what: &str) {
    scene.app.answer(|_| Reply::status(200));
    let (answer, reached) = scene.ask("GET", "/me", &[("Cookie", own)]).await;
    assert_eq!(answer.status, 200, "{what}");
    assert_eq!(reached[0].header("sidegate-subject"), Some("u1"), "{what}");
    let session = reached[0].header("sidegate-session").unwrap();
    let session = URL_SAFE_NO_PAD.decode(session).unwrap();
    let session: serde_json::Value = serde_json::from_slice(&session).unwrap();
    assert!(session["attributes"]["theme"].is_null(), "{what}");
}

#[tokio::test]
async fn r26_a_handle_that_was_issued_for_something_else_writes_nothing() {
    let scene = Scene::start().await;
    let another_process = Scene::start().await;
    let own = scene.sign_in().await;
    let of_another = scene.sign_in().await;
    let elsewhere = another_process.sign_in().await;
    drop((scene.app.take(), another_process.app.take()));
    let [another, tenant] = TOKENS.map(|(_, token)| token);
    let foreign = [
        (
            "another request",
            handle(&scene, "POST", "/login", Some(&own)).await,
        ),
        (
            "another session",
            handle(&scene, "POST", "/login", Some(&of_another)).await,
        ),
        ("nobody", handle(&scene, "POST", "/login", None).await),
        (
            "another operation",
            handle(&scene, "GET", "/me", Some(&own)).await,
        ),
        (
            "another caller",
            handle_of_caller(&scene, another, &own).await,
        ),
        (
            "another tenant",
            handle_of_caller(&scene, tenant, &own).await,
        ),
        (
            "another process",
            handle(&another_process, "POST", "/login", Some(&elsewhere)).await,
        ),
    ];
    for (what, handle) in foreign {
        assert_nothing_counts(&scene, &own, what, move |_| vec![handle.clone()]).await;
        assert_untouched(&scene, &own, what).await;
        assert_untouched(&scene, &of_another, what).await;
    }
    assert_untouched(&another_process, &elsewhere, "another process").await;
}

#[tokio::test]
async fn r26_a_handle_that_was_tampered_with_writes_nothing() {
    type Tamper = fn(&str) -> Vec<String>;
    let scene = Scene::start().await;
    let own = scene.sign_in().await;
    let tampered: [(&str, Tamper); 11] = [
        ("none", |_| vec![]),
        ("empty", |_| vec![String::new()]),
        ("twice", |right| vec![right.to_owned(); 2]),
        ("with another", |right| {
            vec![right.to_owned(), flipped(right, 0)]
        }),
        ("without its end", |right| {
            vec![right[..right.len() - 4].to_owned()]
        }),
        ("half", |right| {
            vec![right[..right.len() / 2 / 4 * 4].to_owned()]
        }),
        ("longer", |right| vec![format!("{right}AAAA")]),
        ("twice in one", |right| vec![format!("{right}, {right}")]),
        ("its first bit", |right| vec![flipped(right, 0)]),
        ("one in the middle", |right| vec![flipped(right, 60)]),
        ("its last byte", |right| vec![flipped(right, usize::MAX)]),
    ];
    for (what, tamper) in tampered {
        assert_nothing_counts(&scene, &own, what, tamper).await;
        assert_untouched(&scene, &own, what).await;
    }
}

#[tokio::test]
async fn r26_a_handle_that_has_expired_writes_nothing() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let scene = Scene::at(Arc::clone(&clock)).await;
    let own = scene.sign_in().await;
    // An app that takes so long to answer.
    let slow = Arc::clone(&clock);
    assert_nothing_counts(&scene, &own, "late", move |right| {
        slow.advance(CALL_LIFETIME);
        vec![right.to_owned()]
    })
    .await;
    assert_untouched(&scene, &own, "late").await;
    // One that is just in time.
    let time = Mutex::new(Some(CALL_LIFETIME.saturating_sub(Duration::from_secs(1))));
    let slow = Arc::clone(&clock);
    scene.app.answer(move |request| {
        if let Some(time) = time.lock().unwrap().take() {
            slow.advance(time);
        }
        writing(request, 200, (WRITES[0].1, WRITES[0].2))
    });
    let headers = [("Cookie", &*own), ("Sec-Fetch-Site", "same-origin")];
    let (answer, _) = scene.ask("POST", "/login", &headers).await;
    assert_eq!(answer.status, 200);
    assert!(cookie(&answer).is_some());
}
