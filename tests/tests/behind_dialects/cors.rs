//! Pages of other origins (CORS): what a browser is told, and what reaches the app. Envoy relays all
//! of it. The others relay no answer to a preflight, which `proxy print` says.

use harness::{raw::Answer, real::printed::Proxy, recorder::Reply};

use crate::scene::{Scene, ok, unknown_token};

const LISTED: &str = "https://web.example";
const OTHER: &str = "https://evil.example";
const CROSS: (&str, &str) = ("Sec-Fetch-Site", "cross-site");

/// What a browser asks before a page of `origin` may send what no form could.
fn preflight(origin: &str) -> [(&str, &str); 4] {
    [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-own"),
        CROSS,
    ]
}

/// Whether a page of this origin may read the answer, with a cookie of ours in the request.
fn may_read(answer: &Answer, origin: &str) -> bool {
    answer.headers.all("access-control-allow-origin") == [origin]
        && answer.headers.all("access-control-allow-credentials") == ["true"]
}

/// Whether a browser is told that no page of another origin may read the answer.
fn nobody_may_read(answer: &Answer) -> bool {
    let told = answer.headers.all("access-control-allow-origin");
    told.iter().all(|origin| origin.is_empty())
}

fn varies_by_origin(answer: &Answer) -> bool {
    let varies = answer.headers.all("vary").join(",");
    varies.split(',').any(|name| name.trim() == "Origin")
}

#[tokio::test]
async fn c06_envoy_answers_the_preflight_of_a_listed_origin_and_asks_no_app() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    let headers = preflight(LISTED);
    let (answer, reached) = scene.ask("OPTIONS", "/items", &headers).await;
    assert_eq!(
        (answer.status, reached.len()),
        (204, 0),
        "{}",
        answer.text()
    );
    assert!(may_read(&answer, LISTED));
    for (name, expected) in [
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "x-own"),
        ("access-control-max-age", "600"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.headers.all(name), [expected], "{name}");
    }
    assert!(varies_by_origin(&answer));
}

#[tokio::test]
async fn c06_a_preflight_that_the_policy_does_not_admit_is_refused_behind_every_proxy() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        for (what, target, origin) in [
            ("another origin", "/items", OTHER),
            ("no page", "/items", "null"),
            ("another scheme", "/items", "http://web.example"),
            ("no `cors`", "/public/a", LISTED),
            ("nothing there", "/nowhere", LISTED),
        ] {
            let (answer, reached) = scene.ask("OPTIONS", target, &preflight(origin)).await;
            let seen = (answer.status, reached.len());
            assert_eq!(seen, (403, 0), "{proxy:?} {what}");
            assert!(nobody_may_read(&answer), "{proxy:?} {what}");
        }
    }
}

/// `proxy print` says of these that `cors` has no effect: to a browser, a preflight that was
/// refused admits nothing, whatever its headers say.
#[tokio::test]
async fn c06_no_preflight_is_answered_behind_a_proxy_that_asks_by_forward_auth() {
    for proxy in Proxy::FORWARD_AUTH {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let (answer, reached) = scene.ask("OPTIONS", "/items", &preflight(LISTED)).await;
        assert_eq!((answer.status, reached.len()), (403, 0), "{proxy:?}");
    }
}

#[tokio::test]
async fn c06_behind_envoy_a_page_of_a_listed_origin_may_call_and_read() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    let own = scene.sign_in().await;
    scene.app.answer(|_| {
        ok().header("Access-Control-Allow-Origin", "*")
            .header("Access-Control-Expose-Headers", "x-secret")
            .header("Vary", "Accept")
            .header("X-Total", "7")
    });
    let page = [("Origin", LISTED), CROSS];
    let signed_in = [("Origin", LISTED), CROSS, ("Cookie", &*own)];
    for (method, target, headers, subject) in [
        ("GET", "/items", &page[..], ""),
        ("GET", "/items", &signed_in, "u1"),
        ("POST", "/items", &signed_in, "u1"),
        ("POST", "/items/own", &signed_in, "u1"),
    ] {
        let (answer, reached) = scene.ask(method, target, headers).await;
        assert_eq!(answer.status, 200, "{method} {target} {}", answer.text());
        assert_eq!(reached[0].header("sidegate-subject"), Some(subject));
        assert!(may_read(&answer, LISTED), "{method} {target}");
        let exposed = answer.headers.all("access-control-expose-headers");
        assert_eq!(exposed, ["x-total"], "the policy says, and not the app");
        assert!(varies_by_origin(&answer), "{method} {target}");
        assert!(answer.headers.all("vary").join(", ").contains("Accept"));
    }
}

