//! What a gRPC app writes of the session, in trailing metadata that Envoy has us look at (R11, R26).

use harness::grpc_app::{self, GrpcApp, Seen, Where};

use crate::scene::{Scene, Setup};

const SIGN_IN: (&str, &str) = ("sidegate-session-set", r#"{"subject":"u1"}"#);

/// An app that speaks gRPC, behind Envoy; `None` where there is no Envoy.
async fn start() -> Option<(Scene, GrpcApp)> {
    let app = GrpcApp::start().await;
    let scene = Scene::start(Setup {
        writes: true,
        grpc: Some(app.address),
        ..Setup::default()
    });
    Some((scene.await?, app))
}

async fn call(scene: &Scene, method: &str, headers: &[(&str, &str)]) -> Seen {
    let path = format!("/books.v1.{method}");
    grpc_app::call(scene.envoy.http(), &path, headers).await
}

/// The session's cookie, from where a gRPC client finds it.
fn cookie(seen: &Seen) -> Option<String> {
    let cookie = seen.trailers.get("set-cookie")?.to_str().unwrap();
    Some(cookie.split(';').next()?.to_owned())
}

#[tokio::test]
async fn r11_a_grpc_app_signs_in_and_logs_out_in_its_trailers() {
    for at in [Where::Trailers, Where::Only] {
        let Some((scene, app)) = start().await else {
            return;
        };
        app.plan(at, "0", Some(SIGN_IN));
        let seen = call(&scene, "Users/Login", &[]).await;
        assert_eq!(seen.status(), "0", "{at:?}: {seen:?}");
        let own = cookie(&seen).unwrap();
        app.plan(Where::Trailers, "0", None);
        let seen = call(&scene, "Books/Get", &[("cookie", &own)]).await;
        assert_eq!(seen.status(), "0", "{at:?}");
        let subject = app.reached.lock().unwrap()["sidegate-subject"].clone();
        assert_eq!(subject, "u1", "{at:?}");
        // An app that failed signs nobody in, but logs out.
        app.plan(at, "5", Some(SIGN_IN));
        let seen = call(&scene, "Users/Login", &[]).await;
        assert_eq!((seen.status(), cookie(&seen)), ("5", None), "{at:?}");
        app.plan(at, "13", Some(("sidegate-session-clear", "this")));
        let seen = call(&scene, "Users/Logout", &[("cookie", &own)]).await;
        assert_eq!(seen.status(), "13", "{at:?}");
        let seen = call(&scene, "Books/Get", &[("cookie", &own)]).await;
        assert_eq!(seen.status(), "16", "{at:?}");
    }
}

/// What ends without a status is a failure to every client.
#[tokio::test]
async fn r11_a_grpc_app_that_says_no_status_signs_nobody_in_but_logs_out() {
    let Some((scene, app)) = start().await else {
        return;
    };
    app.plan(Where::Trailers, "", Some(SIGN_IN));
    let seen = call(&scene, "Users/Login", &[]).await;
    assert_eq!(cookie(&seen), None, "{seen:?}");
    app.plan(Where::Trailers, "0", Some(SIGN_IN));
    let own = cookie(&call(&scene, "Users/Login", &[]).await).unwrap();
    app.plan(
        Where::Trailers,
        "",
        Some(("sidegate-session-clear", "this")),
    );
    let _ = call(&scene, "Users/Logout", &[("cookie", &own)]).await;
    app.plan(Where::Trailers, "0", None);
    let seen = call(&scene, "Books/Get", &[("cookie", &own)]).await;
    assert_eq!(seen.status(), "16", "{seen:?}");
}

#[tokio::test]
async fn r26_a_change_of_a_grpc_app_that_cannot_be_made_is_the_status_of_the_call() {
    let Some((scene, app)) = start().await else {
        return;
    };
    for (what, at, echo) in [
        ("not its handle", Where::Trailers, Some("AAAA")),
        ("not its handle", Where::Only, Some("AAAA")),
        ("too early", Where::Header, None),
    ] {
        app.plan(at, "0", Some(SIGN_IN));
        app.plan.lock().unwrap().echo = echo.map(str::to_owned);
        let seen = call(&scene, "Users/Login", &[]).await;
        assert_eq!((seen.status(), cookie(&seen)), ("14", None), "{what}");
    }
}
