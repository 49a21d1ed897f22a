use std::{sync::Arc, time::Duration};

use auth_core::{authority::HostPattern, caller::Grant};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, request::Builder},
    response::Response,
};
use serde_json::{Value, json};
use sidecar::edge::{
    access::{Identified, Transport},
    grpc::AuthorizationEdge,
    json::{Guard, MAX_BODY_BYTES, router},
    session::SessionEdge,
};
use tower::ServiceExt as _;

use crate::scripted::{Scripted, caller};

const AUTHORIZE: &str = "/sidegate.v1.AuthorizationService/Authorize";
const GET: &str = "/sidegate.v1.SessionService/GetSession";

fn api() -> (Arc<Scripted>, Router) {
    let point = Arc::new(Scripted::default());
    let max = Duration::from_secs(5);
    let guard = Guard::new(
        vec![HostPattern::parse("localhost").unwrap()],
        vec!["https://admin.example".into()],
    );
    let authorization = AuthorizationEdge::with_max(Arc::clone(&point), max);
    let session = SessionEdge::with_max(Arc::clone(&point), max);
    let router = router(authorization, session, guard).unwrap();
    (point, router)
}

fn post(path: &str) -> Builder {
    Request::post(path)
        .header("host", "localhost:7481")
        .header("content-type", "application/json")
        .extension(Identified {
            caller: caller(&[Grant::Authorize, Grant::SessionSelf]),
            transport: Transport::Tcp,
        })
}

async fn send(request: Builder, body: impl ToString) -> Response {
    let request = request.body(Body::from(body.to_string())).unwrap();
    api().1.oneshot(request).await.unwrap()
}

