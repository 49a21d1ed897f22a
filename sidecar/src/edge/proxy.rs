//! A reverse proxy: lets through to the app what the decision point allows, tells the app who
//! calls, and keeps what the app's answer changes in the session.
//!
//! A request's way: `call` says what it is, the decision point decides, `headers` makes what
//! the app receives, `upstream` sends it, `response` makes of the answer what the client
//! receives. Bodies are streamed both ways; only what a decision needs of one is read before.

use std::{
    borrow::Cow,
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use auth_core::{
    assertion::AssertionSettings,
    caller::Grant,
    clock::Clock,
    decision::{Answer, CredentialState, ReasonCode},
    decision_point::{DecisionPoint, WireProfile},
    keys::Keyring,
    outcome::Outcome,
    policy::settings,
    wire::{Call, WireKind},
};
use axum::{body::Body as ResponseBody, extract::ConnectInfo};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header, request::Parts};
use tonic::{body::Body, metadata::MetadataMap};

use self::{
    call::{Client, Refusal},
    headers::Onward,
    upstream::{Upstream, UpstreamError},
};
use super::{
    deadline::{DEFAULT_MAX, Deadline},
    http::{
        identity, problem, query,
        refuse::{self, Reader},
        write_back::Written,
    },
    lasting::{Ended, Rhythm},
};

mod body;
mod call;
mod headers;
mod response;
mod trailing;
mod tunnel;
mod upstream;

/// Where the keys of assertions are (RFC 8615; OpenID Connect Discovery names it `jwks_uri`).
const JWKS_PATH: &str = "/.well-known/jwks.json";

/// Why the proxy does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The caller may not ask for decisions.
    #[error("caller `{caller}` lacks the grant `authorize`, which the proxy needs")]
    GrantMissing {
        /// The caller.
        caller: String,
    },
    /// The caller may not speak of HTTP.
    #[error("caller `{caller}` may not speak of wire `http`, which the proxy needs")]
    WireNotAllowed {
        /// The caller.
        caller: String,
    },
    /// The app's address is none.
    #[error("`{0}` is no host and port of an app")]
    Upstream(String),
}

/// A reverse proxy that decides by `D`.
pub struct Proxy<D> {
    point: Arc<D>,
    clock: Arc<dyn Clock>,
    keys: Arc<Keyring>,
    settings: settings::Proxy,
    upstream: Upstream,
    rhythm: Rhythm,
}

impl<D> std::fmt::Debug for Proxy<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<D: DecisionPoint> Proxy<D> {
    /// A proxy in front of the app that the settings name.
    ///
    /// # Errors
    ///
    /// Returns [`ProxyError`] when its caller may not ask, or the app has no address.
    pub fn new(
        point: Arc<D>,
        clock: Arc<dyn Clock>,
        keys: Arc<Keyring>,
        settings: settings::Proxy,
    ) -> Result<Self, ProxyError> {
        let caller = || settings.caller.name.to_string();
        if !settings.caller.may(Grant::Authorize) {
            return Err(ProxyError::GrantMissing { caller: caller() });
        }
        if !settings.caller.may_speak(&WireKind::Http) {
            return Err(ProxyError::WireNotAllowed { caller: caller() });
        }
        let upstream = Upstream::new(&settings)
            .map_err(|_| ProxyError::Upstream(settings.upstream.clone()))?;
        Ok(Self {
            point,
            clock,
            keys,
            settings,
            upstream,
            rhythm: Rhythm::default(),
        })
    }

    /// The same, which asks this often whether the session of what is open still lives.
    #[must_use]
    pub fn with_rhythm(self, rhythm: Rhythm) -> Self {
        Self { rhythm, ..self }
    }

