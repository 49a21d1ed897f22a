//! An app that speaks gRPC, behind the configuration that is printed for Envoy. The other
//! configurations speak HTTP/1.1 to the app.

use harness::{
    grpc_app::{self, GrpcApp, Where},
    real::printed::Proxy,
};

use crate::scene::{Scene, Setup};

#[tokio::test]
async fn r11_a_grpc_app_signs_in_is_asked_and_logs_out() {
    let app = GrpcApp::start().await;
    let setup = Setup {
        grpc: Some(app.address),
        ..Setup::default()
    };
    let Some(scene) = Scene::with(Proxy::Envoy, setup).await else {
        return;
    };
    let call = async |method: &str, headers: &[(&str, &str)]| {
        let path = format!("/books.v1.{method}");
        grpc_app::call(scene.server.http(), &path, headers).await
    };
    let sign_in = ("sidegate-session-set", r#"{"subject":"u1"}"#);
    app.plan(Where::Trailers, "0", Some(sign_in));
    let signed_in = call("Users/Login", &[]).await;
    assert_eq!(signed_in.status(), "0");
    let cookie = signed_in.trailers["set-cookie"].to_str().unwrap();
    let own = [("cookie", cookie.split(';').next().unwrap())];
    let clear = ("sidegate-session-clear", "this");
    for (method, headers, change, status) in [
        ("Books/Get", &[][..], None, "16"),
        ("Books/Get", &own, None, "0"),
        ("Books/Delete", &own, None, "7"),
        ("Users/Logout", &own, Some(clear), "0"),
        ("Books/Get", &own, None, "16"),
    ] {
        app.plan(Where::Trailers, "0", change);
        app.reached.lock().unwrap().clear();
        let seen = call(method, headers).await;
        assert_eq!(seen.status(), status, "{method} {headers:?}");
        let is_unreached = app.reached.lock().unwrap().is_empty();
        assert_eq!(is_unreached, status != "0", "{method} {headers:?}");
    }
}