async fn read(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn ask(target: &str) -> Value {
    json!({
        "wire": {
            "kind": "WIRE_KIND_HTTP",
            "method": "GET",
            "target": target,
            "credentials": [{ "source": "CREDENTIAL_SOURCE_AUTHORIZATION", "text": "Bearer x" }],
        },
        "data": { "book_id": "b1" },
        "sessionView": "SESSION_VIEW_FULL",
    })
}

#[tokio::test]
async fn a_decision_reads_as_curl_shows_it() {
    let response = send(post(AUTHORIZE), ask("/allow")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer = read(response).await;
    assert_eq!(answer["decision"], "DECISION_ALLOW");
    assert_eq!(answer["session"]["claims"], json!({ "role": "admin" }));
    assert_eq!(answer["session"]["subject"]["id"], "u1");
    assert_eq!(answer["call"], "c2VhbGVk");
}

#[tokio::test]
async fn what_was_sent_as_text_and_object_is_what_is_decided() {
    let (point, router) = api();
    let request = post(AUTHORIZE).body(Body::from(ask("/deny").to_string()));
    let response = router.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(read(response).await["decision"], "DECISION_DENY");
    let asked = point.asked.lock().unwrap();
    assert_eq!(asked[0].credentials[0].value, "Bearer x");
    assert_eq!(asked[0].data_json, r#"{"book_id":"b1"}"#);
}

#[tokio::test]
async fn all_unary_methods_answer_and_nothing_else_does() {
    let authorization = "/sidegate.v1.AuthorizationService";
    let session = "/sidegate.v1.SessionService";
    let client = json!({ "caller": { "kind": "WIRE_KIND_HTTP" } });
    let patch = json!({ "call": "c2VhbGVk", "patch": {} });
    let clear = json!({ "call": "c2VhbGVk", "scope": "CLEAR_SCOPE_THIS" });
    for (path, body, status) in [
        (format!("{authorization}/BatchAuthorize"), client, 200),
        (
            format!("{authorization}/GetWireProfile"),
            json!({ "kind": 1 }),
            200,
        ),
        (
            format!("{session}/GetSession"),
            json!({ "call": "c2VhbGVk" }),
            200,
        ),
        (format!("{session}/SetSession"), patch, 200),
        (format!("{session}/ClearSession"), clear, 200),
        (format!("{session}/Unknown"), json!({}), 404),
        (
            "/sidegate.v1.SessionStoreService/ListSessions".into(),
            json!({}),
            404,
        ),
        (
            "/sidegate.admin.v1.AdminService/GetStatus".into(),
            json!({}),
            404,
        ),
        ("/".into(), json!({}), 404),
    ] {
        let response = send(post(&path), body).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn a_request_that_is_no_call_is_refused_with_its_own_status() {
    let good = ask("/allow").to_string();
    let plain = |name: &'static str, value: &'static str| {
        let mut builder = post(AUTHORIZE);
        let headers = builder.headers_mut().unwrap();
        headers.insert(name, value.parse().unwrap());
        builder
    };
    let unknown = Request::post(AUTHORIZE)
        .header("host", "localhost")
        .header("content-type", "application/json");
    for (request, body, status, code) in [
        (
            post(AUTHORIZE).method("GET"),
            good.clone(),
            405,
            "unimplemented",
        ),
        (
            post(AUTHORIZE).method("OPTIONS"),
            good.clone(),
            405,
            "unimplemented",
        ),
        (
            plain("host", "evil.example"),
            good.clone(),
            421,
            "permission_denied",
        ),
        (
            plain("origin", "https://evil.example"),
            good.clone(),
            403,
            "permission_denied",
        ),
        (
            plain("content-type", "text/plain"),
            good.clone(),
            415,
            "invalid_argument",
        ),
        (
            plain("content-type", "application/connect+json"),
            good.clone(),
            415,
            "invalid_argument",
        ),
        (
            plain("content-encoding", "gzip"),
            good.clone(),
            415,
            "invalid_argument",
        ),
        (
            plain("connect-protocol-version", "2"),
            good.clone(),
            400,
            "invalid_argument",
        ),
        (
            plain("connect-timeout-ms", "soon"),
            good.clone(),
            400,
            "invalid_argument",
        ),
        (unknown, good, 401, "unauthenticated"),
        (
            post(AUTHORIZE),
            "x".repeat(MAX_BODY_BYTES + 1),
            413,
            "resource_exhausted",
        ),
        (post(AUTHORIZE), "{".to_owned(), 400, "invalid_argument"),
        (post(AUTHORIZE), "{}".to_owned(), 400, "invalid_argument"),
    ] {
        let response = send(request, body).await;
        assert_eq!(response.status(), status);
        if status == 405 {
            assert_eq!(response.headers()["allow"], "POST");
        }
        assert_eq!(read(response).await["code"], code, "{status}");
    }
}

#[tokio::test]
async fn a_listed_origin_and_a_charset_pass() {
    let request = post(AUTHORIZE).header("origin", "https://admin.example");
    assert_eq!(send(request, ask("/allow")).await.status(), 200);
    let mut request = post(AUTHORIZE);
    let headers = request.headers_mut().unwrap();
    let charset = "application/json; charset=UTF-8".parse().unwrap();
    headers.insert("content-type", charset);
    assert_eq!(send(request, ask("/allow")).await.status(), 200);
}

#[tokio::test]
async fn an_error_of_a_method_has_the_form_of_connect() {
    for (handle, status, code, reason) in [
        ("Z29uZQ==", 404, "not_found", "SESSION_GONE"),
        ("Y2FsbA==", 401, "unauthenticated", "CALL_INVALID"),
        ("ZXRhZw==", 409, "aborted", "ETAG_MISMATCH"),
        ("Y2xhaW0=", 403, "permission_denied", "CLAIM_NOT_ALLOWED"),
        ("bWFueQ==", 400, "failed_precondition", "TOO_MANY_SESSIONS"),
        ("cmFuZG9t", 503, "unavailable", "RANDOM_UNAVAILABLE"),
    ] {
        let response = send(post(GET), json!({ "call": handle })).await;
        assert_eq!(response.status(), status, "{reason}");
        let error = read(response).await;
        assert_eq!(error["code"], code);
        let details = error["details"].as_array().unwrap();
        assert_eq!(details[0]["type"], "google.rpc.ErrorInfo");
        assert_eq!(details[0]["debug"]["reason"], reason);
    }
}

#[tokio::test]
async fn the_callers_own_deadline_is_kept() {
    let request = post(AUTHORIZE).header("connect-timeout-ms", "20");
    let response = send(request, ask("/slow")).await;
    assert_eq!(response.status(), 504);
    assert_eq!(read(response).await["code"], "deadline_exceeded");
}
