//! What Envoy says about a request, as a call. Only what is named here and in the wire profile is
//! read: an allow-list, since what is not read cannot be forged.

use std::collections::HashMap;

use auth_core::{
    decision_point::WireProfile,
    session::Tenant,
    wire::{self, Call, Deliverable, SessionView, WireKind},
};
use http::{Method, StatusCode};
use proto::envoy::service::auth::v3::{CheckRequest, HttpRequest, Peer};

use super::{
    Named, headers, peer, query,
    render::{Client, Remove},
};
use crate::edge::http::extract::{self, TooLarge};

/// The context extension that names the operation of a route.
const OPERATION: &str = "operation";
/// The context extension that names its tags.
const TAGS: &str = "tags";

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
            view: SessionView::Full,
            ..Call::new(kind, method, target)
        };
        Ok(Asked {
            call,
            named: Named {
                operation: self.extensions.get(OPERATION).cloned(),
                tags: self.extensions.contains_key(TAGS),
            },
            remove: Remove {
                headers: headers::to_remove(&headers),
                query: query::to_remove(target, &profile.query_parameters),
            },
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
