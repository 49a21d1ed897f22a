//! Forward-auth over plain HTTP: a proxy describes a request, we say whether it may pass.
//!
//! Each kind of proxy asks at an endpoint of its own ([`Dialect`]), which reads the headers that
//! this kind sets and no others, each there once. They are believed, as are the client's
//! credentials beside them, only from proxies that the configuration names (SECURITY H-04); from
//! others nothing is read. The body means nothing here, and no header tells of a client certificate:
//! what is bound to one, or signed in by it, needs an edge that made or saw the handshake (T-25).
//!
//! An allow is a 200 that always carries every `Sidegate-*` header (H-05), so that the proxy
//! overwrites what a client made up; what nginx cannot take away of ours is refused instead. Anything
//! else is the row of the one table (R20), or what the proxy knows that comes nearest, and whatever
//! goes wrong here is closed (H-08).

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
    routing::any,
};
use tonic::metadata::MetadataMap;

use super::{
    deadline::{DEFAULT_MAX, Deadline},
    http::{forwarded, problem, query, refuse::Reader},
};

mod dialect;
mod extract;
mod render;

pub use self::dialect::Dialect;
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
    login: Option<String>,
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
            login: None,
            max: DEFAULT_MAX,
        })
    }

    /// The same, which answers 503 after `max`.
    #[must_use]
    pub fn with_max(self, max: Duration) -> Self {
        Self { max, ..self }
    }

    /// The same, which sends browsers that must sign in there: a path, or an `https://` URL.
    #[must_use]
    pub fn with_login(self, login: Option<String>) -> Self {
        Self { login, ..self }
    }

    /// Answers a request that came from `peer`; `None` is not known and not trusted.
    pub async fn answer(
        &self,
        dialect: Dialect,
        peer: Option<IpAddr>,
        request: &Parts,
    ) -> Response {
        if !peer.is_some_and(|peer| Network::any_contains(&self.trusted, peer)) {
            let problem = "this peer is no proxy that may ask: list it in `trusted_proxies`";
            return render::as_known(dialect, refused(dialect, StatusCode::FORBIDDEN, problem));
        }
        let deadline = Deadline::of(&MetadataMap::new(), self.max);
        let profile = match deadline.result(self.point.profile(&WireKind::Http)).await {
            Ok(profile) => profile,
            Err(_) => return render::failed(dialect),
        };
        let headers = &request.headers;
        let client = forwarded::client_in(&dialect.described().client(), headers, &self.trusted);
        let call = match extract::call(dialect, headers, &profile, client, &self.caller.tenant) {
            Ok(call) => call,
            Err(refusal) => {
                let response = refused(dialect, refusal.status, &refusal.problem);
                return match refusal.is_clients {
                    true => render::as_known(dialect, response),
                    // A proxy that does not describe a request is told so, whatever it makes of
                    // that: it is not configured as we printed it.
                    false => response,
                };
            }
        };
        // It goes back to the client, and on to where it signs in.
        let target = query::without(&call.target, &profile.query_parameters).into_owned();
        let visitor = render::Visitor {
            reader: Reader::of_described(&call.method, headers),
            login: self.login.as_deref(),
            target: &target,
        };
        match deadline
            .answer(self.point.authorize(&self.caller, call))
            .await
        {
            Ok(answer) => render::answer(dialect, &answer, visitor),
            Err(_) => render::failed(dialect),
        }
    }
}

/// A request that was not asked about.
fn refused(dialect: Dialect, status: StatusCode, problem: &str) -> Response {
    let (number, name) = (status.as_u16(), dialect.as_str());
    tracing::info!(
        status = number,
        dialect = name,
        problem,
        "forward-auth refused"
    );
    problem::refused(status, problem)
}

/// A router with an endpoint for each dialect, which take every method; other paths are not there.
/// The listener must provide the peer's address as [`ConnectInfo`].
pub fn router<D: DecisionPoint>(edge: Arc<ForwardAuth<D>>) -> Router {
    let endpoint = |router: Router, dialect: Dialect| {
        let edge = Arc::clone(&edge);
        let answer = move |request: axum::extract::Request| {
            let edge = Arc::clone(&edge);
            async move {
                // The body is dropped unread.
                let (parts, _) = request.into_parts();
                let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
                let peer = peer.map(|info| info.0.ip());
                edge.answer(dialect, peer, &parts).await
            }
        };
        router.route(dialect.path(), any(answer))
    };
    Dialect::ALL.into_iter().fold(Router::new(), endpoint)
}
