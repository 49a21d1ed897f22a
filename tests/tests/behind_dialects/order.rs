//! What the app's answer does to the session comes after what the decision did to its cookie, or in
//! its place (PROTOCOLS section 5, "Order"): a client keeps the last cookie of a name.

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
    changes(&answer)
}

const SIGN_IN: (&str, &str) = ("Sidegate-Session-Set", r#"{"subject":"u2"}"#);

#[tokio::test]
async fn r13_behind_envoy_a_sign_in_takes_the_place_of_a_renewal() {
    let Some(scene) = Scene::start(Proxy::Envoy).await else {
        return;
    };
    let before = scene.sign_in().await;
    scene.clock.advance(OLD);
    let changes = changed(&scene, "/login", &before, SIGN_IN).await;
    let [own] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    assert_eq!(
        subject(&scene, kept(own).unwrap()).await.as_deref(),
        Some("u2")
    );
    assert_eq!(subject(&scene, &before).await, None);
}

/// Some proxies let the cookies of a decision win over those of the app.
#[tokio::test]
async fn r09_what_an_app_sets_at_a_sign_in_reaches_a_client_with_an_old_cookie() {
    for proxy in Proxy::ALL {
        let Some(scene) = Scene::start(proxy).await else {
            continue;
        };
        let old = scene.sign_in().await;
        scene.clock.advance(OLD);
        for cookie in [old, format!("{NAME}{}", unknown_token(1))] {
            let set = format!("{NAME}new; Path=/; Secure");
            let own = set.clone();
            scene
                .app
                .answer(move |_| Reply::status(200).header("Set-Cookie", own.clone()));
            let headers = [("Cookie", &*cookie), ("Sec-Fetch-Site", "same-origin")];
            let (answer, _) = scene.ask("POST", "/login", &headers).await;
            assert_eq!(changes(&answer), [set], "{proxy:?}");
        }
    }
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
    assert_eq!(changes.len(), 2, "{changes:?}");
    let renewed = kept(&changes[0]).unwrap();
    assert_eq!(kept(&changes[1]), None, "{changes:?}");
    for dead in [renewed, &before] {
        assert_eq!(subject(&scene, dead).await, None, "{dead}");
    }
}
