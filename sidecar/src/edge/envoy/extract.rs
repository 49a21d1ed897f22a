//! What Envoy says about a request, as a call. Only what is named here and in the wire profile is
//! read: an allow-list, since what is not read cannot be forged.

use std::collections::HashMap;

use auth_core::{
    decision::Answer,
    decision_point::WireProfile,
    session::Tenant,
    wire::{self, Call, Deliverable, SessionView, WireKind},
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use proto::envoy::service::auth::v3::{CheckRequest, HttpRequest, Peer};

use super::{
    Named, headers, peer, query,
    render::{Client, Remove},
};
use crate::edge::http::{
    body,
    extract::{self, TooLarge},
};

/// The context extension that names the operation of a route.
const OPERATION: &str = "operation";
/// The context extension that names tags of it, with commas between.
const TAGS: &str = "tags";

/// By which Envoy says whether it cut a body.
const PARTIAL: &str = "x-envoy-auth-partial-body";

/// A request that makes no sense, or says too much.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, problem: &str) -> Self {
        Self {
            status,
            problem: problem.to_owned(),
        }
    }

    pub(super) fn too_large(problem: &str) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, problem)
    }
}

impl From<TooLarge> for Refusal {
    fn from(TooLarge(problem): TooLarge) -> Self {
        Self::too_large(problem)
    }
}

impl From<peer::Unreadable> for Refusal {
    fn from(error: peer::Unreadable) -> Self {
        Self::new(StatusCode::BAD_REQUEST, &error.to_string())
    }
}

/// A call to be decided, and what goes with it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) named: Named,
    /// What an allow takes away from the request.
    pub(super) remove: Remove,
    /// What the call may wait for.
    pub(super) body: Option<Body>,
}

/// A whole body that data can be read from.
#[derive(Debug)]
pub(super) struct Body {
    headers: HeaderMap,
    bytes: Bytes,
}

impl Body {
    /// The call again, with what it declares of its body: `answer` waits for that.
    pub(super) fn give(&self, call: Call, answer: &Answer, profile: &WireProfile) -> Call {
        let content_type = body::readable(&self.headers).unwrap_or_default();
        body::with_data(call, answer, profile, content_type, &self.bytes)
    }
}

/// Whether the body is there, in full. One that is empty may be one that Envoy was not told to hand
/// over, and what a header says of that may be the client's own word.
fn is_whole(headers: &HeaderMap, body: &[u8]) -> bool {
    let cut = headers
        .get_all(PARTIAL)
        .iter()
        .any(|value| value != "false");
    let shorter = headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .any(|length| {
            let length = length.to_str().ok().and_then(|length| length.parse().ok());
            length != Some(body.len())
        });
    !body.is_empty() && body.len() <= wire::MAX_DATA_BYTES && !cut && !shorter
}

/// A request by HTTP, as Envoy describes it.
#[derive(Debug)]
pub(super) struct Described {
    http: HttpRequest,
    source: Option<Peer>,
    extensions: HashMap<String, String>,
    is_grpc: bool,
}

/// The request that is described; `None` when it is none by HTTP.
pub(super) fn described(request: CheckRequest) -> Option<Described> {
    let attributes = request.attributes?;
    let http = attributes.request?.http?;
    Some(Described {
        is_grpc: headers::is_grpc(&http),
        http,
        source: attributes.source,
        extensions: attributes.context_extensions,
    })
}

impl Described {
    /// How the client understands a refusal.
    pub(super) fn client(&self) -> Client {
        match self.is_grpc {
            true => Client::Grpc,
            false => Client::Other,
        }
    }

    /// The kind of wire. gRPC knows one method.
    pub(super) fn kind(&self) -> WireKind {
        match self.is_grpc && self.http.method == Method::POST.as_str() {
            true => WireKind::Grpc,
            false => WireKind::Http,
        }
    }

    /// The call.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] when it cannot be said as a call.
    pub(super) fn call(self, profile: &WireProfile, tenant: &Tenant) -> Result<Asked, Refusal> {
        let kind = self.kind();
        let headers = headers::read(&self.http)?;
        let target = text("path", &self.http.path)?;
        if target.len() > wire::MAX_TARGET_BYTES {
            return Err(TooLarge("the target is too long").into());
        }
        let method = match kind {
            WireKind::Grpc => "",
            _ => text("method", &self.http.method)?,
        };
        // `body` holds text and `raw_body` bytes, as the operator wants them.
        let body = match self.http.raw_body.is_empty() {
            true => self.http.body.clone(),
            false => self.http.raw_body.clone(),
        };
        let is_readable = is_whole(&headers, &body) && body::readable(&headers).is_some();
        let waits = is_readable && kind == WireKind::Http;
        let call = Call {
            tenant: tenant.clone(),
            authority: text("host", &self.http.host)?.to_owned(),
            credentials: extract::credentials(&headers, profile)?,
            peer: peer::peer(self.source)?,
            attributes: extract::attributes(&headers, profile)?,
            // The app's response does not come by here, but the app can set a cookie by itself.
            deliverable: Deliverable {
                cookie: true,
                ..Deliverable::default()
            },
            data_complete: false,
            data_pending: waits,
            view: SessionView::Full,
            ..Call::new(kind, method, target)
        };
        Ok(Asked {
            call,
            named: Named {
                operation: self.extensions.get(OPERATION).cloned(),
                tags: self.extensions.get(TAGS).cloned(),
            },
            remove: Remove {
                headers: headers::to_remove(&headers),
                query: query::to_remove(target, &profile.query_parameters),
            },
            body: waits.then_some(Body {
                headers,
                bytes: body,
            }),
        })
    }
}

fn text<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| {
        let problem = format!("the {what} is no text");
        Refusal::new(StatusCode::BAD_REQUEST, &problem)
    })
}

#[cfg(test)]
mod tests;
