//! Chromium in front of the proxy: what becomes of a session's cookie in a real browser, on the
//! app's own pages and on those of another site.

use harness::{
    real::{browser::Browser, caddy, server::Server},
    recorder::{App, Reply, Request},
};

use serde_json::json;

use crate::scene::{Scene, writing};

const SITE: &str = "https://books.example";
/// The proxy believes the end of TLS before it who the client is, and sends browsers to sign in.
const KEYS: &str = "trusted_proxies: [ 127.0.0.1 ], login: /public/sign-in";

/// A browser, a site behind the proxy, and another site.
struct Web {
    browser: Browser,
    scene: Scene,
    evil: App,
    _tls: Server,
}

impl Web {
    /// All of it, with these further keys of the cookie; `None` where the browser or the end of
    /// TLS is not installed.
    async fn open(what: &str, cookie: &str) -> Option<Self> {
        let app = App::start(site).await;
        let upstream = app.address();
        let scene = Scene::of(app, upstream, KEYS, cookie).await;
        let tls = caddy::tls_front(what, &["books.example"], scene.proxy).await?;
        let browser = Browser::start(what, &[("books.example", tls.https())]).await?;
        let evil = App::start(other_site).await;
        Some(Self {
            browser,
            scene,
            evil,
            _tls: tls,
        })
    }

    /// Signs in as a person does, on the site's own page.
    async fn sign_in(&self) {
        let browser = &self.browser;
        browser.open(&format!("{SITE}/public/sign-in")).await;
        browser.click("button").await;
        browser.arrives(&format!("{SITE}/login")).await;
        assert_eq!(browser.text().await, "from the app");
    }

    /// Follows what the other site's page offers, and waits until the browser is there.
    async fn lured(&self, page: &str, selector: &str, target: &str) {
        let page = format!("{}{page}", self.evil.url());
        self.browser.open(&page).await;
        let _ = self.scene.app.take();
        self.browser.click(selector).await;
        self.browser.arrives(&format!("{SITE}{target}")).await;
    }

    /// What reached the app at this target since it was last asked.
    fn reached(&self, target: &str) -> Vec<Request> {
        let mut requests = self.scene.app.take();
        requests.retain(|request| request.target == target);
        requests
    }
}

