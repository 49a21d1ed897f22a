//! Refusals as HTTP clients understand them: the row of the one table (R20), challenges, and a body
//! of RFC 9457.

use auth_core::{decision::Answer, outcome::Outcome, wire_update::WireUpdate};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::identity::OUTCOME;
use crate::edge::deadline;

/// How long a client that was refused for asking too much should wait, in seconds.
pub const RETRY_AFTER: u64 = 10;

/// `Cache-Control` of a response that sets a cookie.
pub const PRIVATE: &str = "private, no-store";

/// What of a response says which pages of other origins may read it. Where the policy says that, no
/// app says more.
pub const CROSS_ORIGIN: [HeaderName; 3] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// An answer that is no allow, without its updates.
#[must_use]
pub fn denied<B: From<String>>(answer: &Answer) -> Response<B> {
    let outcome = answer.outcome();
    let status =
        StatusCode::from_u16(outcome.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let more = json!({
        "reason": answer.reason.code.as_str(),
        "decision_id": answer.decision_id,
    });
    let mut response = problem_json(status, outcome, &more);
    let headers = response.headers_mut();
    for challenge in &answer.challenges {
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            headers.append(header::WWW_AUTHENTICATE, challenge);
        }
    }
    if outcome == Outcome::Limited {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    add_headers(answer, headers);
    response
}

/// The answer to a browser that asks what another origin's page may do: no verdict on a call, but
/// what the policy says of the origin. Only for edges whose proxy takes it for a refusal.
#[must_use]
pub fn preflight<B: From<String>>(answer: &Answer) -> Response<B> {
    let mut response = empty(StatusCode::NO_CONTENT, answer.outcome());
    add_headers(answer, response.headers_mut());
    response
}

/// Adds what the policy puts on every answer of the operation. What the app says of the same is
/// overwritten, and taken away from an origin that the policy does not name.
pub fn add_headers(answer: &Answer, headers: &mut HeaderMap) {
    if names_origins(answer) {
        for name in CROSS_ORIGIN {
            headers.remove(name);
        }
    }
    for (name, value) in &answer.response_headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
        else {
            continue;
        };
        if name == header::VARY {
            headers.append(name, value);
        } else {
            headers.insert(name, value);
        }
    }
}

/// Whether the policy says which pages of other origins may read the answer.
#[must_use]
pub fn names_origins(answer: &Answer) -> bool {
    !answer.response_headers.is_empty()
}

/// A request that was not asked about, for this reason in words.
#[must_use]
pub fn refused<B: From<String>>(status: StatusCode, problem: &str) -> Response<B> {
    problem_json(status, outcome_of(status), &json!({ "detail": problem }))
}

/// The row of a request that was not asked about.
#[must_use]
pub fn outcome_of(status: StatusCode) -> Outcome {
    match status {
        StatusCode::FORBIDDEN => Outcome::Deny,
        _ => Outcome::Invalid,
    }
}

/// No answer of the app can be had, or the request was not asked about. It is no verdict, so that
/// no outcome is named.
#[must_use]
pub fn gateway<B: From<String>>(
    status: StatusCode,
    problem: &'static str,
    is_grpc: bool,
) -> Response<B> {
    let mut response = empty(status, Outcome::Undetermined);
    response.headers_mut().remove(OUTCOME);
    if !is_grpc {
        write_problem(&mut response, &json!({ "detail": problem }));
        return response;
    }
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("application/grpc");
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert("grpc-status", grpc_code(status).into());
    headers.insert("grpc-message", HeaderValue::from_static(problem));
    response
}

/// The status that gRPC has for one of HTTP.
fn grpc_code(status: StatusCode) -> i32 {
    match status {
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        status if status.is_client_error() => 3,
        _ => 14,
    }
}

/// Something went wrong here: closed.
#[must_use]
pub fn failed<B: From<String>>() -> Response<B> {
    denied(&deadline::too_late())
}

/// A body of RFC 9457. It says what the client may know: outcome and reason, and nothing of which
/// rule or check refused.
fn problem_json<B: From<String>>(
    status: StatusCode,
    outcome: Outcome,
    more: &Value,
) -> Response<B> {
    let mut more = more.clone();
    if let Some(more) = more.as_object_mut() {
        more.insert("outcome".to_owned(), outcome.as_str().into());
    }
    let mut response = empty(status, outcome);
    write_problem(&mut response, &more);
    response
}

/// Writes a body of RFC 9457 with these members beside those that it always has.
fn write_problem<B: From<String>>(response: &mut Response<B>, more: &Value) {
    let status = response.status();
    let mut problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
    });
    if let (Some(problem), Some(more)) = (problem.as_object_mut(), more.as_object()) {
        problem.extend(more.clone());
    }
    let content_type = HeaderValue::from_static("application/problem+json");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    *response.body_mut() = problem.to_string().into();
}

/// An answer without a body, which no cache may keep.
#[must_use]
pub fn empty<B: From<String>>(status: StatusCode, outcome: Outcome) -> Response<B> {
    let mut response = Response::new(B::from(String::new()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(OUTCOME, HeaderValue::from_static(outcome.as_str()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Writes what a response can carry; a token and a connection it cannot.
#[must_use]
pub fn deliver(update: &WireUpdate, headers: &mut HeaderMap) -> bool {
    match update {
        WireUpdate::SetCookie { header_value, .. }
        | WireUpdate::ExpireCookie { header_value, .. } => HeaderValue::try_from(header_value)
            .is_ok_and(|mut value| {
                value.set_sensitive(true);
                headers.append(header::SET_COOKIE, value);
                true
            }),
        WireUpdate::IssueToken { .. } | WireUpdate::BindConnection { .. } => false,
    }
}
