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
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
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

/// What Envoy handed over of a body that data can be read from.
#[derive(Debug)]
pub(super) enum Body {
    /// All of it.
    Whole {
        /// The headers of its request.
        headers: HeaderMap,
        /// The body.
        bytes: Bytes,
    },
    /// Its beginning, on which nothing is decided.
    Cut,
    /// What may be all of it or its beginning.
    Unmeasured,
}

/// What a client is told whose body has no stated length, with status 411.
const UNMEASURED: &str = "the body needs a `content-length`: a decision is made on it";

impl Body {
    /// What there is of a body; `None` where it is unknown. One that is empty may be one that Envoy
    /// was not told to hand over, and what a header says of that may be the client's own word.
    ///
    /// A body that comes in pieces is whole only if it is as long as was stated: when the piece comes
    /// that fills its buffer, Envoy hands over those before it, and calls them whole (as seen with
    /// 1.40).
    fn of(headers: HeaderMap, bytes: Bytes) -> Option<Self> {
        body::readable(&headers)?;
        let mut lengths = Vec::new();
        for length in headers.get_all(header::CONTENT_LENGTH) {
            lengths.push(length.to_str().ok()?.parse::<usize>().ok()?);
        }
        let is_partial = |value: &HeaderValue| value != "false";
        let is_cut = headers.get_all(PARTIAL).iter().any(is_partial)
            || bytes.len() > wire::MAX_DATA_BYTES
            || lengths.iter().any(|length| *length > bytes.len());
        let is_whole = lengths.iter().all(|length| *length == bytes.len());
        match (bytes.is_empty(), is_cut) {
            (true, _) => None,
            (false, true) => Some(Self::Cut),
            (false, false) if lengths.is_empty() => Some(Self::Unmeasured),
            (false, false) => is_whole.then_some(Self::Whole { headers, bytes }),
        }
    }

    /// The call again, with what it declares of its body: `answer` waits for that.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] when the body was cut, or may have been.
    pub(super) fn give(
        &self,
        call: Call,
        answer: &Answer,
        profile: &WireProfile,
    ) -> Result<Call, Refusal> {
        match self {
            Self::Whole { headers, bytes } => {
                let content_type = body::readable(headers).unwrap_or_default();
                Ok(body::with_data(call, answer, profile, content_type, bytes))
            }
            Self::Cut => Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, body::TOO_LARGE)),
            Self::Unmeasured => Err(Refusal::new(StatusCode::LENGTH_REQUIRED, UNMEASURED)),
        }
    }
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
        let credentials = extract::credentials(&headers, profile)?;
        let attributes = extract::attributes(&headers, profile)?;
        let remove = Remove {
            headers: headers::to_remove(&headers),
            query: query::to_remove(target, &profile.query_parameters),
        };
        // `body` holds text and `raw_body` bytes, as the operator wants them.
        let body = match self.http.raw_body.is_empty() {
            true => self.http.body.clone(),
            false => self.http.raw_body.clone(),
        };
        let body = match kind {
            WireKind::Http => Body::of(headers, body),
            _ => None,
        };
        let call = Call {
            tenant: tenant.clone(),
            authority: text("host", &self.http.host)?.to_owned(),
            credentials,
            peer: peer::peer(self.source)?,
            attributes,
            // The app's response does not come by here, but the app can set a cookie by itself.
            deliverable: Deliverable {
                cookie: true,
                ..Deliverable::default()
            },
            data_complete: false,
            data_pending: body.is_some(),
            view: SessionView::Full,
            ..Call::new(kind, method, target)
        };
        Ok(Asked {
            call,
            named: Named {
                operation: self.extensions.get(OPERATION).cloned(),
                tags: self.extensions.get(TAGS).cloned(),
            },
            remove,
            body,
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
