//! Refusals in the form that the client understands: a problem for programs, a page or the way to
//! sign in for browsers, a status for gRPC.

use auth_core::{decision::Answer, outcome::Outcome, wire::WireKind};
use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};

use super::problem;

/// Who reads a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A program that speaks HTTP.
    Program,
    /// A person, whose browser wants a page.
    Person,
    /// A program that speaks gRPC.
    Grpc,
}

impl Reader {
    /// Who reads the answer to a request.
    #[must_use]
    pub fn of(kind: &WireKind, request: &Parts) -> Self {
        match kind {
            WireKind::Grpc => Self::Grpc,
            _ if wants_page(&request.method, &request.headers) => Self::Person,
            _ => Self::Program,
        }
    }
}

/// Whether a browser navigates, and does not merely fetch something for a page that it shows.
fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let accepts_html = text("accept").is_some_and(|accept| accept.contains("text/html"));
    let navigates = text("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    let scripted = headers.contains_key("x-requested-with") || headers.contains_key("upgrade");
    matches!(*method, Method::GET | Method::HEAD) && accepts_html && navigates && !scripted
}

/// Renders an answer that is no allow, with its updates. `login` is where a person signs in, and
/// `target` what they asked for.
#[must_use]
pub fn render(answer: &Answer, reader: Reader, login: Option<&str>, target: &str) -> Response {
    let outcome = answer.outcome();
    let mut response = match (reader, login) {
        (Reader::Grpc, _) => grpc(outcome, answer.reason.code.as_str()),
        (Reader::Person, Some(login)) if outcome == Outcome::Unauthenticated => {
            sign_in_first(login, target)
        }
        (Reader::Person, _) => page(answer),
        (Reader::Program, _) => problem::denied(answer),
    };
    for update in &answer.updates {
        // What cannot be delivered changes nothing for who is refused anyway.
        let _ = problem::deliver(update, response.headers_mut());
    }
    response
}

/// The way to sign in. It leads to where the configuration says and nowhere else (C-09); what was
/// asked for is a parameter, and always a path of the same host.
fn sign_in_first(login: &str, target: &str) -> Response {
    let mark = if login.contains('?') { '&' } else { '?' };
    let mut location = format!("{login}{mark}return_to=");
    location.extend(target.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }));
    let mut response = problem::empty(StatusCode::FOUND, Outcome::Unauthenticated);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// A page. Nothing of the request stands on it.
fn page(answer: &Answer) -> Response {
    let mut response = problem::denied(answer);
    let status = response.status();
    let title = status.canonical_reason().unwrap_or("Refused");
    let html = format!(
        "<!doctype html>\n<meta charset=utf-8>\n<title>{title}</title>\n<h1>{title}</h1>\n\
         <p>Reference: {}</p>\n",
        escaped(&answer.decision_id)
    );
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    let policy = HeaderValue::from_static("default-src 'none'");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    *response.body_mut() = Body::from(html);
    response
}

fn escaped(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A reply of trailers only (the gRPC protocol over HTTP/2, "Responses").
fn grpc(outcome: Outcome, message: &'static str) -> Response {
    let mut response = problem::empty(StatusCode::OK, outcome);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert("grpc-status", outcome.grpc_code().into());
    headers.insert("grpc-message", HeaderValue::from_static(message));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri("/me");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_a_browser_that_navigates_is_a_person() {
        let html = ("accept", "text/html,*/*;q=0.8");
        for (method, headers, is_person) in [
            ("GET", vec![html], true),
            ("HEAD", vec![html], true),
            ("GET", vec![html, ("sec-fetch-mode", "navigate")], true),
            ("GET", vec![], false),
            ("GET", vec![("accept", "*/*")], false),
            ("GET", vec![("accept", "application/json")], false),
            ("POST", vec![html], false),
            ("GET", vec![html, ("sec-fetch-mode", "cors")], false),
            (
                "GET",
                vec![html, ("x-requested-with", "XMLHttpRequest")],
                false,
            ),
            ("GET", vec![html, ("upgrade", "websocket")], false),
        ] {
            let reader = Reader::of(&WireKind::Http, &request(method, &headers));
            assert_eq!(reader == Reader::Person, is_person, "{method} {headers:?}");
        }
    }

    #[test]
    fn c09_what_was_asked_for_is_a_parameter_and_no_place_to_go() {
        for (login, target, expected) in [
            ("/login", "/me", "/login?return_to=/me"),
            (
                "/login?a=b",
                "/me?x=1&y=2",
                "/login?a=b&return_to=/me%3Fx%3D1%26y%3D2",
            ),
            (
                "https://id.example/in",
                "/a b\r\nset-cookie: x",
                "https://id.example/in?return_to=/a%20b%0D%0Aset-cookie%3A%20x",
            ),
        ] {
            let response = sign_in_first(login, target);
            assert_eq!(response.status(), 302);
            assert_eq!(response.headers()["location"], expected);
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }
}