/// The site: what its app answers.
fn site(request: &Request) -> Reply {
    match request.target.as_str() {
        "/login" => writing(
            request,
            200,
            ("Sidegate-Session-Set", r#"{"subject":"u1"}"#),
        ),
        "/logout" => writing(request, 200, ("Sidegate-Session-Clear", "this")),
        target if target.starts_with("/public/sign-in") => {
            page("<form method=post action=/login><button>in</button></form>")
        }
        target if target.starts_with("/public/out") => {
            page("<form method=post action=/logout><button>out</button></form>")
        }
        _ => page("a page"),
    }
}

/// Another site, which wants something of the first one.
fn other_site(request: &Request) -> Reply {
    let target = request.target.trim_start_matches('/');
    match target.split_once('/') {
        Some(("post", target)) => page(&format!(
            "<form method=post action={SITE}/{target}><button>win</button></form>"
        )),
        Some(("link", target)) => page(&format!("<a href={SITE}/{target}>win</a>")),
        _ => page("nothing"),
    }
}

fn page(html: &str) -> Reply {
    Reply::status(200)
        .header("Content-Type", "text/html")
        .body(html)
}

#[tokio::test]
async fn c01_chromium_keeps_the_host_cookie_from_scripts_and_sends_it_back() {
    let Some(web) = Web::open("the session's cookie in Chromium", "").await else {
        return;
    };
    web.sign_in().await;
    let cookie = web.browser.cookie("__Host-session").await.unwrap();
    let keeps = ["httpOnly", "secure", "sameSite", "path"].map(|key| cookie[key].clone());
    assert_eq!(json!(keeps), json!([true, true, "Lax", "/"]), "{cookie}");
    let script = "return document.cookie";
    let seen = web.browser.script(script, &[]).await;
    assert_eq!(
        seen, "own=1",
        "the app's own cookie is all that a script sees"
    );
    let _ = web.scene.app.take();
    let (status, _) = web.browser.fetch("GET", "/me", None).await;
    let reached = web.reached("/me");
    assert_eq!(status, 200);
    assert_eq!(reached[0].header("sidegate-subject"), Some("u1"));
    assert_eq!(reached[0].header("cookie"), Some("own=1"));
}

#[tokio::test]
async fn a_browser_without_a_session_is_sent_to_sign_in() {
    let Some(web) = Web::open("the way to sign in, in Chromium", "").await else {
        return;
    };
    web.browser.open(&format!("{SITE}/me?tab=1")).await;
    let arrived = web.browser.url().await;
    assert_eq!(
        arrived,
        format!("{SITE}/public/sign-in?return_to=/me%3Ftab%3D1")
    );
    assert!(web.reached("/me?tab=1").is_empty());
    // What a page fetches is no navigation: it is told, and not sent to a page.
    let (status, _) = web.browser.fetch("GET", "/me", None).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_log_out_leaves_nothing_in_chromium() {
    let Some(web) = Web::open("a log-out in Chromium", "").await else {
        return;
    };
    web.sign_in().await;
    let store = "localStorage.setItem('cart', 'b1'); return localStorage.length";
    assert_eq!(web.browser.script(store, &[]).await, 1);
    web.browser.open(&format!("{SITE}/public/out")).await;
    web.browser.click("button").await;
    web.browser.arrives(&format!("{SITE}/logout")).await;
    assert_eq!(web.browser.cookie("__Host-session").await, None);
    let left = "return localStorage.length";
    assert_eq!(
        web.browser.script(left, &[]).await,
        0,
        "`Clear-Site-Data` empties what the pages stored"
    );
    web.browser.open(&format!("{SITE}/me")).await;
    assert!(web.browser.url().await.contains("/public/sign-in"));
    assert!(web.reached("/me").is_empty());
}

#[tokio::test]
async fn c06_a_lax_cookie_follows_links_of_another_site_but_no_forms() {
    let Some(web) = Web::open("SameSite=Lax in Chromium", "").await else {
        return;
    };
    web.sign_in().await;
    web.lured("/link/me", "a", "/me").await;
    let reached = web.reached("/me");
    assert_eq!(reached[0].header("sidegate-subject"), Some("u1"));
    web.lured("/post/theme", "button", "/theme").await;
    assert!(web.reached("/theme").is_empty());
}

#[tokio::test]
async fn c06_a_strict_cookie_does_not_follow_links_of_another_site() {
    let strict = ", same_site: strict";
    let Some(web) = Web::open("SameSite=Strict in Chromium", strict).await else {
        return;
    };
    web.sign_in().await;
    let (status, _) = web.browser.fetch("GET", "/me", None).await;
    assert_eq!(status, 200);
    let sign_in = "/public/sign-in?return_to=/me";
    web.lured("/link/me", "a", sign_in).await;
    assert!(web.reached("/me").is_empty());
}

#[tokio::test]
async fn c06_a_form_of_another_site_signs_nobody_in() {
    let Some(web) = Web::open("login CSRF in Chromium", "").await else {
        return;
    };
    // Whoever visits is not signed in as somebody else, nor who has a session made another.
    web.lured("/post/login", "button", "/login").await;
    assert!(web.reached("/login").is_empty());
    assert_eq!(web.browser.cookie("__Host-session").await, None);
    web.sign_in().await;
    let own = web.browser.cookie("__Host-session").await.unwrap();
    web.lured("/post/login", "button", "/login").await;
    assert!(web.reached("/login").is_empty());
    let kept = web.browser.cookie("__Host-session").await.unwrap();
    assert_eq!(kept["value"], own["value"]);
}

#[tokio::test]
async fn c07_an_own_page_sends_back_the_token_that_it_reads_from_its_cookie() {
    let Some(web) = Web::open("CSRF tokens in Chromium", ", csrf: {}").await else {
        return;
    };
    web.sign_in().await;
    let script = "const token = document.cookie.match(/__Host-csrf=([^;]+)/)[1]; \
                  const ask = (target, headers) => { \
                    const request = new XMLHttpRequest(); request.open('POST', target, false); \
                    for (const name in headers) request.setRequestHeader(name, headers[name]); \
                    request.send(); return request.status; }; \
                  return [ ask('/theme', {}), ask('/theme', { 'X-CSRF-Token': token + 'A' }), \
                    ask('/theme', { 'X-CSRF-Token': token }), \
                    ask('/logout', { 'X-CSRF-Token': token }) ]";
    let answered = web.browser.script(script, &[]).await;
    assert_eq!(answered, json!([403, 403, 200, 200]));
    assert_eq!(web.reached("/theme").len(), 1);
    for name in ["__Host-session", "__Host-csrf"] {
        assert_eq!(web.browser.cookie(name).await, None, "{name}");
    }
}

#[tokio::test]
async fn c06_no_request_that_another_site_may_have_caused_signs_in() {
    let scene = Scene::start().await;
    let own = scene.sign_in().await;
    let cookie = ("Cookie", own.as_str());
    scene.app.answer(site);
    for headers in [
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site")],
        vec![("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "cors")],
        vec![("Sec-Fetch-Site", "none")],
        vec![("Sec-Fetch-Site", "Same-Origin")],
        vec![("Sec-Fetch-Site", "")],
        vec![
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
        vec![
            ("Sec-Fetch-Site", "cross-site"),
            ("Origin", "http://books.example"),
        ],
        vec![("Origin", "https://evil.example")],
        vec![("Origin", "https://books.example.evil.example")],
        vec![("Origin", "https://evil.example/books.example")],
        vec![("Origin", "null")],
        vec![("Origin", "")],
        vec![
            ("Origin", "http://books.example"),
            ("Origin", "https://evil.example"),
        ],
        vec![("Sec-Fetch-Mode", "navigate")],
        vec![cookie],
        vec![cookie, ("Referer", "http://books.example/")],
        vec![cookie, ("Authorization", "Bearer x")],
        vec![cookie, ("X-Api-Key", "x")],
        vec![("Cookie", "__Host-session=x")],
    ] {
        let (answer, reached) = scene.ask("POST", "/login", &headers).await;
        assert!(
            matches!(answer.status, 400 | 401 | 403),
            "{headers:?} {}",
            answer.status
        );
        assert!(reached.is_empty(), "{headers:?}");
        let cookies = answer.headers.all("set-cookie");
        let is_new = |it: &&str| it.starts_with("__Host-session=") && !it.contains("Max-Age=0");
        assert!(!cookies.iter().any(is_new), "{headers:?}");
    }
    for headers in [
        vec![],
        vec![("Sec-Fetch-Site", "same-origin")],
        vec![("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate")],
        vec![("Origin", "http://books.example")],
    ] {
        let (answer, _) = scene.ask("POST", "/login", &headers).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
}
