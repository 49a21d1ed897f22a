//! What an app relays from elsewhere changes no session: a change counts only with the handle of
//! the very request that it answers (R26).

use std::sync::Arc;

use auth_core::{
    clock::Timestamp,
    session::Tenant,
    store::{SessionFilter, SessionStore as _, memory::MemoryStore},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{
    grpc_app::{self, GrpcApp, Where},
    hostile::flipped,
    raw::Answer,
    recorder::{Reply, Request},
};

use crate::{
    scene::{Scene, Setup},
    writes::sign_in,
};

/// What is written, and where that may be written.
const WRITES: [(&str, &str, &str); 3] = [
    ("/login", "Sidegate-Session-Set", r#"{"subject":"u2"}"#),
    ("/theme", "Sidegate-Session-Patch", r#"{"theme":"dark"}"#),
    ("/logout", "Sidegate-Session-Clear", "all"),
];

/// Envoy, and the store of who asks on its behalf.
struct Forgery {
    scene: Scene,
    store: Arc<MemoryStore>,
}

impl Forgery {
    async fn start(setup: Setup) -> Option<Self> {
        let store = Arc::new(MemoryStore::new());
        let setup = Setup {
            writes: true,
            ..setup
        };
        let scene = Scene::with_store(setup, store.clone()).await?;
        Some(Self { scene, store })
    }

    /// Every session that there ever was: its id, who it is of, its attributes and its death.
    async fn sessions(&self) -> Vec<String> {
        let all = SessionFilter {
            include_ended: true,
            ..SessionFilter::default()
        };
        let (tenant, now) = (Tenant::default(), Timestamp::EPOCH);
        let page = self.store.list(&tenant, &all, None, 100, now).await;
        let sessions = page.unwrap().sessions.into_iter().map(|listed| {
            let (record, death) = (listed.record, listed.death);
            let (subject, attributes) = (&record.identity.subject, &record.attributes);
            format!("{} {subject:?} {attributes:?} {death:?}", record.id)
        });
        sessions.collect()
    }

    /// The handle that the app gets with this request.
    async fn handle(&self, method: &str, target: &str, own: Option<&str>) -> String {
        self.scene.app.answer(|_| Reply::status(200));
        let mut headers = vec![("Sec-Fetch-Site", "same-origin")];
        headers.extend(own.map(|own| ("Cookie", own)));
        let (answer, reached) = self.scene.ask(method, target, &headers).await;
        assert_eq!((answer.status, reached.len()), (200, 1), "{target}");
        handle_of(&reached[0])
    }

    /// Has the app answer a request of this client with a change and these handles; gives what the
    /// client sees.
    async fn relayed(
        &self,
        (method, target): (&str, &str),
        own: Option<&str>,
        (name, value): (&'static str, &'static str),
        echo: impl Fn(&str) -> Vec<String> + Send + Sync + 'static,
    ) -> (Answer, Vec<Request>) {
        self.scene.app.answer(move |request| {
            let reply = Reply::status(200)
                .header("Set-Cookie", "own=1")
                .header("X-Own", "1");
            let echoes = echo(&handle_of(request)).into_iter();
            let reply = echoes.fold(reply, |reply, echo| reply.header("Sidegate-Call", echo));
            reply.header(name, value).body("from the app")
        });
        let mut headers = vec![("Sec-Fetch-Site", "same-origin")];
        headers.extend(own.map(|own| ("Cookie", own)));
        self.scene.ask(method, target, &headers).await
    }

    /// Every kind of change, with what `echo` makes of the right handle, in answer to requests that
    /// may make it.
    async fn assert_nothing_counts(
        &self,
        own: &str,
        what: &str,
        echo: impl Fn(&str) -> Vec<String> + Send + Sync + Clone + 'static,
    ) {
        let before = self.sessions().await;
        for (target, name, value) in WRITES {
            let asked = ("POST", target);
            let relayed = self.relayed(asked, Some(own), (name, value), echo.clone());
            let (answer, reached) = relayed.await;
            assert_eq!(reached.len(), 1, "{what}: {target}");
            assert_withheld(&answer, &format!("{what}: {target}"));
        }
        assert_eq!(self.sessions().await, before, "{what}");
    }
}

fn handle_of(request: &Request) -> String {
    request
        .header("sidegate-call")
        .unwrap_or_default()
        .to_owned()
}

/// The client gets nothing of the app's answer, and nothing of ours but that it failed.
fn assert_withheld(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}");
    assert!(!answer.text().contains("from the app"), "{what}");
    let lines = answer.headers.lines();
    let withheld = ["set-cookie", "x-own"];
    let is_told = |name: &str| {
        let name = name.to_ascii_lowercase();
        withheld.contains(&&*name)
            || name.starts_with("sidegate-session")
            || name == "sidegate-call"
    };
    assert!(
        !lines.iter().any(|(name, _)| is_told(name)),
        "{what}: {lines:?}"
    );
}

#[tokio::test]
async fn r26_behind_envoy_a_handle_that_is_missing_or_made_up_writes_nothing() {
    type Made = fn(&str) -> Vec<String>;
    let Some(forgery) = Forgery::start(Setup::default()).await else {
        return;
    };
    let own = sign_in(&forgery.scene).await;
    let made: [(&str, Made); 8] = [
        ("none", |_| vec![]),
        ("empty", |_| vec![String::new()]),
        ("no base64url", |_| vec!["not base64url!".to_owned()]),
        ("made up", |right| {
            vec![URL_SAFE_NO_PAD.encode(vec![7; right.len() / 4 * 3])]
        }),
        ("one bit changed", |right| vec![flipped(right, 60)]),
        ("its last byte changed", |right| {
            vec![flipped(right, usize::MAX)]
        }),
        ("twice", |right| vec![right.to_owned(); 2]),
        ("with a made-up one", |right| {
            vec![flipped(right, 0), right.to_owned()]
        }),
    ];
    for (what, echo) in made {
        forgery.assert_nothing_counts(&own, what, echo).await;
    }
}

#[tokio::test]
async fn r26_behind_envoy_a_handle_that_was_issued_for_something_else_writes_nothing() {
    let setup = Setup::default();
    let (Some(forgery), Some(elsewhere)) =
        (Forgery::start(setup).await, Forgery::start(setup).await)
    else {
        return;
    };
    let own = sign_in(&forgery.scene).await;
    let another = sign_in(&forgery.scene).await;
    let of_elsewhere = sign_in(&elsewhere.scene).await;
    let mut issued = Vec::new();
    for (what, process, method, target, cookie) in [
        ("another request", &forgery, "POST", "/login", Some(&own)),
        (
            "another session",
            &forgery,
            "POST",
            "/login",
            Some(&another),
        ),
        ("nobody", &forgery, "POST", "/login", None),
        ("another operation", &forgery, "GET", "/closed", Some(&own)),
        ("no session", &forgery, "GET", "/open", Some(&own)),
        (
            "another process",
            &elsewhere,
            "POST",
            "/login",
            Some(&of_elsewhere),
        ),
    ] {
        let cookie = cookie.map(String::as_str);
        let handle = process.handle(method, target, cookie).await;
        assert!(!handle.is_empty(), "{what}");
        issued.push((what, handle));
    }
    for (what, handle) in issued {
        let echo = move |_: &str| vec![handle.clone()];
        forgery.assert_nothing_counts(&own, what, echo).await;
    }
}

/// Where the operation may not write, what the app passes on from elsewhere signs nobody in,
/// whether or not it knows the handle of its request.
#[tokio::test]
async fn r11_behind_envoy_what_is_relayed_on_a_route_that_writes_nothing_is_withheld() {
    let Some(forgery) = Forgery::start(Setup::default()).await else {
        return;
    };
    let own = sign_in(&forgery.scene).await;
    let writable = forgery.handle("POST", "/login", Some(&own)).await;
    let before = forgery.sessions().await;
    for (target, cookie) in [
        ("/open", None),
        ("/open", Some(&*own)),
        ("/either", None),
        ("/either", Some(&*own)),
        ("/public/page", None),
        ("/closed", Some(&*own)),
    ] {
        for (_, name, value) in &WRITES[..2] {
            for echo in ["none", "its own", "of a route that writes"] {
                let writable = writable.clone();
                let echoes = move |right: &str| match echo {
                    "none" => vec![],
                    "its own" => vec![right.to_owned()],
                    _ => vec![writable.clone()],
                };
                let asked = ("GET", target);
                let relayed = forgery.relayed(asked, cookie, (name, value), echoes);
                let (answer, reached) = relayed.await;
                assert_eq!(reached.len(), 1, "{target} {name} {echo}");
                assert_withheld(&answer, &format!("{target} {name} {echo}"));
            }
        }
    }
    assert_eq!(forgery.sessions().await, before);
}

#[tokio::test]
async fn r26_behind_envoy_a_denied_call_reaches_no_app_and_writes_nothing() {
    let Some(forgery) = Forgery::start(Setup::default()).await else {
        return;
    };
    let own = sign_in(&forgery.scene).await;
    let before = forgery.sessions().await;
    for (target, cookie, status) in [
        ("/closed", None, 401),
        ("/forbidden", Some(&*own), 403),
        ("/nowhere", Some(&*own), 403),
        ("//open", None, 400),
    ] {
        for (_, name, value) in WRITES {
            let echo = |right: &str| vec![right.to_owned()];
            let relayed = forgery.relayed(("GET", target), cookie, (name, value), echo);
            let (answer, reached) = relayed.await;
            assert_eq!(
                (answer.status, reached.len()),
                (status, 0),
                "{target} {name}"
            );
            let cookies = answer.headers.all("set-cookie");
            assert!(cookies.is_empty(), "{target} {name}: {cookies:?}");
        }
    }
    assert_eq!(forgery.sessions().await, before);
}

/// Envoy lets pass what it could not ask about, where its operator says so: then nothing was issued,
/// whatever handle the client or the app has from elsewhere.
#[tokio::test]
async fn r26_behind_envoy_where_nobody_was_asked_nothing_is_written() {
    for strips in [true, false] {
        let setup = Setup {
            strips,
            fails_open: true,
            asks_nobody: true,
            ..Setup::default()
        };
        let Some(forgery) = Forgery::start(setup).await else {
            return;
        };
        for (target, name, value) in WRITES {
            for evil in ["", "AAAA"] {
                // An app that knows no better echoes what it got.
                forgery.scene.app.answer(move |request| {
                    Reply::status(200)
                        .header("Set-Cookie", "own=1")
                        .header("Sidegate-Call", handle_of(request))
                        .header(name, value)
                        .body("from the app")
                });
                let spoofed = [("Sidegate-Call", evil)];
                let (answer, reached) = forgery.scene.ask("POST", target, &spoofed).await;
                assert_eq!(reached.len(), 1, "{setup:?} {target}");
                assert_withheld(&answer, &format!("{setup:?} {target} {evil}"));
            }
        }
        assert_eq!(forgery.sessions().await, Vec::<String>::new(), "{setup:?}");
    }
}

#[tokio::test]
async fn r26_behind_envoy_a_grpc_app_that_echoes_another_handle_writes_nothing() {
    let app = GrpcApp::start().await;
    let setup = Setup {
        grpc: Some(app.address),
        ..Setup::default()
    };
    let Some(forgery) = Forgery::start(setup).await else {
        return;
    };
    let change = ("sidegate-session-set", r#"{"subject":"u1"}"#);
    let envoy = forgery.scene.envoy.http();
    let seen = grpc_app::call(envoy, "/books.v1.Users/Login", &[]).await;
    assert_eq!(seen.status(), "0");
    let of_another = app.reached.lock().unwrap()["sidegate-call"].clone();
    let of_another = of_another.to_str().unwrap().to_owned();
    for at in [Where::Trailers, Where::Only] {
        app.plan(at, "0", Some(change));
        app.plan.lock().unwrap().echo = Some(of_another.clone());
        let seen = grpc_app::call(envoy, "/books.v1.Users/Login", &[]).await;
        assert_eq!(seen.status(), "14", "{at:?}: {seen:?}");
        assert!(!seen.head.contains_key("set-cookie"), "{at:?}: {seen:?}");
        assert!(
            !seen.trailers.contains_key("set-cookie"),
            "{at:?}: {seen:?}"
        );
    }
    assert_eq!(forgery.sessions().await, Vec::<String>::new());
}
