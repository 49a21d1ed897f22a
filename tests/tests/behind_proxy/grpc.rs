//! What a gRPC app writes of the session, in trailing metadata (R11, R26).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use harness::{raw, recorder::App};
use http::{HeaderMap, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::{http2, scene::Scene};

/// One message of gRPC, of no bytes.
const MESSAGE: &[u8] = b"\0\0\0\0\0";
const SIGN_IN: (&str, &str) = ("sidegate-session-set", r#"{"subject":"u1"}"#);

/// What the app answers.
#[derive(Clone, Copy, Debug)]
enum Where {
    /// In the trailers, as it should.
    Trailers,
    /// In a header that is all there is.
    Only,
    /// In the header, before it is known whether the app failed.
    Header,
}

/// What the app does with a call.
#[derive(Clone, Debug)]
struct Plan {
    at: Where,
    status: &'static str,
    change: Option<(&'static str, &'static str)>,
    /// The handle that it echoes; `None` is that of the call.
    echo: Option<&'static str>,
}

/// An app that speaks gRPC, and a client of it.
struct Calls {
    scene: Scene,
    plan: Arc<Mutex<Plan>>,
    /// The header of the last call that reached the app.
    reached: Arc<Mutex<HeaderMap>>,
}

fn fields(plan: &Plan, issued: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("x-own", "1".parse().unwrap());
    if let Some((name, value)) = plan.change {
        fields.insert(name, value.parse().unwrap());
        let echo = plan.echo.unwrap_or(issued);
        fields.insert("sidegate-call", echo.parse().unwrap());
    }
    fields
}

async fn serve(stream: TcpStream, plan: Arc<Mutex<Plan>>, reached: Arc<Mutex<HeaderMap>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let issued = request.headers().get("sidegate-call");
        let issued = issued.map_or("", |call| call.to_str().unwrap()).to_owned();
        *reached.lock().unwrap() = request.headers().clone();
        let plan = plan.lock().unwrap().clone();
        let written = fields(&plan, &issued);
        let head = Response::builder().header("content-type", "application/grpc");
        let mut head = head.body(()).unwrap();
        let mut trailers = HeaderMap::new();
        match plan.at {
            Where::Trailers => trailers.extend(written),
            Where::Header => head.headers_mut().extend(written),
            Where::Only => {
                head.headers_mut().extend(written);
                let status = plan.status.parse().unwrap();
                head.headers_mut().insert("grpc-status", status);
                respond.send_response(head, true).unwrap();
                continue;
            }
        }
        trailers.insert("grpc-status", plan.status.parse().unwrap());
        let mut answer = respond.send_response(head, false).unwrap();
        answer
            .send_data(Bytes::from_static(MESSAGE), false)
            .unwrap();
        answer.send_trailers(trailers).unwrap();
    }
}

/// What a client sees of a call.
#[derive(Debug)]
struct Seen {
    head: HeaderMap,
    /// Those, or the header where it is all there is.
    trailers: HeaderMap,
}

/// Whether no client may see it. A refusal of ours names its outcome.
fn is_ours(name: &str) -> bool {
    name.starts_with("sidegate") && !matches!(name, "sidegate-token" | "sidegate-outcome")
}

impl Seen {
    fn status(&self) -> &str {
        self.trailers["grpc-status"].to_str().unwrap()
    }

    /// The token that was handed out.
    fn token(&self) -> Option<String> {
        let token = self.trailers.get("sidegate-token")?;
        Some(token.to_str().unwrap().to_owned())
    }

    fn assert_nothing_of_ours(&self) {
        let names = self.head.keys().chain(self.trailers.keys());
        let ours: Vec<_> = names.filter(|name| is_ours(name.as_str())).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}

impl Calls {
    async fn start() -> Self {
        let plan = Arc::new(Mutex::new(Plan {
            at: Where::Trailers,
            status: "0",
            change: None,
            echo: None,
        }));
        let reached = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let (plans, last) = (Arc::clone(&plan), Arc::clone(&reached));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&plans), Arc::clone(&last)));
            }
        });
        let scene = Scene::before(App::ok().await, upstream, "timeout: 20s").await;
        Self {
            scene,
            plan,
            reached,
        }
    }

    fn plan(&self, at: Where, status: &'static str, change: Option<(&'static str, &'static str)>) {
        let echo = None;
        *self.plan.lock().unwrap() = Plan {
            at,
            status,
            change,
            echo,
        };
    }

    /// Calls a method with this credential.
    async fn call(&self, method: &str, credential: Option<(&str, &str)>) -> Seen {
        let asked = http2::request("POST", &format!("/shop.Users/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let asked = credential
            .into_iter()
            .fold(asked, |asked, (name, value)| asked.header(name, value));
        let sent = Some((MESSAGE, HeaderMap::new()));
        let client = http2::connect(&self.scene).await;
        let mut answer = http2::ask(client, asked.body(()).unwrap(), sent).await;
        assert_eq!(answer.status(), 200);
        let body = answer.body_mut();
        while let Some(piece) = body.data().await {
            drop(piece.unwrap());
        }
        let trailers = tokio::time::timeout(raw::DEADLINE, body.trailers()).await;
        let head = answer.headers().clone();
        let trailers = trailers.unwrap().unwrap();
        let seen = Seen {
            trailers: trailers.unwrap_or_else(|| head.clone()),
            head,
        };
        seen.assert_nothing_of_ours();
        seen
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
        self.reached.lock().unwrap().clear();
        let seen = self.call("Me", Some(("authorization", token))).await;
        let reached = self.reached.lock().unwrap();
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
    let told = calls.reached.lock().unwrap()["sidegate-session"].clone();
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
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
        calls.plan.lock().unwrap().echo = echo;
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
