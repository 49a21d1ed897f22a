//! The apps without a library of ours, asked as a proxy would: the same from each language.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{
    raw::{self, Answer},
    real::{
        app::{self, Language},
        server::Server,
    },
};
use serde_json::{Value, json};

async fn ask(app: &Server, request: &[u8]) -> Answer {
    raw::exchange(app.http(), request, raw::DEADLINE)
        .await
        .unwrap()
}

/// JSON of a header, as it is or in base64url.
fn document(value: &str) -> Value {
    let decoded = URL_SAFE_NO_PAD.decode(value);
    let text = decoded.unwrap_or_else(|_| value.as_bytes().to_vec());
    assert!(value.is_ascii());
    serde_json::from_slice(&text).unwrap()
}

async fn assert_shop(app: &Server, language: Language) {
    let identity = [
        ("Sidegate-Subject", "u1"),
        (
            "Sidegate-Session",
            &URL_SAFE_NO_PAD.encode(r#"{"subject":"u1"}"#),
        ),
        ("Sidegate-Call", "handle"),
    ];
    let request = |method, target, body: &str| {
        let kind = if body.starts_with('{') {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let mut headers = identity.to_vec();
        headers.push(("Content-Type", kind));
        raw::request(method, target, "books.example", &headers, body.as_bytes())
    };

    for body in ["user=j%C3%BCrgen", r#"{"user":"j\u00fcrgen"}"#] {
        let login = ask(app, &request("POST", "/login", body)).await;
        assert_eq!(
            (login.status, login.json()),
            (200, json!({ "signed_in": "jürgen" }))
        );
        assert_eq!(login.header("sidegate-call"), Some("handle"));
        let set = document(login.header("sidegate-session-set").unwrap());
        assert_eq!(
            set,
            json!({ "subject": "local/jürgen", "claims": { "role": "user" } })
        );
    }
    let nobody = ask(app, &request("POST", "/login", "")).await;
    assert_eq!(
        (nobody.status, nobody.header("sidegate-session-set")),
        (400, None)
    );

    let me = ask(app, &request("GET", "/me?x=y", "")).await;
    let seen = json!({ "app": language.name(), "subject": "u1", "session": { "subject": "u1" } });
    assert_eq!((me.json(), me.header("sidegate-call")), (seen, None));

    let theme = ask(app, &request("PATCH", "/me/theme", r#"{"theme":"dark"}"#)).await;
    assert_eq!(theme.status, 200);
    assert_eq!(
        document(theme.header("sidegate-session-patch").unwrap()),
        json!({ "theme": "dark" })
    );
    assert_eq!(theme.header("sidegate-call"), Some("handle"));

    let logout = ask(app, &request("POST", "/logout", "")).await;
    assert_eq!(
        (logout.status, logout.header("sidegate-session-clear")),
        (200, Some("this"))
    );
    let deleted = ask(app, &request("DELETE", "/books/7", "")).await;
    assert_eq!(deleted.json(), json!({ "deleted": "7", "by": "u1" }));
    assert_eq!(ask(app, &request("GET", "/nowhere", "")).await.status, 404);
}

/// Empty headers, and headers that a proxy stripped, both say that nobody is signed in.
async fn assert_anonymous(app: &Server, language: Language) {
    let empty = [
        ("Sidegate-Subject", ""),
        ("Sidegate-Session", ""),
        ("Sidegate-Call", ""),
    ];
    for headers in [&empty[..], &[]] {
        let me = ask(
            app,
            &raw::request("GET", "/me", "books.example", headers, b""),
        )
        .await;
        let nobody = json!({ "app": language.name(), "subject": "", "session": null });
        assert_eq!((me.status, me.json()), (200, nobody));
    }
}

#[tokio::test]
async fn every_app_reads_and_writes_the_session_by_headers() {
    for language in Language::ALL {
        if let Some(app) = app::start(language, "an app without a library of ours").await {
            assert_shop(&app, language).await;
            assert_anonymous(&app, language).await;
        }
    }
}