/// What became of its call, too: a page that may not know is one that the policy does not list.
#[tokio::test]
async fn c06_behind_envoy_a_page_reads_a_refusal_where_it_is_listed_and_not_elsewhere() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    let own = scene.sign_in().await;
    let dead = format!("__Host-session={}", unknown_token(1));
    for (method, cookie, origin, status, reads) in [
        ("GET", None, LISTED, 401, true),
        ("POST", Some(&dead), LISTED, 401, true),
        ("GET", None, OTHER, 401, false),
        ("POST", Some(&own), OTHER, 403, false),
        ("POST", Some(&own), "null", 403, false),
    ] {
        let mut headers = vec![("Origin", origin), CROSS];
        headers.extend(cookie.map(|cookie| ("Cookie", cookie.as_str())));
        let (answer, reached) = scene.ask(method, "/items/own", &headers).await;
        let seen = (answer.status, reached.len());
        assert_eq!(seen, (status, 0), "{method} {origin} {cookie:?}");
        assert_eq!(may_read(&answer, origin), reads, "{method} {origin}");
        assert_eq!(nobody_may_read(&answer), !reads, "{method} {origin}");
    }
}

/// The policy names the origins, and no app more of them.
#[tokio::test]
async fn c06_behind_envoy_an_app_admits_no_origin_that_the_policy_does_not_list() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    scene.app.answer(|request| {
        let origin = request.header("origin").unwrap_or("*");
        ok().header("Access-Control-Allow-Origin", origin)
            .header("Access-Control-Allow-Credentials", "true")
    });
    let (answer, reached) = scene
        .ask("GET", "/items", &[("Origin", OTHER), CROSS])
        .await;
    assert_eq!((answer.status, reached.len()), (200, 1));
    assert!(nobody_may_read(&answer), "{:?}", answer.headers.lines());
    assert!(varies_by_origin(&answer));
    // Where the policy says nothing of it, the app does.
    let (answer, _) = scene
        .ask("GET", "/public/a", &[("Origin", OTHER), CROSS])
        .await;
    assert!(may_read(&answer, OTHER), "{:?}", answer.headers.lines());
}

#[tokio::test]
async fn c06_behind_envoy_a_listed_page_signs_in_and_another_does_not() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    scene.app.answer(|request| {
        let call = request.header("sidegate-call").unwrap_or_default();
        Reply::status(200)
            .header("Sidegate-Call", call)
            .header("Sidegate-Session-Set", r#"{"subject":"u1"}"#)
    });
    let headers = [("Origin", OTHER), CROSS];
    let (answer, reached) = scene.ask("POST", "/items/enter", &headers).await;
    assert_eq!((answer.status, reached.len()), (403, 0));
    assert!(answer.headers.all("set-cookie").is_empty());
    let headers = [("Origin", LISTED), CROSS];
    let (answer, _) = scene.ask("POST", "/items/enter", &headers).await;
    assert_eq!(answer.status, 200);
    assert!(may_read(&answer, LISTED));
    let cookie = answer.header("set-cookie").unwrap();
    let own = cookie.split(';').next().unwrap();
    scene.app.answer(|_| ok());
    let (_, reached) = scene.ask("GET", "/me", &[("Cookie", own)]).await;
    assert_eq!(reached[0].header("sidegate-subject"), Some("u1"));
}
