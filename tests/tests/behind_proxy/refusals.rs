//! How a refusal reads, and what is never asked about.

use harness::{raw, recorder::Reply};

use crate::scene::Scene;

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

#[tokio::test]
async fn a_program_gets_a_problem_and_a_challenge() {
    let scene = Scene::start().await;
    let (answer, reached) = scene.ask("GET", "/me", &[]).await;
    assert_eq!((answer.status, reached.len()), (401, 0));
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert!(answer.header("www-authenticate").is_some());
    assert_eq!(answer.json()["reason"], "session_required");
}

#[tokio::test]
async fn c09_a_browser_is_sent_to_sign_in_and_told_where_it_was() {
    let scene = Scene::with("login: /login").await;
    let (answer, _) = scene.ask("GET", "/me?tab=1", &[BROWSER]).await;
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.header("location"),
        Some("/login?return_to=/me%3Ftab%3D1")
    );
    for (method, headers) in [
        ("POST", vec![BROWSER]),
        ("GET", vec![BROWSER, ("Sec-Fetch-Mode", "cors")]),
        ("GET", vec![("Accept", "application/json")]),
    ] {
        let target = if method == "POST" { "/logout" } else { "/me" };
        let (answer, _) = scene.ask(method, target, &headers).await;
        assert_eq!(answer.status, 401, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn a_browser_that_may_not_gets_a_page_with_nothing_of_its_request() {
    let scene = Scene::start().await;
    let (answer, _) = scene.ask("GET", "/nowhere/%3Cscript%3E", &[BROWSER]).await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(!answer.text().contains("nowhere") && !answer.text().contains("script"));
}

#[tokio::test]
async fn h13_a_header_bomb_is_refused_with_431() {
    let scene = Scene::start().await;
    let long = "x".repeat(9 * 1024);
    let (answer, reached) = scene.ask("GET", "/public/x", &[("X-Long", &long)]).await;
    assert_eq!((answer.status, reached.len()), (431, 0));
    let names: Vec<String> = (0..120).map(|number| format!("X-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let (answer, reached) = scene.ask("GET", "/public/x", &many).await;
    assert_eq!((answer.status, reached.len()), (431, 0));
}

#[tokio::test]
async fn two_hosts_or_none_are_refused() {
    let scene = Scene::start().await;
    for head in [
        "GET /public/x HTTP/1.1\r\nHost: books.example\r\nHost: evil.example\r\n",
        "GET /public/x HTTP/1.1\r\n",
    ] {
        let request = format!("{head}Connection: close\r\n\r\n");
        let answer = raw::exchange(scene.proxy, request.as_bytes(), raw::DEADLINE).await;
        assert_eq!(answer.unwrap().status, 400, "{head}");
        assert!(scene.app.take().is_empty());
    }
}

/// T-25: who the client is, only its handshake could tell, and an app behind us is told of none.
#[tokio::test]
async fn t25_no_header_is_a_certificate() {
    let scene = Scene::start().await;
    for header in harness::hostile::CERTIFICATE_HEADERS {
        let (answer, reached) = scene.ask("GET", "/me", &[header]).await;
        assert_eq!((answer.status, reached.len()), (401, 0), "{header:?}");
        let (answer, reached) = scene.ask("GET", "/public/x", &[header]).await;
        assert_eq!(answer.status, 200, "{header:?}");
        assert_eq!(reached[0].header("sidegate-subject"), Some(""));
        assert!(!reached[0].mentions("spiffe://"), "{reached:?}");
    }
}

/// Where the policy says which pages of other origins may read, no app says more.
#[tokio::test]
async fn c06_an_app_admits_no_origin_that_the_policy_does_not_list() {
    let scene = Scene::start().await;
    scene.app.answer(|request| {
        let origin = request.header("origin").unwrap_or("*");
        Reply::status(200)
            .header("Access-Control-Allow-Origin", origin)
            .header("Access-Control-Allow-Credentials", "true")
            .header("Access-Control-Expose-Headers", "x-secret")
    });
    let (evil, listed) = ("https://evil.example", "https://web.example");
    for (target, origin, admitted, exposed) in [
        ("/items", evil, None, None),
        ("/items", listed, Some(listed), Some("x-total")),
        ("/open", evil, Some(evil), Some("x-secret")),
    ] {
        let (answer, reached) = scene.ask("GET", target, &[("Origin", origin)]).await;
        assert_eq!(
            (answer.status, reached.len()),
            (200, 1),
            "{target} {origin}"
        );
        let told = |name| answer.header(name);
        let credentials = admitted.map(|_| "true");
        let seen = (
            told("access-control-allow-origin"),
            told("access-control-allow-credentials"),
            told("access-control-expose-headers"),
        );
        assert_eq!(seen, (admitted, credentials, exposed), "{target} {origin}");
    }
}
