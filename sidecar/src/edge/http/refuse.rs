//! Refusals in the form that the client understands: a problem for programs, a page or the way to
//! sign in for browsers, a status for gRPC.

use auth_core::{decision::Answer, outcome::Outcome, wire::WireKind};
use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use super::{grpc, problem};

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
            _ => Self::of_described(request.method.as_str(), &request.headers),
        }
    }

    /// Who reads the answer to a request that a proxy describes, with the client's headers beside
    /// it. Never gRPC: its refusals have the status 200, which a proxy takes for an allow.
    #[must_use]
    pub fn of_described(method: &str, headers: &HeaderMap) -> Self {
        match wants_page(method, headers) {
            true => Self::Person,
            false => Self::Program,
        }
    }
}

/// Whether a browser navigates, and does not merely fetch something for a page that it shows.
fn wants_page(method: &str, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let accepts_html = text("accept").is_some_and(|accept| accept.contains("text/html"));
    let navigates = text("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    // Proxies take `Upgrade` away before they ask; the key of a WebSocket stays.
    let scripted = ["x-requested-with", "upgrade", "sec-websocket-key"];
    let scripted = scripted.iter().any(|name| headers.contains_key(*name));
    matches!(method, "GET" | "HEAD")
        && accepts_html
        && navigates
        && !scripted
        && !grpc::is_grpc(headers)
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

/// Where to sign in: where the configuration says and nowhere else (C-09). What was asked for is a
/// parameter, and always a path of the same host.
#[must_use]
pub fn sign_in_url(login: &str, target: &str) -> String {
    let mark = if login.contains('?') { '&' } else { '?' };
    let mut location = format!("{login}{mark}return_to=");
    location.extend(target.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }));
    location
}

/// The way to sign in.
fn sign_in_first(login: &str, target: &str) -> Response {
    let mut response = problem::empty(StatusCode::FOUND, Outcome::Unauthenticated);
    if let Ok(location) = HeaderValue::try_from(sign_in_url(login, target)) {
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
            ("GET", vec![html, ("sec-websocket-key", "x")], false),
            (
                "GET",
                vec![html, ("content-type", "application/grpc")],
                false,
            ),
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
