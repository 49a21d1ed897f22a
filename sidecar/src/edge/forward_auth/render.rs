//! Answers as each proxy understands them.

use auth_core::{decision::Answer, outcome::Outcome};
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use super::dialect::Dialect;
use crate::edge::http::{
    identity, problem,
    refuse::{self, Reader},
};

/// Who reads a refusal, and where a person is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor<'a> {
    pub(super) reader: Reader,
    pub(super) login: Option<&'a str>,
    /// What was asked for.
    pub(super) target: &'a str,
}

/// The answer of the decision point.
pub(super) fn answer(dialect: Dialect, answer: &Answer, visitor: Visitor<'_>) -> Response {
    match answer.outcome() {
        Outcome::Allow => allowed(dialect, answer),
        Outcome::Deny
        | Outcome::Unauthenticated
        | Outcome::Invalid
        | Outcome::Limited
        | Outcome::Undetermined => denied(dialect, answer, visitor),
    }
}

/// Every header is there, empty where it says nothing (H-05). If one cannot be written, or a cookie
/// cannot be delivered, the request does not pass.
fn allowed(dialect: Dialect, answer: &Answer) -> Response {
    let Ok(identity) = identity::headers(answer) else {
        tracing::error!("an identity header cannot be written");
        return failed(dialect);
    };
    let mut response = problem::empty(StatusCode::OK, Outcome::Allow);
    let headers = response.headers_mut();
    headers.extend(identity);
    for update in &answer.updates {
        if !problem::deliver(update, headers) {
            tracing::error!(?update, "an update cannot be delivered");
            return failed(dialect);
        }
    }
    if dialect.numbers_cookies() && !number_cookies(headers) {
        tracing::error!("there are more cookies than this proxy can relay");
        return failed(dialect);
    }
    response
}

fn denied(dialect: Dialect, answer: &Answer, visitor: Visitor<'_>) -> Response {
    if !dialect.knows_two_refusals() {
        return refuse::render(answer, visitor.reader, visitor.login, visitor.target);
    }
    let mut response = refuse::render(answer, Reader::Program, None, visitor.target);
    let headers = response.headers_mut();
    // Who is refused loses nothing by a cookie too many.
    let _ = number_cookies(headers);
    let wants_login =
        visitor.reader == Reader::Person && answer.outcome() == Outcome::Unauthenticated;
    if let (true, Some(login)) = (wants_login, visitor.login) {
        let url = refuse::sign_in_url(login, visitor.target);
        if let Ok(url) = HeaderValue::try_from(url) {
            headers.insert(identity::LOGIN, url);
        }
    }
    as_known(dialect, response)
}

/// Something went wrong here: closed.
pub(super) fn failed(dialect: Dialect) -> Response {
    as_known(dialect, problem::failed())
}

/// A refusal with a status that the proxy passes on; `Sidegate-Outcome` says what it was.
pub(super) fn as_known(dialect: Dialect, mut response: Response) -> Response {
    if dialect.knows_two_refusals() && response.status() != StatusCode::UNAUTHORIZED {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

/// Writes each cookie into a header of its own too; says whether there are enough of those.
fn number_cookies(headers: &mut HeaderMap) -> bool {
    let cookies: Vec<_> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .cloned()
        .collect();
    let fit = cookies.len() <= identity::COOKIES.len();
    for (name, cookie) in identity::COOKIES.into_iter().zip(cookies) {
        headers.insert(name, cookie);
    }
    fit
}

#[cfg(test)]
mod tests;
