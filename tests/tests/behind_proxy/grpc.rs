//! What a gRPC app writes of the session, in trailing metadata (R11, R26).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{
    grpc_app::{self, GrpcApp, Seen, Where},
    recorder::App,
};

use crate::scene::Scene;

const SIGN_IN: (&str, &str) = ("sidegate-session-set", r#"{"subject":"u1"}"#);

/// An app that speaks gRPC, behind the proxy.
struct Calls {
    scene: Scene,
    app: GrpcApp,
}

impl Calls {
    async fn start() -> Self {
        let app = GrpcApp::start().await;
        let scene = Scene::before(App::ok().await, app.address, "timeout: 20s").await;
        Self { scene, app }
    }

    fn plan(&self, at: Where, status: &'static str, change: Option<(&'static str, &'static str)>) {
        self.app.plan(at, status, change);
    }

    /// Calls a method with this credential.
    async fn call(&self, method: &str, credential: Option<(&str, &str)>) -> Seen {
        let headers: Vec<_> = credential.into_iter().collect();
        let path = format!("/shop.Users/{method}");
        grpc_app::call(self.scene.proxy, &path, &headers).await
    }

    /// Signs in; gives what to send from then on.
    async fn sign_in(&self, at: Where) -> String {
        self.plan(at, "0", Some(SIGN_IN));
        let seen = self.call("Login", None).await;
        assert_eq!(seen.status(), "0", "{seen:?}");
        let token = seen.token();
        assert!(!seen.trailers.contains_key("set-cookie"), "{seen:?}");
        assert_eq!(seen.trailers["x-own"], "1");
        self.plan(Where::Trailers, "0", None);
        format!("Bearer {}", token.unwrap())
    }

    /// The status of a call by this token, and who the app is told it is.
    async fn who(&self, token: &str) -> (String, Option<String>) {
        self.plan(Where::Trailers, "0", None);
        self.app.reached.lock().unwrap().clear();
        let seen = self.call("Me", Some(("authorization", token))).await;
        let reached = self.app.reached.lock().unwrap();
        let subject = reached.get("sidegate-subject");
        let subject = subject.map(|subject| subject.to_str().unwrap().to_owned());
        (seen.status().to_owned(), subject)
    }
}

#[tokio::test]
async fn r11_a_grpc_app_signs_in_in_its_trailers_or_in_all_that_it_answers() {
    for at in [Where::Trailers, Where::Only] {
        let calls = Calls::start().await;
        let token = calls.sign_in(at).await;
        let expected = ("0".to_owned(), Some("u1".to_owned()));
        assert_eq!(calls.who(&token).await, expected, "{at:?}");
    }
}

#[tokio::test]
async fn r11_a_grpc_app_patches_and_logs_out_in_its_trailers() {
    let calls = Calls::start().await;
    let token = calls.sign_in(Where::Trailers).await;
    let credential = Some(("authorization", &*token));
    let dark = ("sidegate-session-patch", r#"{"theme":"dark"}"#);
    calls.plan(Where::Trailers, "0", Some(dark));
    let seen = calls.call("Theme", credential).await;
    assert_eq!((seen.status(), seen.token()), ("0", None));
    assert_eq!(calls.who(&token).await.0, "0");
    let told = calls.app.reached.lock().unwrap()["sidegate-session"].clone();
    let told = URL_SAFE_NO_PAD.decode(told).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["attributes"]["theme"], "dark");
    let clear = ("sidegate-session-clear", "this");
    calls.plan(Where::Trailers, "0", Some(clear));
    assert_eq!(calls.call("Logout", credential).await.status(), "0");
    assert_eq!(calls.who(&token).await, ("16".to_owned(), None));
}

#[tokio::test]
async fn r11_a_grpc_app_that_failed_signs_nobody_in_but_logs_out() {
    for at in [Where::Trailers, Where::Only] {
        let calls = Calls::start().await;
        calls.plan(at, "5", Some(SIGN_IN));
        let seen = calls.call("Login", None).await;
        assert_eq!((seen.status(), seen.token()), ("5", None), "{at:?}");
        let token = calls.sign_in(Where::Trailers).await;
        calls.plan(at, "13", Some(("sidegate-session-clear", "this")));
        let seen = calls.call("Logout", Some(("authorization", &token))).await;
        assert_eq!(seen.status(), "13", "{at:?}");
        assert_eq!(calls.who(&token).await.0, "16", "{at:?}");
    }
}

/// What ends without a status is a failure to every client.
#[tokio::test]
async fn r11_a_grpc_app_that_says_no_status_signs_nobody_in_but_logs_out() {
    let calls = Calls::start().await;
    calls.plan(Where::Trailers, "", Some(SIGN_IN));
    let seen = calls.call("Login", None).await;
    assert_eq!(seen.trailers["x-own"], "1");
    assert_eq!(seen.token(), None);
    let token = calls.sign_in(Where::Trailers).await;
    let clear = ("sidegate-session-clear", "this");
    calls.plan(Where::Trailers, "", Some(clear));
    let _ = calls.call("Logout", Some(("authorization", &token))).await;
    assert_eq!(calls.who(&token).await.0, "16");
}

/// The messages have passed, but nobody takes the call for one that succeeded.
#[tokio::test]
async fn r26_a_change_of_a_grpc_app_that_cannot_be_made_is_the_status_of_the_call() {
    let calls = Calls::start().await;
    let token = calls.sign_in(Where::Trailers).await;
    let credential = Some(("authorization", &*token));
    for (what, at, method, change, echo) in [
        (
            "not its handle",
            Where::Trailers,
            "Login",
            SIGN_IN,
            Some("AAAA"),
        ),
        (
            "not its handle",
            Where::Only,
            "Login",
            SIGN_IN,
            Some("AAAA"),
        ),
        ("no handle", Where::Trailers, "Login", SIGN_IN, Some("")),
        ("may not sign in", Where::Trailers, "Me", SIGN_IN, None),
        ("no JSON", Where::Trailers, "Login", (SIGN_IN.0, "{"), None),
        ("too early", Where::Header, "Login", SIGN_IN, None),
    ] {
        calls.plan(at, "0", Some(change));
        calls.app.plan.lock().unwrap().echo = echo.map(str::to_owned);
        let seen = calls.call(method, credential).await;
        assert_eq!(
            (seen.status(), seen.token()),
            ("14", None),
            "{what}, {at:?}"
        );
        assert!(!seen.trailers.contains_key("x-own"), "{what}, {at:?}");
        let lives = ("0".to_owned(), Some("u1".to_owned()));
        assert_eq!(calls.who(&token).await, lives, "{what}, {at:?}");
    }
}

/// What presents a cookie gets the next one, beside the status.
#[tokio::test]
async fn a_grpc_client_with_a_cookie_gets_its_next_one_in_trailing_metadata() {
    let calls = Calls::start().await;
    let token = calls.sign_in(Where::Trailers).await;
    assert!(token.starts_with("Bearer sg1_"));
    calls.plan(Where::Trailers, "0", Some(SIGN_IN));
    let seen = calls.call("Login", Some(("cookie", "a=1"))).await;
    assert_eq!((seen.status(), seen.token()), ("0", None));
    let cookie = seen.trailers["set-cookie"].to_str().unwrap();
    let own = cookie.split(';').next().unwrap();
    calls.plan(Where::Trailers, "0", None);
    assert_eq!(calls.call("Me", Some(("cookie", own))).await.status(), "0");
}
