//! The edges that stand between clients and apps: they decide nothing, and need not live with what
//! does.

use std::sync::Arc;

use arc_swap::ArcSwap;
use auth_core::{
    caller::Grant, clock::Clock, decision_point::DecisionPoint, keys::Keyring, policy::settings,
};
use proto::envoy::{
    FILE_DESCRIPTOR_SET, service::ext_proc::v3::external_processor_server::ExternalProcessorServer,
};
use tonic_health::server::HealthReporter;

use super::{
    Addresses, DATA_SOCKET_MODE,
    routes::{self, GrpcRoutes},
};
use crate::{
    builder::StartError,
    edge::{
        envoy::{EnvoyEdge, process::ProcessEdge},
        forward_auth::{self, ForwardAuth},
        lasting::Rhythm,
        proxy::{self, Proxy},
    },
    identify::{Anybody, Certified, KnownCallers},
    listener::Listener,
    serve::{self, Protocol, Serving},
    tls::running::RunningListeners,
};

/// The largest question of Envoy's that is read, in bytes: a body may be part of it.
const MAX_CHECK_BYTES: usize = 4 * 1024 * 1024;

/// The bound sockets of the edges.
#[derive(Default)]
pub(super) struct EdgeListeners {
    forward_auth: Option<Listener>,
    proxy: Option<Listener>,
    envoy: Option<Listener>,
}

impl EdgeListeners {
    /// Binds what is configured, and notes where.
    pub(super) async fn bind(
        listen: &settings::Listen,
        tls: &RunningListeners,
        addresses: &mut Addresses,
    ) -> Result<Self, StartError> {
        let mut listeners = Self::default();
        let forward_auth = listen.forward_auth.as_ref().map(|edge| &edge.address);
        let proxy = listen.proxy.as_ref().map(|edge| &edge.address);
        let envoy = listen.envoy.as_ref().map(|edge| &edge.address);
        let services = tls.services.as_ref();
        for (configured, tls, listener, bound) in [
            (
                forward_auth,
                services,
                &mut listeners.forward_auth,
                &mut addresses.forward_auth,
            ),
            (
                proxy,
                tls.proxy.as_ref(),
                &mut listeners.proxy,
                &mut addresses.proxy,
            ),
            (envoy, services, &mut listeners.envoy, &mut addresses.envoy),
        ] {
            if let Some(address) = configured {
                let open = Listener::bind(address, DATA_SOCKET_MODE).await?;
                *bound = Some(open.address()?);
                *listener = Some(open.speaking(tls));
            }
        }
        Ok(listeners)
    }
}

/// The edges as they are configured, which decide by `D`.
pub(super) struct Edges<D> {
    forward_auth: Option<axum::Router>,
    proxy: Option<proxy::Service<D>>,
    envoy: Option<GrpcRoutes<EnvoyEdge<D>>>,
    /// The one that Envoy must prove to be.
    envoy_is: Option<Arc<str>>,
}

impl<D: DecisionPoint> Edges<D> {
    /// Makes what is configured.
    pub(super) fn new(
        point: &Arc<D>,
        (clock, keys): (&Arc<dyn Clock>, &Arc<Keyring>),
        listen: &settings::Listen,
        health: &HealthReporter,
        rhythm: Rhythm,
    ) -> Result<Self, StartError> {
        let mut edges = Self {
            forward_auth: None,
            proxy: None,
            envoy: None,
            envoy_is: None,
        };
        if let Some(settings) = &listen.forward_auth {
            let (caller, trusted) = (&settings.caller, &settings.trusted_proxies);
            let edge = ForwardAuth::new(Arc::clone(point), Arc::clone(caller), trusted.clone())?;
            let edge = edge.with_login(settings.login.clone());
            edges.forward_auth = Some(forward_auth::router(Arc::new(edge)));
        }
        if let Some(settings) = &listen.proxy {
            let edge = Proxy::new(
                Arc::clone(point),
                Arc::clone(clock),
                Arc::clone(keys),
                settings.clone(),
            )?;
            edges.proxy = Some(proxy::Service::new(edge.with_rhythm(rhythm)));
        }
        if let Some(settings) = &listen.envoy {
            let caller = &settings.caller;
            let edge = EnvoyEdge::new(
                Arc::clone(point),
                Arc::clone(caller),
                settings.error_response,
            )?;
            let mut rest = routes::common(health, FILE_DESCRIPTOR_SET)?;
            // Without the grant there is nobody to write: Envoy is then told so, and withholds.
            if caller.may(Grant::SessionSelf) {
                let (point, clock) = (Arc::clone(point), Arc::clone(clock));
                let edge = ProcessEdge::new(point, clock, Arc::clone(caller), rhythm)?;
                rest = rest.add_service(ExternalProcessorServer::new(edge));
            }
            edges.envoy = Some(GrpcRoutes::new(edge, MAX_CHECK_BYTES, rest));
            edges.envoy_is = settings.needs_certificate.then(|| Arc::clone(&caller.name));
        }
        Ok(edges)
    }

    /// Starts to serve.
    pub(super) fn start(
        self,
        listeners: EdgeListeners,
        known: &Arc<ArcSwap<KnownCallers>>,
        serving: &Serving,
    ) {
        if let (Some(listener), Some(routes)) = (listeners.forward_auth, self.forward_auth) {
            serve::start(listener, Protocol::Any, Anybody, routes, serving);
        }
        if let (Some(listener), Some(proxy)) = (listeners.proxy, self.proxy) {
            serve::start(listener, Protocol::Upgradable, Anybody, proxy, serving);
        }
        if let (Some(listener), Some(routes)) = (listeners.envoy, self.envoy) {
            let identify = Certified {
                caller: self.envoy_is,
                known: Arc::clone(known),
            };
            serve::start(listener, Protocol::Http2, identify, routes, serving);
        }
    }
}
