//! Decisions and sessions as JSON over HTTP: Connect's unary protocol, so that `curl` will do.
//!
//! `POST /sidegate.v1.AuthorizationService/Authorize` and so on, for the unary methods of
//! AuthorizationService and SessionService and no other service: sessions are managed and Sidegate
//! is administered over unix sockets only (R25). The caller presents the same token as over gRPC.
//!
//! A body is proto3 JSON with two conveniences (see [`transcode`]). A refused request has the
//! status and body of a Connect error. A page in a browser cannot ask: the host must be one of the
//! listed ones, which defeats DNS rebinding, and an origin must be listed too.

use std::{future::Future, sync::Arc, time::Duration};

use auth_core::decision_point::DecisionPoint;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
    routing::any,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor};
use proto::{
    core::reason,
    v1::{
        authorization_service_server::AuthorizationService, session_service_server::SessionService,
    },
};
use tonic::{Code, Request, Status};

use super::{
    access::Identified, deadline::DEFAULT_MAX, grpc::AuthorizationEdge, session::SessionEdge,
    status::refusal,
};

mod error;
pub mod guard;
pub mod transcode;

pub use self::guard::Guard;

/// The largest body accepted, in bytes.
pub const MAX_BODY_BYTES: usize = 128 * 1024;

const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const AUTHORIZATION: &str = "sidegate.v1.AuthorizationService";
const SESSION: &str = "sidegate.v1.SessionService";

/// The routes of the JSON API.
///
/// # Errors
///
/// Returns [`DescriptorError`] when the contract that was compiled in cannot be read.
pub fn router<D: DecisionPoint>(
    authorization: AuthorizationEdge<D>,
    session: SessionEdge<D>,
    guard: Guard,
) -> Result<Router, DescriptorError> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET)?;
    let mut routes = Routes {
        pool,
        guard: Arc::new(guard),
        router: Router::new(),
    };
    let edge = authorization.clone();
    routes.add(AUTHORIZATION, "Authorize", move |request| {
        let edge = edge.clone();
        async move { edge.authorize(request).await }
    });
    let edge = authorization.clone();
    routes.add(AUTHORIZATION, "BatchAuthorize", move |request| {
        let edge = edge.clone();
        async move { edge.batch_authorize(request).await }
    });
    let edge = authorization.clone();
    routes.add(AUTHORIZATION, "ContinueCall", move |request| {
        let edge = edge.clone();
        async move { edge.continue_call(request).await }
    });
    routes.add(AUTHORIZATION, "GetWireProfile", move |request| {
        let edge = authorization.clone();
        async move { edge.get_wire_profile(request).await }
    });
    let edge = session.clone();
    routes.add(SESSION, "GetSession", move |request| {
        let edge = edge.clone();
        async move { edge.get_session(request).await }
    });
    let edge = session.clone();
    routes.add(SESSION, "SetSession", move |request| {
        let edge = edge.clone();
        async move { edge.set_session(request).await }
    });
    routes.add(SESSION, "ClearSession", move |request| {
        let edge = session.clone();
        async move { edge.clear_session(request).await }
    });
    Ok(routes.router.fallback(unknown_method))
}

struct Routes {
    pool: DescriptorPool,
    guard: Arc<Guard>,
    router: Router,
}

/// The messages of a method.
struct Shape {
    input: MessageDescriptor,
    output: MessageDescriptor,
}

impl Routes {
    /// Adds the method `name` of `service`. One that the contract does not have is left out, which
    /// a test would notice.
    fn add<Q, A, F, R>(&mut self, service: &str, name: &str, call: F)
    where
        Q: Message + Default + Send + 'static,
        A: Message + Send + 'static,
        F: Fn(Request<Q>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<tonic::Response<A>, Status>> + Send,
    {
        let Some(method) = self
            .pool
            .get_service_by_name(service)
            .and_then(|service| service.methods().find(|method| method.name() == name))
        else {
            return;
        };
        let shape = Arc::new(Shape {
            input: method.input(),
            output: method.output(),
        });
        let guard = Arc::clone(&self.guard);
        let handler = move |request: axum::extract::Request| {
            let (shape, guard, call) = (Arc::clone(&shape), Arc::clone(&guard), call.clone());
            async move {
                match answer(&shape, &guard, request, call).await {
                    Ok(json) => rendered(StatusCode::OK, json),
                    Err(refused) => refused.into_response(),
                }
            }
        };
        let path = format!("/{service}/{name}");
        self.router = std::mem::take(&mut self.router).route(&path, any(handler));
    }
}

/// A request that was not answered: a status, and another HTTP status than that would have.
struct Refused {
    status: Status,
    http: Option<StatusCode>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self { status, http: None }
    }
}

