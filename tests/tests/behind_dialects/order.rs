//! Behind Envoy, what the app's answer does to the session comes after what the decision did to its
//! cookie (PROTOCOLS section 5, "Order"): a client keeps the last cookie of a name.

use std::time::Duration;

use harness::{
    raw::Answer,
    real::printed::Proxy,
    recorder::{Reply, Request},
};

use crate::scene::{Scene, ok, unknown_token};

const NAME: &str = "__Host-session=";
/// After so long a cookie is renewed with its next use.
const OLD: Duration = Duration::from_secs(7 * 3600);

fn writing(request: &Request, (name, value): (&str, &str)) -> Reply {
    let call = request.header("sidegate-call").unwrap_or_default();
    Reply::status(200)
        .header("Set-Cookie", "own=1")
        .header("Sidegate-Call", call)
        .header(name, value)
}

/// What the answer does to our cookie, one thing after the other.
fn changes(answer: &Answer) -> Vec<String> {
    let cookies = answer.headers.all("set-cookie").into_iter();
    let ours = cookies.filter(|cookie| cookie.starts_with(NAME));
    ours.map(str::to_owned).collect()
}

/// The cookie that a client has after this change, as it sends it back; `None` where it is gone.
fn kept(change: &str) -> Option<&str> {
    let pair = change.split(';').next()?;
    (pair != NAME && !change.contains("Max-Age=0")).then_some(pair)
}

/// Whom the app is told of where this cookie is sent; `None` where it opens nothing.
async fn subject(scene: &Scene, cookie: &str) -> Option<String> {
    scene.app.answer(|_| ok());
    let (_, reached) = scene.ask("GET", "/me", &[("Cookie", cookie)]).await;
    let subject = reached.first()?.header("sidegate-subject")?;
    Some(subject.to_owned())
}

/// Signs in, or out, with this cookie; gives what the answer does to it.
async fn changed(
    scene: &Scene,
    target: &str,
    cookie: &str,
    change: (&'static str, &'static str),
) -> Vec<String> {
    scene.app.answer(move |request| writing(request, change));
    let headers = [("Cookie", cookie), ("Sec-Fetch-Site", "same-origin")];
    let (answer, reached) = scene.ask("POST", target, &headers).await;
    assert_eq!(
        (answer.status, reached.len()),
        (200, 1),
        "{}",
        answer.text()
    );
    assert_eq!(answer.headers.all("cache-control"), ["private, no-store"]);
    assert!(answer.headers.all("set-cookie").contains(&"own=1"));
    let changes = changes(&answer);
    // Else nothing is shown of which comes first.
    assert_eq!(changes.len(), 2, "{changes:?}");
    changes
}

const SIGN_IN: (&str, &str) = ("Sidegate-Session-Set", r#"{"subject":"u2"}"#);

#[tokio::test]
async fn r13_behind_envoy_a_sign_in_wins_over_the_renewal_of_the_cookie_before() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    let before = scene.sign_in().await;
    scene.clock.advance(OLD);
    let changes = changed(&scene, "/login", &before, SIGN_IN).await;
    let renewed = kept(&changes[0]).unwrap();
    let own = kept(&changes[1]).unwrap();
    assert_eq!(subject(&scene, own).await.as_deref(), Some("u2"));
    for dead in [renewed, &before] {
        assert_eq!(subject(&scene, dead).await, None, "{dead}");
    }
}

#[tokio::test]
async fn r09_behind_envoy_a_sign_in_wins_over_the_end_of_a_dead_cookie() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    let dead = format!("{NAME}{}", unknown_token(1));
    let changes = changed(&scene, "/login", &dead, SIGN_IN).await;
    assert_eq!(kept(&changes[0]), None);
    let own = kept(&changes[1]).unwrap();
    assert_eq!(subject(&scene, own).await.as_deref(), Some("u2"));
}

#[tokio::test]
async fn r11_behind_envoy_a_log_out_wins_over_a_renewal() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    let before = scene.sign_in().await;
    scene.clock.advance(OLD);
    let log_out = ("Sidegate-Session-Clear", "this");
    let changes = changed(&scene, "/logout", &before, log_out).await;
    let renewed = kept(&changes[0]).unwrap();
    assert_eq!(kept(&changes[1]), None, "{changes:?}");
    for dead in [renewed, &before] {
        assert_eq!(subject(&scene, dead).await, None, "{dead}");
    }
}
