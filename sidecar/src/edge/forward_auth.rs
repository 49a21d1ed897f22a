//! Forward-auth over plain HTTP: a proxy describes a request, we say whether it may pass.
//!
//! The request is described by `X-Forwarded-Method`, `-Host` and `-Uri`, each there once. They are
//! believed, as are the client's credentials beside them, only from proxies that the configuration
//! names (SECURITY H-04); from others nothing is read. The path of our own URL and the body mean
//! nothing here.
//!
//! An allow is a 200 that always carries every `Sidegate-*` header (H-05), so that the proxy
//! overwrites what a client made up. Anything else is the row of the one table (R20), and
//! whatever goes wrong here is closed (H-08).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use auth_core::{
    caller::{Caller, Grant},
    decision_point::DecisionPoint,
    wire::WireKind,
};
use axum::{
    Router,
    extract::ConnectInfo,
    http::{StatusCode, request::Parts},
    response::Response,
};
use tonic::metadata::MetadataMap;

use super::{
    deadline::{DEFAULT_MAX, Deadline},
    http::{forwarded, problem},
};

mod extract;
mod render;

pub use auth_core::policy::settings::{Network, NetworkError};

/// Why forward-auth does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardAuthError {
    /// Nobody could ask.
    #[error("forward-auth needs `trusted_proxies`: name the proxies that may ask")]
    NoProxies,
    /// The caller may not ask for decisions.
    #[error("caller `{caller}` lacks the grant `authorize`, which forward-auth needs")]
    GrantMissing {
        /// The caller.
        caller: String,
    },
    /// The caller may not speak of HTTP.
    #[error("caller `{caller}` may not speak of wire `http`, which forward-auth needs")]
    WireNotAllowed {
        /// The caller.
        caller: String,
    },
}

/// Answers proxies with the decisions of `D`.
#[derive(Debug)]
pub struct ForwardAuth<D> {
    point: Arc<D>,
    caller: Arc<Caller>,
    trusted: Vec<Network>,
    max: Duration,
}

impl<D: DecisionPoint> ForwardAuth<D> {
    /// Answers the proxies in `trusted`, on behalf of `caller`.
    ///
    /// # Errors
    ///
    /// Returns [`ForwardAuthError`] when nobody could ask or the caller may not.
    pub fn new(
        point: Arc<D>,
        caller: Arc<Caller>,
        trusted: Vec<Network>,
    ) -> Result<Self, ForwardAuthError> {
        let name = || caller.name.to_string();
        if trusted.is_empty() {
            return Err(ForwardAuthError::NoProxies);
        }
        if !caller.may(Grant::Authorize) {
            return Err(ForwardAuthError::GrantMissing { caller: name() });
        }
        if !caller.may_speak(&WireKind::Http) {
            return Err(ForwardAuthError::WireNotAllowed { caller: name() });
        }
        Ok(Self {
            point,
            caller,
            trusted,
            max: DEFAULT_MAX,
        })
    }

    /// The same, which answers 503 after `max`.
    #[must_use]
    pub fn with_max(self, max: Duration) -> Self {
        Self { max, ..self }
    }

    /// Answers a request that came from `peer`; `None` is not known and not trusted.
    pub async fn answer(&self, peer: Option<IpAddr>, request: &Parts) -> Response {
        if !peer.is_some_and(|peer| Network::any_contains(&self.trusted, peer)) {
            let problem = "this peer is no proxy that may ask: list it in `trusted_proxies`";
            return refused(StatusCode::FORBIDDEN, problem);
        }
        let deadline = Deadline::of(&MetadataMap::new(), self.max);
        let profile = match deadline.result(self.point.profile(&WireKind::Http)).await {
            Ok(profile) => profile,
            Err(_) => return problem::failed(),
        };
        let headers = &request.headers;
        let client = forwarded::client(headers, &self.trusted);
        let call = match extract::call(headers, &profile, client, &self.caller.tenant) {
            Ok(call) => call,
            Err(refusal) => return refused(refusal.status, &refusal.problem),
        };
        match deadline
            .answer(self.point.authorize(&self.caller, call))
            .await
        {
            Ok(answer) => render::answer(answer),
            Err(_) => problem::failed(),
        }
    }
}

/// A request that was not asked about.
fn refused(status: StatusCode, problem: &str) -> Response {
    tracing::info!(status = status.as_u16(), problem, "forward-auth refused");
    problem::refused(status, problem)
}

/// A router that answers every path and method. The listener must provide the peer's address as
/// [`ConnectInfo`].
pub fn router<D: DecisionPoint>(edge: Arc<ForwardAuth<D>>) -> Router {
    Router::new().fallback(move |request: axum::extract::Request| {
        let edge = Arc::clone(&edge);
        async move {
            // The body is dropped unread.
            let (parts, _) = request.into_parts();
            let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
            let peer = peer.map(|info| info.0.ip());
            edge.answer(peer, &parts).await
        }
    })
}