impl Refused {
    fn new(http: StatusCode, code: Code, message: &str) -> Self {
        Self {
            status: Status::new(code, message),
            http: Some(http),
        }
    }

    fn into_response(self) -> Response {
        let http = self
            .http
            .unwrap_or_else(|| error::http_status(self.status.code()));
        let mut response = rendered(http, error::body(&self.status));
        let headers = response.headers_mut();
        match http {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let accepted = HeaderValue::from_static("application/json");
                headers.insert(HeaderName::from_static("accept-post"), accepted);
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        if let Some(delay) = error::retry_after(&self.status) {
            headers.insert(header::RETRY_AFTER, delay.into());
        }
        response
    }
}

async fn unknown_method() -> Response {
    let message = "there is no such method here";
    Refused::new(StatusCode::NOT_FOUND, Code::Unimplemented, message).into_response()
}

/// Answers may hold tokens and are about this moment, so that nothing may keep them.
fn rendered(status: StatusCode, json: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn answer<Q, A, F, R>(
    shape: &Shape,
    guard: &Guard,
    request: axum::extract::Request,
    call: F,
) -> Result<Vec<u8>, Refused>
where
    Q: Message + Default,
    A: Message,
    F: Fn(Request<Q>) -> R,
    R: Future<Output = Result<tonic::Response<A>, Status>>,
{
    let (parts, body) = request.into_parts();
    screen(guard, &parts)?;
    let body = read(body).await?;
    let message = transcode::from_json(&shape.input, &body).map_err(Status::from)?;
    let message = Q::decode(&*message).map_err(|_| Status::internal("the request got lost"))?;
    let mut request = Request::new(message);
    if let Some(timeout) = timeout(&parts.headers)? {
        request.set_timeout(timeout);
    }
    *request.extensions_mut() = parts.extensions;
    let response = call(request).await?.into_inner();
    transcode::to_json(&shape.output, &response.encode_to_vec())
        .ok_or_else(|| Status::internal("the answer got lost").into())
}

/// What can be said before the body is read.
fn screen(guard: &Guard, parts: &Parts) -> Result<(), Refused> {
    if parts.method != Method::POST {
        let message = "only POST is answered here";
        return Err(Refused::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::Unimplemented,
            message,
        ));
    }
    guard.check(&parts.uri, &parts.headers)?;
    if !is_plain_json(&parts.headers) {
        let message = "the body must be `application/json`, in UTF-8 and not encoded";
        return Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidArgument,
            message,
        ));
    }
    if parts
        .headers
        .get_all(VERSION)
        .iter()
        .any(|version| version != "1")
    {
        let message = "`connect-protocol-version` must be `1`";
        return Err(Status::invalid_argument(message).into());
    }
    if parts.extensions.get::<Identified>().is_none() {
        let message = "the caller is not known: present its token";
        let unknown = refusal(Code::Unauthenticated, reason::CALLER_UNKNOWN, message, &[]);
        return Err(unknown.into());
    }
    Ok(())
}

fn is_plain_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next(), types.next()) else {
        return false;
    };
    let Ok(text) = first.to_str() else {
        return false;
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, "charset=utf-8"));
    let charset = parameters.trim().to_ascii_lowercase().replace('"', "");
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    essence.trim().eq_ignore_ascii_case("application/json")
        && charset == "charset=utf-8"
        && encodings.all(|encoding| encoding == "identity")
}

fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let digits = value.as_bytes();
    let millis = (digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit))
        .then(|| value.to_str().ok()?.parse().ok())
        .flatten();
    let millis = millis.ok_or_else(|| {
        Status::invalid_argument("`connect-timeout-ms` must be a number of milliseconds")
    })?;
    // One beyond our own patience says nothing that `grpc-timeout` could not hold.
    Ok(Some(Duration::from_millis(millis)).filter(|timeout| *timeout <= DEFAULT_MAX))
}

async fn read(body: Body) -> Result<Bytes, Refused> {
    let collected = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(DEFAULT_MAX, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::ResourceExhausted,
            "the body is larger than 131072 bytes",
        )),
        Ok(Err(_)) => Err(Status::invalid_argument("the body was cut off").into()),
        Err(_) => Err(Refused::new(
            StatusCode::REQUEST_TIMEOUT,
            Code::DeadlineExceeded,
            "the body did not come in time",
        )),
    }
}
