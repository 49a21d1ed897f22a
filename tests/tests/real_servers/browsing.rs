//! A real browser in front of the recording app: what it keeps and sends is its own doing.

use harness::{
    real::{browser::Browser, caddy},
    recorder::{App, Reply},
};

const SESSION: &str = "__Host-session=s1; Path=/; Secure; HttpOnly; SameSite=Lax";

async fn books() -> App {
    App::start(|request| match request.target.as_str() {
        "/login" => Reply::status(200)
            .header("Set-Cookie", SESSION)
            .header(
                "Set-Cookie",
                "__Host-wide=no; Path=/; Secure; Domain=books.example",
            )
            .body("signed in"),
        "/form" => Reply::status(200).header("Content-Type", "text/html").body(
            "<form method=post action=https://books.example/transfer><input name=to><button>send",
        ),
        _ => Reply::status(200).body("a page"),
    })
    .await
}

#[tokio::test]
async fn chromium_keeps_and_sends_cookies_as_they_were_set() {
    let what = "cookies in Chromium";
    let app = books().await;
    let hosts = ["books.example", "evil.example"];
    let Some(front) = caddy::tls_front(what, &hosts, app.address()).await else {
        return;
    };
    let hosts = hosts.map(|host| (host, front.https()));
    let Some(browser) = Browser::start(what, &hosts).await else {
        return;
    };

    browser.open("https://books.example/login").await;
    assert_eq!(browser.text().await, "signed in");
    let cookie = browser.cookie("__Host-session").await.unwrap();
    assert_eq!(
        (&cookie["httpOnly"], &cookie["sameSite"]),
        (&true.into(), &"Lax".into())
    );
    assert_eq!(
        browser.cookies().await.len(),
        1,
        "the prefix forbids a domain"
    );
    assert_eq!(browser.script("return document.cookie", &[]).await, "");
    let _ = app.take();

    let (status, text) = browser.fetch("GET", "/me", None).await;
    assert_eq!((status, text.as_str()), (200, "a page"));
    let me = app.take().remove(0);
    assert_eq!(me.header("cookie"), Some("__Host-session=s1"));
    assert_eq!(me.header("host"), Some("books.example"));

    browser.open("https://evil.example/form").await;
    browser.fill("input", "mallory").await;
    browser.click("button").await;
    browser.arrives("https://books.example/transfer").await;
    let requests = app.take();
    let forged = requests
        .iter()
        .find(|request| request.target == "/transfer")
        .unwrap();
    assert_eq!(
        (forged.text().as_str(), forged.header("cookie")),
        ("to=mallory", None)
    );
}
