//! Chromium at the reverse proxy, with TLS of our own.

use harness::{
    real::browser::Browser,
    recorder::{Reply, Request},
};

use crate::scene::Scene;

const SITE: &str = "https://books.example";

/// A page to sign in on, and what the app answers then.
fn site(request: &Request) -> Reply {
    let page = Reply::status(200).header("Content-Type", "text/html");
    match &*request.target {
        "/login" => page
            .header("Sidegate-Call", request.header("sidegate-call").unwrap())
            .header("Sidegate-Session-Set", r#"{"subject":"u1"}"#)
            .body("signed in"),
        "/me" => page.body("it is you"),
        _ => page.body("<form method=post action=/login><button>in</button></form>"),
    }
}

/// The proxy asks for a certificate, which this browser has none of and needs none.
#[tokio::test]
async fn chromium_signs_in_over_our_own_tls() {
    let scene = Scene::start().await;
    scene.app.answer(site);
    let hosts = [("books.example", scene.proxy())];
    let Some(browser) = Browser::start("TLS of our own in Chromium", &hosts).await else {
        return;
    };
    browser.open(&format!("{SITE}/public")).await;
    browser.click("button").await;
    browser.arrives(&format!("{SITE}/login")).await;
    let cookie = browser.cookie("__Host-session").await.unwrap();
    assert_eq!(cookie["secure"], true);
    let agreed = "return performance.getEntriesByType('navigation')[0].nextHopProtocol";
    assert_eq!(browser.script(agreed, &[]).await, "h2");
    browser.open(&format!("{SITE}/me")).await;
    assert_eq!(browser.text().await, "it is you");
}
