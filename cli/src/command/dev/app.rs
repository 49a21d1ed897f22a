//! The book shop's app, behind the reverse proxy. It uses nothing of Sidegate's: who calls stands in
//! request headers, and a header of its answer signs in or logs out, as in any language.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{exit::Exit, failure::Failure};

/// Who calls, as the proxy says; nobody when empty.
const SUBJECT: &str = "sidegate-subject";
/// What a change of the session has to echo.
const CALL: &str = "sidegate-call";

/// An app that listens, but does not answer yet.
pub(super) struct App {
    listener: TcpListener,
    /// Where.
    pub(super) address: SocketAddr,
}

impl App {
    /// Binds the port, or a free one for 0.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when the port is taken.
    pub(super) async fn bind(port: u16) -> Result<Self, Failure> {
        let failed = |err: std::io::Error| {
            let message = format!("the shop's app cannot listen on 127.0.0.1:{port}: {err}");
            Failure::new(Exit::Conflict, message).next("`sidegate dev --port 0` takes free ports")
        };
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Answers until it is dropped.
    pub(super) async fn run(self) {
        let routes = Router::new()
            .route("/login", post(login))
            .route("/logout", post(logout))
            .route("/me", get(me))
            .route("/books", get(books))
            .route("/books/{id}", delete(delete_book))
            .route("/admin/reindex", post(reindex));
        // It ends with the process; that it cannot serve would be seen by whoever asks.
        let _ = axum::serve(self.listener, routes).await;
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn json(answer: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// An answer that changes the session, as the request's `Sidegate-Call` allows.
fn changing(headers: &HeaderMap, change: (&'static str, String), said: &str) -> Response {
    let call = header(headers, CALL).to_owned();
    let answer = json(&json!({ "said": said }));
    ([(CALL, call), change], answer).into_response()
}

/// A real shop would look at a password here.
async fn login(headers: HeaderMap, form: String) -> Response {
    let user = form.strip_prefix("user=").unwrap_or_default();
    let is_name = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_name {
        let answer = json(&json!({ "said": "send user=NAME" }));
        return (StatusCode::BAD_REQUEST, answer).into_response();
    }
    let role = if user == "root" { "admin" } else { "reader" };
    let session = json!({ "subject": user, "claims": { "role": role } });
    let change = ("sidegate-session-set", session.to_string());
    changing(&headers, change, &format!("welcome, {user}"))
}

async fn logout(headers: HeaderMap) -> Response {
    let change = ("sidegate-session-clear", "this".to_owned());
    changing(&headers, change, "goodbye")
}

async fn me(headers: HeaderMap) -> Response {
    json(&json!({ "you": header(&headers, SUBJECT) }))
}

async fn books() -> Response {
    json(&json!({ "books": ["b1", "b2"] }))
}

/// A demo keeps its books, so that the lines can be run again.
async fn delete_book(headers: HeaderMap, Path(id): Path<String>) -> Response {
    let by = header(&headers, SUBJECT);
    json(&json!({ "deleted": id, "by": by }))
}

async fn reindex(headers: HeaderMap) -> Response {
    json(&json!({ "reindexed": true, "by": header(&headers, SUBJECT) }))
}