    /// Answers a request that came from `peer`; `None` is not known.
    pub async fn answer(
        &self,
        peer: Option<IpAddr>,
        mut request: Request<Body>,
    ) -> Response<ResponseBody> {
        if let Some(keys) = self.published(&request) {
            return keys;
        }
        let upgrade = headers::upgrade(request.version(), request.headers())
            .map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
        let (parts, body) = request.into_parts();
        let kind = call::kind(&parts);
        let asked = match self.decide(&kind, peer, &parts, body).await {
            Ok(asked) => asked,
            Err(refusal) => return refused(&refusal, &parts),
        };
        if asked.answer.reason.code == ReasonCode::Preflight {
            return problem::preflight(&asked.answer);
        }
        if asked.answer.outcome() != Outcome::Allow {
            let reader = Reader::of(&kind, &parts);
            let login = self.settings.login.as_deref();
            return refuse::render(&asked.answer, reader, login, &asked.target(&parts));
        }
        let was_keyed = matches!(asked.target(&parts), Cow::Owned(_));
        let sent = match self.forwarded(&kind, &parts, &asked, upgrade.as_ref().map(|(p, _)| p)) {
            Ok(sent) => sent.map(|()| asked.body),
            Err(closed) => return *closed,
        };
        let is_grpc = kind == WireKind::Grpc;
        let patience = self.rhythm.interval;
        let start = || {
            let lasted = self.lasted(&asked.answer, &Written::default())?;
            Some(match is_grpc {
                // Each message of it is another deed.
                true => lasted.watch_at_once(patience),
                false => lasted.watch_request(patience),
            })
        };
        match self.upstream.send(sent, is_grpc, patience, start).await {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let tunnel = parts.extensions.get().cloned();
                let upgrade = upgrade.map(|(_, client)| (client, tunnel));
                let written = self.write_back(&asked.answer, answer.status(), answer.headers());
                match written.await {
                    Ok(written) => {
                        let lasted = self.lasted(&asked.answer, &written);
                        tunnel::open(answer, upgrade, &asked.answer, &written, lasted)
                    }
                    Err(closed) => *closed,
                }
            }
            Ok(answer) => {
                let mut response = self.respond(&asked.answer, answer, is_grpc).await;
                // What a URL with a credential shows is in no cache (SECURITY T-18).
                if was_keyed {
                    let private = http::HeaderValue::from_static(problem::PRIVATE);
                    response
                        .headers_mut()
                        .insert(header::CACHE_CONTROL, private);
                }
                response
            }
            Err(error) => self.no_answer(&error, &parts),
        }
    }

    /// Asks the decision point.
    async fn decide(
        &self,
        kind: &WireKind,
        peer: Option<IpAddr>,
        request: &Parts,
        body: Body,
    ) -> Result<Asked, Refusal> {
        let deadline = Deadline::of(&MetadataMap::new(), DEFAULT_MAX);
        let client = Client::of(peer, &request.headers, &self.settings.trusted_proxies);
        let client = match self.settings.tls {
            None => client,
            Some(_) => client.over_tls(request.extensions.get()),
        };
        let profile = deadline.result(self.point.profile(kind)).await;
        let profile = profile.unwrap_or_default();
        let tenant = &self.settings.caller.tenant;
        let call = call::call(kind.clone(), request, &profile, &client, tenant)?;
        let has_body = !hyper::body::Body::is_end_stream(&body);
        let call = Call {
            data_complete: !has_body,
            data_pending: has_body && *kind == WireKind::Http,
            ..call
        };
        let authority = call.authority.clone();
        let again = call.data_pending.then(|| call.clone());
        let answer = self.ask(call).await;
        let (answer, body) = match again {
            // Boxed, so that what is seldom needed takes no room in every request.
            Some(call) if answer.reason.code == ReasonCode::DataNeeded => {
                Box::pin(self.ask_again(call, &answer, &profile, &request.headers, body)).await?
            }
            _ => (answer, body),
        };
        Ok(Asked {
            answer,
            authority,
            client,
            profile,
            body,
        })
    }

    /// Reads the body that a decision waits for, and asks with it.
    async fn ask_again(
        &self,
        call: Call,
        answer: &Answer,
        profile: &WireProfile,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Answer, Body), Refusal> {
        let read = body::read(call, answer, profile, headers, body);
        let read = tokio::time::timeout(self.settings.timeout, read).await;
        let late = || Refusal::late("the body did not come in time");
        let (call, whole) = read.map_err(|_| late())??;
        Ok((self.ask(call).await, whole))
    }

    async fn ask(&self, call: Call) -> Answer {
        let deadline = Deadline::of(&MetadataMap::new(), DEFAULT_MAX);
        // Pinned where it is: a decision on its way is large, and is not to be moved about.
        let answer = pin!(self.point.authorize(&self.settings.caller, call));
        let answer = deadline.answer(answer).await;
        answer.unwrap_or_else(|_| super::deadline::too_late())
    }

    /// The request as the app receives it.
    fn forwarded(
        &self,
        kind: &WireKind,
        request: &Parts,
        asked: &Asked,
        upgrade: Option<&http::HeaderValue>,
    ) -> Result<Request<()>, Box<Response<ResponseBody>>> {
        let is_grpc = *kind == WireKind::Grpc;
        let onward = Onward {
            client: &asked.client,
            authority: &asked.authority,
            withheld: (!self.settings.passes_credentials).then_some(&asked.profile),
            is_grpc,
        };
        let target = match self.settings.passes_credentials {
            true => Cow::Borrowed(target(request)),
            false => asked.target(request),
        };
        let mut headers = onward.headers(&request.headers);
        if let Some(protocol) = upgrade {
            headers.insert(header::UPGRADE, protocol.clone());
            headers.insert(
                header::CONNECTION,
                http::HeaderValue::from_static("upgrade"),
            );
        }
        // Said outright: of a `GET` that says nothing, the client of HTTP/1.1 takes it that there is
        // no body, and drops the one that came.
        let is_measured = hyper::body::Body::size_hint(&asked.body).exact().is_some();
        if !is_grpc && !is_measured && !headers.contains_key(header::CONTENT_LENGTH) {
            let chunked = http::HeaderValue::from_static("chunked");
            headers.insert(header::TRANSFER_ENCODING, chunked);
        }
        let (Ok(identity), Ok(uri)) =
            (identity::headers(&asked.answer), self.upstream.uri(&target))
        else {
            tracing::error!("what the app should receive cannot be written");
            return Err(Box::new(problem::failed()));
        };
        headers.extend(identity);
        if let Some(settings) = &self.settings.assertion {
            let Some(assertion) = self.assertion(settings, request, asked) else {
                tracing::error!("the assertion for the app cannot be signed");
                return Err(Box::new(problem::failed()));
            };
            headers.insert(identity::ASSERTION, assertion);
        }
        let mut sent = Request::new(());
        *sent.method_mut() = request.method.clone();
        *sent.uri_mut() = uri;
        *sent.version_mut() = if is_grpc {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        *sent.headers_mut() = headers;
        Ok(sent)
    }

    fn assertion(
        &self,
        settings: &AssertionSettings,
        request: &Parts,
        asked: &Asked,
    ) -> Option<http::HeaderValue> {
        let target = asked.target(request);
        let key = self.keys.assertion_key()?;
        let request = (request.method.as_str(), &*target);
        let assertion = key.sign(settings, &asked.answer, request, self.clock.now())?;
        let mut value = http::HeaderValue::try_from(assertion).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The keys that the app verifies assertions with, where it gets any.
    fn published(&self, request: &Request<Body>) -> Option<Response<ResponseBody>> {
        let asked = self.settings.assertion.is_some() && request.uri().path() == JWKS_PATH;
        if !asked || !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let keys = self.keys.assertion_jwks(self.clock.now()).to_string();
        let mut response = Response::new(ResponseBody::from(keys));
        let headers = response.headers_mut();
        let content_type = http::HeaderValue::from_static("application/jwk-set+json");
        headers.insert(header::CONTENT_TYPE, content_type);
        let cached = http::HeaderValue::from_static("public, max-age=300");
        headers.insert(header::CACHE_CONTROL, cached);
        Some(response)
    }

    /// The app did not answer.
    fn no_answer(&self, error: &UpstreamError, request: &Parts) -> Response<ResponseBody> {
        let (status, problem) = match error {
            UpstreamError::Failed(_) | UpstreamError::Request(_) => {
                (StatusCode::BAD_GATEWAY, "the app could not be asked")
            }
            UpstreamError::Silent => (
                StatusCode::GATEWAY_TIMEOUT,
                "the app did not answer in time",
            ),
            UpstreamError::ClientSilent => {
                (StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
            }
            UpstreamError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
            UpstreamError::Ended(Ended::Session) => (
                StatusCode::UNAUTHORIZED,
                "the session ended in the middle of the request",
            ),
            UpstreamError::Ended(Ended::Unknown) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "whether the session still lives could not be told",
            ),
        };
        match error {
            // The app has nothing to do with it.
            UpstreamError::TooLarge | UpstreamError::Ended(_) => {
                tracing::info!(%error, "a request was broken off");
            }
            _ => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                let upstream = &self.settings.upstream;
                tracing::warn!(upstream, %error, cause, "no answer of the app");
            }
        }
        let reader = Reader::of(&call::kind(request), request);
        let mut response = problem::gateway(status, problem, reader == Reader::Grpc);
        if response.status() == StatusCode::UNAUTHORIZED {
            // RFC 6750 section 3.1: a token that was good and is no more.
            let challenge = http::HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A call and its answer.
struct Asked {
    answer: Answer,
    authority: String,
    client: Client,
    profile: Arc<WireProfile>,
    body: Body,
}

impl Asked {
    /// The target without credentials. Where none was looked for, a parameter of that name is the
    /// app's own.
    fn target<'r>(&self, request: &'r Parts) -> Cow<'r, str> {
        match self.answer.credential {
            CredentialState::Absent => Cow::Borrowed(target(request)),
            _ => query::without(target(request), &self.profile.query_parameters),
        }
    }
}

/// Path and query of a request.
fn target(request: &Parts) -> &str {
    let target = request.uri.path_and_query();
    target.map_or("/", |target| target.as_str())
}

/// A request that was not asked about.
fn refused(refusal: &Refusal, request: &Parts) -> Response<ResponseBody> {
    let (status, problem) = (refusal.status, refusal.problem);
    tracing::info!(status = status.as_u16(), problem, "the proxy refused");
    match Reader::of(&call::kind(request), request) {
        Reader::Grpc => problem::gateway(status, problem, true),
        Reader::Program | Reader::Person => problem::refused(status, problem),
    }
}

/// The proxy as a listener serves it. The listener must provide the peer's address as
/// [`ConnectInfo`].
pub struct Service<D>(Arc<Proxy<D>>);

impl<D> Service<D> {
    /// Serves this proxy.
    #[must_use]
    pub fn new(proxy: Proxy<D>) -> Self {
        Self(Arc::new(proxy))
    }
}

impl<D> Clone for Service<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D> std::fmt::Debug for Service<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<D: DecisionPoint> tower::Service<Request<Body>> for Service<D> {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let proxy = Arc::clone(&self.0);
        Box::pin(async move {
            let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
            let peer = peer.map(|info| info.0.ip());
            Ok(proxy.answer(peer, request).await)
        })
    }
}
