//! What pages of other origins may do: Cross-Origin Resource Sharing (Fetch section 3.2).
//!
//! A browser asks with a *preflight* before a page sends what a form could not. No app needs to
//! know that: the answer is in the policy. It is the same for everybody, so that no credential is
//! looked at, and it calls no operation.

use std::time::Duration;

use crate::{
    operation::{Apps, Operation, Reached},
    origin::Origin,
    route::Method,
    wire::{Call, WireKind},
};

/// The attribute that a preflight names its method in.
pub const REQUEST_METHOD: &str = "access-control-request-method";

/// The longest method that is told back.
const MAX_METHOD_BYTES: usize = 64;

/// Which origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All, without credentials.
    Any,
    /// These.
    Listed(Box<[Origin]>),
}

/// Which pages of other origins may call an operation, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Which origins.
    pub origins: Origins,
    /// Whether they may send our cookie. Never for [`Origins::Any`].
    pub credentials: bool,
    /// The headers that they may send, joined; empty for none.
    pub headers: Box<str>,
    /// The headers that they may read, joined; empty for none.
    pub expose: Box<str>,
    /// How long a browser need not ask again.
    pub max_age: Option<Duration>,
}

/// Headers of a response.
pub type Headers = Vec<(String, String)>;

impl Cors {
    /// Whether the pages of this origin, as a call states it, were named.
    #[must_use]
    pub fn lists(&self, origin: &[u8]) -> bool {
        match &self.origins {
            Origins::Any => false,
            Origins::Listed(listed) => {
                Origin::parse(origin).is_ok_and(|origin| listed.contains(&origin))
            }
        }
    }

    /// The origin to let read the answer, as a header has it.
    fn admitted(&self, origin: &[u8]) -> Option<String> {
        match &self.origins {
            Origins::Any => Some("*".to_owned()),
            Origins::Listed(_) if self.lists(origin) => {
                std::str::from_utf8(origin).ok().map(str::to_owned)
            }
            Origins::Listed(_) => None,
        }
    }

    /// The headers that let a page read the answer to `call`; `Vary` alone where there is no page
    /// or it may not, so that no cache gives one page the answer of another.
    #[must_use]
    pub fn response_headers(&self, call: &Call) -> Headers {
        let origin = call.attribute("origin");
        let mut headers = self.shared(origin, "Origin");
        if !self.expose.is_empty() && headers.iter().any(|(name, _)| name == ALLOW_ORIGIN) {
            push(&mut headers, "access-control-expose-headers", &self.expose);
        }
        headers
    }

    fn preflight_headers(&self, origin: &[u8], method: &str) -> Headers {
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        let mut headers = self.shared(Some(origin), vary);
        push(&mut headers, "access-control-allow-methods", method);
        if !self.headers.is_empty() {
            push(&mut headers, "access-control-allow-headers", &self.headers);
        }
        if let Some(max_age) = self.max_age {
            let seconds = max_age.as_secs().to_string();
            push(&mut headers, "access-control-max-age", &seconds);
        }
        headers
    }

    fn shared(&self, origin: Option<&[u8]>, vary: &str) -> Headers {
        let mut headers = Headers::new();
        if let Some(origin) = origin.and_then(|origin| self.admitted(origin)) {
            push(&mut headers, ALLOW_ORIGIN, &origin);
            if self.credentials {
                push(&mut headers, "access-control-allow-credentials", "true");
            }
        }
        if self.origins != Origins::Any || vary != "Origin" {
            push(&mut headers, "vary", vary);
        }
        headers
    }
}

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

fn push(headers: &mut Headers, name: &str, value: &str) {
    headers.push((name.to_owned(), value.to_owned()));
}

/// A browser's question about an operation, and its answer.
#[derive(Debug)]
pub struct Preflight<'p> {
    /// The operation that the method asked for reaches.
    pub operation: &'p Operation,
    /// The answer; `None` when the origin may not call it.
    pub headers: Option<Headers>,
}

/// The answer to a call that is a preflight about an operation with `cors`. One on a path with an
/// operation for OPTIONS of its own is that operation's.
#[must_use]
pub fn preflight<'p>(apps: &'p Apps, call: &Call) -> Option<Preflight<'p>> {
    if call.kind != WireKind::Http || call.method != "OPTIONS" {
        return None;
    }
    let origin = call.attribute("origin")?;
    let method = std::str::from_utf8(call.attribute(REQUEST_METHOD)?).ok()?;
    if method.len() > MAX_METHOD_BYTES || !matches!(Method::parse(method), Ok(Method::Exactly(_))) {
        return None;
    }
    if has_own(apps, call) {
        return None;
    }
    let asked = Call {
        authority: call.authority.clone(),
        ..Call::new(WireKind::Http, method, &call.target)
    };
    let operation = apps.reach(&asked).ok()?.operation;
    let cors = operation.cors.as_ref()?;
    let is_admitted = cors.admitted(origin).is_some();
    Some(Preflight {
        operation,
        headers: is_admitted.then(|| cors.preflight_headers(origin, method)),
    })
}

/// Whether the path has an operation for OPTIONS alone.
fn has_own(apps: &Apps, call: &Call) -> bool {
    let reached = apps.reach(call);
    reached.is_ok_and(|reached: Reached<'_, '_>| {
        let path = reached.path();
        let found = reached.app.http.lookup(&call.method, path).found();
        found.is_some_and(|found| *found.method != Method::Any)
    })
}
