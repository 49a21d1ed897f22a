//! Which gRPC service answers which path.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use auth_core::decision_point::DecisionPoint;
use futures_util::future::Either;
use http::{Request, Response};
use proto::{
    admin::v1::admin_service_server::SERVICE_NAME as ADMIN,
    v1::{
        authorization_service_server::{AuthorizationServiceServer, SERVICE_NAME as AUTHORIZATION},
        session_service_server::SERVICE_NAME as SESSION,
        session_store_service_server::SERVICE_NAME as SESSION_STORE,
    },
};
use tonic::{
    body::Body,
    service::{Routes, RoutesBuilder},
};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower::Service;

use super::timed::Timed;
use crate::{
    builder::StartError,
    edge::{deadline::DEFAULT_MAX, grpc::AuthorizationEdge},
};

/// The services whose health can be asked for by name.
pub(super) const SERVICES: [&str; 4] = [AUTHORIZATION, SESSION, SESSION_STORE, ADMIN];

/// What every gRPC socket answers, to anybody: health and reflection.
pub(super) fn common(health: &HealthReporter) -> Result<Routes, StartError> {
    let health = HealthService::from_health_reporter(health.clone());
    let contract = |error: tonic_reflection::server::Error| StartError::Contract(error.to_string());
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
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

/// Decisions first, without the general router, which costs as much as a small decision.
#[derive(Debug)]
pub(super) struct GrpcRoutes<D> {
    authorization: AuthorizationServiceServer<AuthorizationEdge<D>>,
    rest: Timed<Routes>,
}

impl<D: DecisionPoint> GrpcRoutes<D> {
    pub(super) fn new(
        authorization: AuthorizationServiceServer<AuthorizationEdge<D>>,
        rest: Routes,
    ) -> Self {
        Self {
            authorization,
            rest: timed(rest),
        }
    }
}

impl<D> Clone for GrpcRoutes<D> {
    fn clone(&self) -> Self {
        Self {
            authorization: self.authorization.clone(),
            rest: self.rest.clone(),
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
    type Future = Either<
        <AuthorizationServiceServer<AuthorizationEdge<D>> as Service<Request<Body>>>::Future,
        <Timed<Routes> as Service<Request<Body>>>::Future,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_authorization(request.uri().path()) {
            Either::Left(self.authorization.call(request))
        } else {
            Either::Right(self.rest.call(request))
        }
    }
}
