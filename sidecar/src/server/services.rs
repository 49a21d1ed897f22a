//! What each listener serves.

use std::sync::Arc;

use auth_core::{authority::HostPattern, engine::Engine};
use proto::{
    FILE_DESCRIPTOR_SET as CONTRACT,
    admin::v1::admin_service_server::AdminServiceServer,
    v1::{
        session_service_server::SessionServiceServer,
        session_store_service_server::SessionStoreServiceServer,
    },
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::{
    Bound, Running,
    routes::{self, GrpcRoutes},
    timed::Timed,
};
use crate::{
    builder::StartError,
    edge::{
        admin::{AdminEdge, AdminParts},
        grpc::AuthorizationEdge,
        json::{self, Guard},
        session::SessionEdge,
        session_store::{SessionLimits, SessionStoreEdge, SessionStoreParts},
    },
};

/// The largest gRPC message accepted, in bytes.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

impl Bound {
    /// What a data socket serves over gRPC.
    pub(super) fn grpc_routes(
        &self,
        running: &Running,
    ) -> Result<GrpcRoutes<AuthorizationEdge<Engine>>, StartError> {
        let engine = &self.parts.engine;
        let authorization = AuthorizationEdge::new(engine.clone());
        let session = SessionServiceServer::new(SessionEdge::new(engine.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let store = SessionStoreServiceServer::new(self.session_store(running.data.drain.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let rest = routes::common(&running.health, CONTRACT)?
            .add_service(session)
            .add_service(store);
        Ok(GrpcRoutes::new(authorization, MAX_MESSAGE_BYTES, rest))
    }

    /// What the admin socket serves.
    pub(super) fn admin_routes(&self, running: &Running) -> Result<Timed<Routes>, StartError> {
        let parts = AdminParts {
            engine: Arc::clone(&self.parts.engine),
            reloader: Arc::clone(&self.parts.reloader),
            readiness: Arc::clone(&self.readiness),
            telemetry: Arc::clone(&self.parts.telemetry),
            listeners: self.addresses.lines(),
            store_promise: self.parts.store_promise.clone(),
            started_at: self.parts.engine.clock().now(),
            shutdown: running.data.drain.clone(),
        };
        let admin = AdminServiceServer::new(AdminEdge::new(parts))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let store = self.session_store(running.data.drain.clone());
        let store =
            SessionStoreServiceServer::new(store).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let routes = routes::common(&running.health, CONTRACT)?;
        Ok(routes::timed(routes.add_service(admin).add_service(store)))
    }

    fn session_store(&self, shutdown: CancellationToken) -> SessionStoreEdge {
        let engine = &self.parts.engine;
        let limits = *engine.limits();
        SessionStoreEdge::new(SessionStoreParts {
            store: engine.store(),
            clock: Arc::clone(engine.clock()),
            random: Arc::clone(engine.random()),
            keys: Arc::clone(engine.keys()),
            limits: Arc::new(move || SessionLimits {
                lifetime: limits.lifetime,
                idle: limits.idle,
                per_subject: limits.per_subject,
            }),
            shutdown,
        })
    }

    /// What the HTTP listener serves.
    pub(super) fn http_routes(&self) -> Result<axum::Router, StartError> {
        let engine = &self.parts.engine;
        let listen = &self.parts.settings.listen;
        let named = listen.hosts.iter().map(String::as_str);
        // A unix socket's clients have no host to name; curl then says `localhost`.
        let loopback = ["localhost", "127.0.0.1", "[::1]"];
        let hosts = named
            .chain(loopback)
            .filter_map(|host| HostPattern::parse(host).ok())
            .collect();
        let guard = Guard::new(hosts, listen.origins.clone());
        json::router(
            AuthorizationEdge::new(engine.clone()),
            SessionEdge::new(engine.clone()),
            guard,
        )
        .map_err(|error| StartError::Contract(error.to_string()))
    }
}
