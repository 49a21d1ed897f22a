//! What passes, and what clients are told.

use harness::raw::Answer;

use crate::scene::{Scene, Setup, TOKEN};

/// The headers that every allow writes.
const WRITTEN: [&str; 5] = [
    "sidegate-subject",
    "sidegate-session",
    "sidegate-operation",
    "sidegate-decision-id",
    "sidegate-call",
];

const PRIVATE: &str = "private, no-store";

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// Every way Envoy may be set up to tell us of headers, and to strip them before.
fn setups() -> Vec<Setup> {
    let mut setups = Vec::new();
    for raw_headers in [true, false] {
        for strips in [true, false] {
            setups.push(Setup {
                raw_headers,
                strips,
                ..Setup::default()
            });
        }
    }
    setups
}

#[tokio::test]
async fn h05_the_app_learns_who_calls_from_us_alone() {
    let spoofed = [
        ("Sidegate-Subject", "evil"),
        ("sidegate-subject", "evil"),
        ("SIDEGATE-SESSION", "evil"),
        ("Sidegate_Subject", "evil"),
        ("sidegate_call", "evil"),
        ("sidegate.subject", "evil"),
        ("Sidegate-Session-Set", "evil"),
        ("Sidegate", "evil"),
    ];
    let bearer = bearer();
    for setup in setups() {
        let Some(scene) = Scene::start(setup).await else {
            return;
        };
        for (target, subject) in [("/open", ""), ("/either", ""), ("/closed", "batch")] {
            let mut headers = spoofed.to_vec();
            if !subject.is_empty() {
                headers.push(("authorization", &bearer));
            }
            let (answer, requests) = scene.ask("GET", target, &headers).await;
            assert_eq!(answer.status, 200, "{setup:?} {target}");
            let request = &requests[0];
            assert!(!request.mentions("evil"), "{setup:?} {:?}", request.headers);
            for name in WRITTEN {
                assert_eq!(request.headers.all(name).len(), 1, "{setup:?} {name}");
                assert_eq!(request.headers.aliases(name).len(), 1, "{setup:?} {name}");
            }
            assert_eq!(request.header("sidegate-subject"), Some(subject));
            assert_eq!(request.header("sidegate-operation"), Some(&target[1..]));
        }
    }
}

#[tokio::test]
async fn cookies_reach_the_client_beside_the_apps_and_no_cache() {
    let Some(scene) = Scene::start(Setup::default()).await else {
        return;
    };
    let dead = [("cookie", "a=1"), ("cookie", "__Host-session=sg1_dead")];
    let (answer, requests) = scene.ask("GET", "/either", &dead).await;
    assert_eq!((answer.status, requests.len()), (200, 1));
    let cookies = answer.headers.all("set-cookie");
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert_eq!(cookies[0], "own=1");
    assert!(cookies[1].starts_with("__Host-session=; "), "{cookies:?}");
    assert_eq!(
        answer.headers.all("cache-control"),
        ["private, no-store"],
        "the app said `public`"
    );

    let (answer, _) = scene.ask("GET", "/open", &dead).await;
    assert_eq!(answer.headers.all("set-cookie"), ["own=1"]);
    assert_eq!(answer.headers.all("cache-control"), ["public"]);
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_its_challenge_and_nothing_reaches_the_app() {
    let bearer = bearer();
    for raw_headers in [true, false] {
        let setup = Setup {
            raw_headers,
            ..Setup::default()
        };
        let Some(scene) = Scene::start(setup).await else {
            return;
        };
        let twice = [("authorization", &*bearer), ("authorization", &*bearer)];
        for (target, headers, status, reason, challenge) in [
            ("/closed", &[][..], 401, "session_required", Some("Bearer")),
            (
                "/closed",
                &[("authorization", "Bearer x")],
                401,
                "credential_rejected",
                Some("Bearer error=\"invalid_token\""),
            ),
            (
                "/closed",
                &twice,
                400,
                "credential_conflict",
                Some("Bearer error=\"invalid_request\""),
            ),
            ("/forbidden", &twice[..1], 403, "requirement_failed", None),
            ("/nowhere", &[], 403, "unknown_operation", None),
            ("//open", &[], 400, "target_invalid", None),
        ] {
            let (answer, requests) = scene.ask("GET", target, headers).await;
            assert!(requests.is_empty(), "{target}");
            assert_eq!(answer.status, status, "{target} {}", answer.text());
            assert_eq!(answer.json()["reason"], reason, "{target}");
            assert_eq!(answer.header("www-authenticate"), challenge, "{target}");
            assert_eq!(
                answer.headers.all("content-type"),
                ["application/problem+json"]
            );
            assert_eq!(answer.headers.all("cache-control"), ["no-store"]);
        }
    }
}

#[tokio::test]
async fn a_grpc_client_is_told_by_status_and_message() {
    let Some(scene) = Scene::start(Setup::default()).await else {
        return;
    };
    let bearer = bearer();
    let kind = ("content-type", "application/grpc");
    let authorized = ("authorization", &*bearer);
    let told = |answer: &Answer| {
        let text = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        (answer.status, text("grpc-status"), text("grpc-message"))
    };
    for (target, headers, code, message) in [
        ("/books.v1.Books/Get", &[kind][..], "16", "session_required"),
        (
            "/books.v1.Books/Delete",
            &[kind, authorized],
            "7",
            "requirement_failed",
        ),
        (
            "/books.v1.Books/Get",
            &[kind, authorized, authorized],
            "3",
            "credential_conflict",
        ),
        ("/books.v1.Books/Other", &[kind], "7", "unknown_operation"),
    ] {
        let (answer, requests) = scene.ask("POST", target, headers).await;
        assert!(requests.is_empty(), "{target}");
        let (status, told_code, told_message) = told(&answer);
        assert_eq!((status, &*told_code), (200, code), "{target}");
        assert!(told_message.contains(message), "{told_message}");
    }
    let (_, requests) = scene
        .ask("POST", "/books.v1.Books/Get", &[kind, authorized])
        .await;
    assert_eq!(requests[0].header("sidegate-subject"), Some("batch"));
}

#[tokio::test]
async fn t18_a_key_in_the_query_does_not_reach_the_app_nor_a_cache() {
    let Some(scene) = Scene::start(Setup::default()).await else {
        return;
    };
    for (target, reaches, cache) in [
        (
            "/either?a=1&key=sgk_secret&b=%20",
            "/either?a=1&b=%20",
            PRIVATE,
        ),
        ("/either?%6bey=sgk_secret", "/either", PRIVATE),
        ("/either?a=1", "/either?a=1", "public"),
        ("/open?key=mine", "/open?key=mine", "public"),
    ] {
        let (answer, requests) = scene.ask("GET", target, &[]).await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(requests[0].target, reaches);
        assert_eq!(answer.headers.all("cache-control"), [cache], "{target}");
    }
}

#[tokio::test]
async fn what_a_route_is_said_to_be_only_tightens() {
    for (extensions, expected) in [
        ("operation: open", 200),
        ("operation: closed", 403),
        ("tags: shelf", 200),
        (r#"tags: "shelf, free", operation: open"#, 200),
        ("tags: internal", 403),
    ] {
        let setup = Setup {
            extensions: Some(extensions),
            ..Setup::default()
        };
        let Some(scene) = Scene::start(setup).await else {
            return;
        };
        let (answer, requests) = scene.ask("GET", "/open", &[]).await;
        assert_eq!(answer.status, expected, "{extensions}");
        assert_eq!(requests.is_empty(), expected != 200);
    }
}
