//! Which gRPC service answers which path.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use auth_core::decision_point::DecisionPoint;
use http::{HeaderName, Request, Response};
use proto::{
    admin::v1::admin_service_server::SERVICE_NAME as ADMIN,
    envoy::service::auth::v3::authorization_server::SERVICE_NAME as ENVOY,
    v1::{
        authorization_service_server::{AuthorizationServiceServer, SERVICE_NAME as AUTHORIZATION},
        session_service_server::SERVICE_NAME as SESSION,
        session_store_service_server::SERVICE_NAME as SESSION_STORE,
    },
};
use tonic::{
    body::Body,
    metadata::MetadataMap,
    service::{Routes, RoutesBuilder},
};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower::Service;

use super::{timed::Timed, unary};
use crate::{
    builder::StartError,
    edge::{deadline::DEFAULT_MAX, grpc::AuthorizationEdge},
};

/// The services whose health can be asked for by name.
pub(super) const SERVICES: [&str; 5] = [AUTHORIZATION, SESSION, SESSION_STORE, ADMIN, ENVOY];

/// What every gRPC socket answers, to anybody: health, and reflection of these descriptors.
pub(super) fn common(
    health: &HealthReporter,
    descriptors: &'static [u8],
) -> Result<Routes, StartError> {
    let health = HealthService::from_health_reporter(health.clone());
    let contract = |error: tonic_reflection::server::Error| StartError::Contract(error.to_string());
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(HealthServer::new(health))
        .add_service(reflection().build_v1().map_err(contract)?)
        .add_service(reflection().build_v1alpha().map_err(contract)?);
    Ok(routes.routes())
}

/// These services, held to deadlines.
pub(super) fn timed(routes: Routes) -> Timed<Routes> {
    Timed::new(routes.prepare(), DEFAULT_MAX)
}

/// How messages are compressed, where they are; we do not read such ones, and tonic says so.
static ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// The method that is called most.
const AUTHORIZE: &str = "/sidegate.v1.AuthorizationService/Authorize";

/// Decisions first, without the general router, which costs as much as a small decision.
#[derive(Debug)]
pub(super) struct GrpcRoutes<D> {
    edge: Arc<AuthorizationEdge<D>>,
    max_message: usize,
    /// Shared, since every request has a clone.
    rest: Arc<Timed<Routes>>,
}

impl<D: DecisionPoint> GrpcRoutes<D> {
    /// Decisions by this edge, for messages of at most `max_message` bytes, and the rest.
    pub(super) fn new(edge: AuthorizationEdge<D>, max_message: usize, rest: Routes) -> Self {
        Self {
            edge: Arc::new(edge),
            max_message,
            rest: Arc::new(timed(rest)),
        }
    }

    /// Decides where the request is one small message, and leaves all else to tonic.
    fn authorize(&self, request: Request<Body>) -> Answering {
        let (edge, max) = (Arc::clone(&self.edge), self.max_message);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let message = match parts.headers.contains_key(&ENCODING) {
                false => unary::whole(body, max).await,
                true => Err(body),
            };
            match message {
                Ok(message) => {
                    let metadata = MetadataMap::from_headers(std::mem::take(&mut parts.headers));
                    let answer = match edge.asked(&metadata, &parts.extensions, message) {
                        Ok(asked) => edge.answer(asked).await,
                        Err(status) => Err(status),
                    };
                    Ok(unary::answer(answer))
                }
                Err(body) => by_tonic(edge, max, Request::from_parts(parts, body)).await,
            }
        })
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The service as tonic makes it.
fn service<D: DecisionPoint>(
    edge: Arc<AuthorizationEdge<D>>,
    max_message: usize,
) -> AuthorizationServiceServer<AuthorizationEdge<D>> {
    AuthorizationServiceServer::from_arc(edge).max_decoding_message_size(max_message)
}

/// Boxed, so that what is seldom needed takes no room in every request.
fn by_tonic<D: DecisionPoint>(
    edge: Arc<AuthorizationEdge<D>>,
    max_message: usize,
    request: Request<Body>,
) -> Answering {
    service(edge, max_message).call(request)
}

impl<D> Clone for GrpcRoutes<D> {
    fn clone(&self) -> Self {
        Self {
            edge: Arc::clone(&self.edge),
            max_message: self.max_message,
            rest: Arc::clone(&self.rest),
        }
    }
}

/// Whether a path is one of the decision service's.
fn is_authorization(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(AUTHORIZATION))
        .is_some_and(|rest| rest.starts_with('/'))
}

impl<D: DecisionPoint> Service<Request<Body>> for GrpcRoutes<D> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path() {
            AUTHORIZE => self.authorize(request),
            path if is_authorization(path) => {
                by_tonic(Arc::clone(&self.edge), self.max_message, request)
            }
            _ => Timed::clone(&self.rest).call(request),
        }
    }
}
