//! Which gRPC service answers which path.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use auth_core::{caller::Grant, decision_point::DecisionPoint};
use http::{Extensions, HeaderName, Request, Response};
use prost::Message;
use proto::{
    admin::v1::admin_service_server::SERVICE_NAME as ADMIN,
    envoy::service::auth::v3::{
        CheckRequest, CheckResponse,
        authorization_server::{AuthorizationServer, SERVICE_NAME as ENVOY},
    },
    v1::{
        AuthorizeRequest, AuthorizeResponse,
        authorization_service_server::{AuthorizationServiceServer, SERVICE_NAME as AUTHORIZATION},
        session_service_server::SERVICE_NAME as SESSION,
        session_store_service_server::SERVICE_NAME as SESSION_STORE,
    },
};
use tonic::{
    Status,
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
    edge::{
        access,
        deadline::{DEFAULT_MAX, Deadline},
        envoy::EnvoyEdge,
        grpc::AuthorizationEdge,
    },
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

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A service with one method that is called far more than all else.
pub(super) trait Frequent: Send + Sync + 'static {
    /// The service.
    const SERVICE: &'static str;
    /// The path of the method.
    const PATH: &'static str;
    /// Whether a message may come as late as its caller likes: it is the caller who waits, and known. The limit
    /// costs a hundredth of a small request.
    const IS_AWAITED: bool;
    /// What is asked.
    type Question: Message + Default;
    /// What is answered.
    type Answer: Message;

    /// Whether who asks is known, to be told before its message is read: a stranger could let it
    /// come for ever.
    ///
    /// # Errors
    ///
    /// What the answer would be.
    fn admits(&self, extensions: &Extensions) -> Result<(), Status>;

    /// Answers one question.
    fn answer(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        question: Self::Question,
    ) -> impl Future<Output = Result<Self::Answer, Status>> + Send;

    /// The whole service as tonic makes it, for messages of at most `max_message` bytes. Boxed, so
    /// that what is seldom needed takes no room in every request.
    fn by_tonic(self: Arc<Self>, max_message: usize, request: Request<Body>) -> Answering;
}

impl<D: DecisionPoint> Frequent for AuthorizationEdge<D> {
    const SERVICE: &'static str = AUTHORIZATION;
    const PATH: &'static str = "/sidegate.v1.AuthorizationService/Authorize";
    const IS_AWAITED: bool = true;
    type Question = AuthorizeRequest;
    type Answer = AuthorizeResponse;

    fn admits(&self, extensions: &Extensions) -> Result<(), Status> {
        access::known(extensions, Grant::Authorize).map(drop)
    }

    async fn answer(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        question: AuthorizeRequest,
    ) -> Result<AuthorizeResponse, Status> {
        let asked = self.asked(metadata, extensions, question)?;
        AuthorizationEdge::answer(self, asked).await
    }

    fn by_tonic(self: Arc<Self>, max_message: usize, request: Request<Body>) -> Answering {
        AuthorizationServiceServer::from_arc(self)
            .max_decoding_message_size(max_message)
            .call(request)
    }
}

impl<D: DecisionPoint> Frequent for EnvoyEdge<D> {
    const SERVICE: &'static str = ENVOY;
    const PATH: &'static str = "/envoy.service.auth.v3.Authorization/Check";
    const IS_AWAITED: bool = false;
    type Question = CheckRequest;
    type Answer = CheckResponse;

    // The listener itself knows who may connect.
    fn admits(&self, _: &Extensions) -> Result<(), Status> {
        Ok(())
    }

    async fn answer(
        &self,
        metadata: &MetadataMap,
        _: &Extensions,
        question: CheckRequest,
    ) -> Result<CheckResponse, Status> {
        Ok(EnvoyEdge::answer(self, metadata, question).await)
    }

    fn by_tonic(self: Arc<Self>, max_message: usize, request: Request<Body>) -> Answering {
        AuthorizationServer::from_arc(self)
            .max_decoding_message_size(max_message)
            .call(request)
    }
}

/// One method first, without the general router, which costs as much as a small decision.
#[derive(Debug)]
pub(super) struct GrpcRoutes<E> {
    edge: Arc<E>,
    max_message: usize,
    /// Shared, since every request has a clone.
    rest: Arc<Timed<Routes>>,
}

impl<E: Frequent> GrpcRoutes<E> {
    /// Answers by this edge, for messages of at most `max_message` bytes, and the rest.
    pub(super) fn new(edge: E, max_message: usize, rest: Routes) -> Self {
        Self {
            edge: Arc::new(edge),
            max_message,
            rest: Arc::new(timed(rest)),
        }
    }

    /// Answers where the request is one small message, and leaves all else to tonic.
    fn answer(&self, request: Request<Body>) -> Answering {
        let (edge, max) = (Arc::clone(&self.edge), self.max_message);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let message = match parts.headers.contains_key(&ENCODING) {
                false if E::IS_AWAITED => Ok(unary::whole(body, max).await),
                false => {
                    let come = Deadline::of(&MetadataMap::new(), DEFAULT_MAX);
                    come.result(pin!(unary::whole(body, max))).await
                }
                true => Ok(Err(body)),
            };
            match message {
                Err(late) => Ok(late.into_http()),
                Ok(Ok(message)) => {
                    let metadata = MetadataMap::from_headers(std::mem::take(&mut parts.headers));
                    let answer = edge.answer(&metadata, &parts.extensions, message);
                    Ok(unary::answer(answer.await))
                }
                Ok(Err(body)) => edge.by_tonic(max, Request::from_parts(parts, body)).await,
            }
        })
    }

    /// Whether a path is one of the service's.
    fn is_of_service(path: &str) -> bool {
        path.strip_prefix('/')
            .and_then(|path| path.strip_prefix(E::SERVICE))
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

impl<E> Clone for GrpcRoutes<E> {
    fn clone(&self) -> Self {
        Self {
            edge: Arc::clone(&self.edge),
            max_message: self.max_message,
            rest: Arc::clone(&self.rest),
        }
    }
}

impl<E: Frequent> Service<Request<Body>> for GrpcRoutes<E> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let is_frequent = path == E::PATH;
        if !is_frequent && !Self::is_of_service(path) {
            return Timed::clone(&self.rest).call(request);
        }
        if let Err(status) = self.edge.admits(request.extensions()) {
            return Box::pin(std::future::ready(Ok(status.into_http())));
        }
        match is_frequent {
            true => self.answer(request),
            false => Arc::clone(&self.edge).by_tonic(self.max_message, request),
        }
    }
}
