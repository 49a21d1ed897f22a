//! Everything bound and ready to serve, and served until told to stop.

use std::{future::Future, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use auth_core::{
    engine::{Engine, KeyFetchers},
    policy::settings::{Address, Settings},
};
use tokio::{signal::unix::Signal, sync::broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    builder::StartError,
    decider::Watch,
    edge::{
        health::{self, Readiness},
        lasting::Rhythm,
    },
    identify::{Anybody, Callers, Door, KnownCallers},
    issuer_keys,
    listener::Listener,
    reload::Reloader,
    remote,
    runtime::Workers,
    serve::{self, Protocol, Serving},
    sweep,
    telemetry::{DecisionSeen, Telemetry},
    tls::running::RunningListeners,
};

mod edges;
mod routes;
mod services;
mod timed;
mod unary;

use self::edges::{EdgeListeners, Edges};

/// How long requests in flight may take once the sidecar drains.
const DRAIN_GRACE: Duration = Duration::from_secs(20);
/// Services may connect to their sockets whoever they run as: their user id is what is looked at.
const DATA_SOCKET_MODE: u32 = 0o666;
/// Nobody but its own user may connect to the admin socket.
const ADMIN_SOCKET_MODE: u32 = 0o600;

/// What a server is made of.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) fetchers: KeyFetchers,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) callers: Arc<ArcSwap<KnownCallers>>,
    pub(crate) tls: RunningListeners,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) settings: Settings,
    pub(crate) store_promise: String,
    pub(crate) serve_telemetry: bool,
    pub(crate) hangup: Option<Signal>,
    pub(crate) drain_delay: Duration,
    pub(crate) workers: usize,
    /// How often what is open asks for its session.
    pub(crate) rhythm: Rhythm,
}

/// Where a sidecar listens, with the real ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC.
    pub grpc: Vec<Address>,
    /// The same API as JSON over HTTP.
    pub http: Vec<Address>,
    /// Administration.
    pub admin: Option<Address>,
    /// Health and metrics.
    pub telemetry: Option<Address>,
    /// Forward-auth.
    pub forward_auth: Option<Address>,
    /// The reverse proxy.
    pub proxy: Option<Address>,
    /// Envoy's external authorization.
    pub envoy: Option<Address>,
}

impl Addresses {
    /// All of them, as `grpc 127.0.0.1:7480`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |name: &str, address: &Address| format!("{name} {address}");
        let grpc = self.grpc.iter().map(|address| line("grpc", address));
        let http = self.http.iter().map(|address| line("http", address));
        let single = [
            ("admin", &self.admin),
            ("telemetry", &self.telemetry),
            ("forward_auth", &self.forward_auth),
            ("proxy", &self.proxy),
            ("envoy", &self.envoy),
        ];
        let single = single
            .into_iter()
            .filter_map(|(name, address)| address.as_ref().map(|address| line(name, address)));
        grpc.chain(http).chain(single).collect()
    }
}

/// The bound sockets.
struct Listeners {
    grpc: Vec<Listener>,
    http: Vec<Listener>,
    admin: Listener,
    telemetry: Option<Listener>,
    edges: EdgeListeners,
}

/// A sidecar whose sockets are bound. Connections wait until it runs.
pub struct Bound {
    /// Where it listens.
    pub addresses: Addresses,
    parts: Parts,
    listeners: Listeners,
    readiness: Arc<Readiness>,
}

/// What is needed to serve and to end it.
struct Running {
    data: Serving,
    /// Served until all else has ended, so that a probe sees what is going on.
    probes: Serving,
    background: TaskTracker,
    stop_background: CancellationToken,
    health: HealthReporter,
}

pub(crate) async fn bind(parts: Parts) -> Result<Bound, StartError> {
    let listen = &parts.settings.listen;
    let mut addresses = Addresses::default();
    let mut listeners = Listeners {
        admin: Listener::bind(&Address::Unix(listen.admin.clone()), ADMIN_SOCKET_MODE).await?,
        grpc: Vec::new(),
        http: Vec::new(),
        telemetry: None,
        edges: EdgeListeners::bind(listen, &parts.tls, &mut addresses).await?,
    };
    addresses.admin = Some(listeners.admin.address()?);
    for address in &listen.grpc {
        let listener = Listener::bind(address, DATA_SOCKET_MODE).await?;
        addresses.grpc.push(listener.address()?);
        let listener = listener.speaking(parts.tls.services.as_ref());
        listeners.grpc.push(listener);
    }
    for address in &listen.http {
        let listener = Listener::bind(address, DATA_SOCKET_MODE).await?;
        addresses.http.push(listener.address()?);
        let listener = listener.speaking(parts.tls.services.as_ref());
        listeners.http.push(listener);
    }
    if parts.serve_telemetry {
        let listener = Listener::bind(&listen.telemetry, DATA_SOCKET_MODE).await?;
        addresses.telemetry = Some(listener.address()?);
        listeners.telemetry = Some(listener);
    }
    let readiness = Arc::new(Readiness::new(parts.engine.store()));
    Ok(Bound {
        addresses,
        parts,
        listeners,
        readiness,
    })
}

impl Bound {
    /// The decision point, for an embedding program that asks in process.
    #[must_use]
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.parts.engine)
    }

    /// Decisions as they are made, from now on.
    #[must_use]
    pub fn decisions(&self) -> broadcast::Receiver<Arc<DecisionSeen>> {
        self.parts.telemetry.watch()
    }

    /// The store and what it promises.
    #[must_use]
    pub fn store_promise(&self) -> &str {
        &self.parts.store_promise
    }

    /// Serves until `shutdown` comes to its end, then drains: not ready, no new connections,
    /// requests in flight answered.
    ///
    /// # Errors
    ///
    /// Returns [`StartError`] when something that was configured cannot be served.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        self.announce();
        let drain_delay = self.parts.drain_delay;
        let readiness = Arc::clone(&self.readiness);
        let running = self.start().await?;
        shutdown.await;
        readiness.drain();
        running.not_serving().await;
        tokio::time::sleep(drain_delay).await;
        running.end().await;
        Ok(())
    }

    /// Says what listens, which store and which configuration (DESIGN section 8).
    fn announce(&self) {
        let status = self.parts.reloader.status();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "sidegate starts");
        tracing::info!(
            file = status.file,
            version = %status.version,
            operations = status.operations,
            "the policy is in force"
        );
        for warning in &self.parts.engine.policy().warnings {
            tracing::warn!(%warning, "the configuration deserves a look");
        }
        tracing::info!("{}", self.parts.store_promise);
        for line in self.addresses.lines() {
            tracing::info!("listening: {line}");
        }
        self.announce_tls();
        tracing::info!(target: "audit", event = "sys_startup", "security event");
    }

    fn announce_tls(&self) {
        let listen = &self.parts.settings.listen;
        let proxy = listen.proxy.as_ref().and_then(|proxy| proxy.tls.as_ref());
        let sections = [
            ("listen.tls", listen.tls.as_ref()),
            ("listen.proxy.tls", proxy),
        ];
        for (section, tls) in sections {
            if let Some(tls) = tls {
                let certificate = tls.certificate.display();
                let asks_clients = tls.client_ca.is_some();
                tracing::info!(section, %certificate, asks_clients, "TLS is spoken over TCP");
            }
        }
    }

    /// Starts everything.
    async fn start(self) -> Result<Running, StartError> {
        let workers = Workers::start(self.parts.workers)?;
        let running = Running {
            data: Serving {
                workers,
                ..Serving::default()
            },
            probes: Serving::default(),
            background: TaskTracker::new(),
            stop_background: CancellationToken::new(),
            health: HealthReporter::new(),
        };
        running.serving().await;
        let grpc = self.grpc_routes(&running)?;
        let admin = self.admin_routes(&running)?;
        let http = self.http_routes()?;
        let metrics = Arc::clone(self.parts.telemetry.metrics());
        let probes = health::router(Arc::clone(&self.readiness), metrics);
        let callers = Callers::new(Door::Data, Arc::clone(&self.parts.callers));
        let operators = Callers::new(Door::Admin, Arc::clone(&self.parts.callers));

        let (data, listeners) = (&running.data, self.listeners);
        for listener in listeners.grpc {
            serve::start(
                listener,
                Protocol::Http2,
                callers.clone(),
                grpc.clone(),
                data,
            );
        }
        for listener in listeners.http {
            serve::start(listener, Protocol::Any, callers.clone(), http.clone(), data);
        }
        let (engine, listen) = (&self.parts.engine, &self.parts.settings.listen);
        let (of_engine, rhythm) = ((engine.clock(), engine.keys()), self.parts.rhythm);
        match &self.parts.settings.remote {
            None => {
                let edges = Edges::new(engine, of_engine, listen, &running.health, rhythm)?;
                edges.start(listeners.edges, &self.parts.callers, data);
            }
            Some(remote) => {
                let point = Arc::new(remote::decision_point(remote)?);
                self.readiness.decided_by(Arc::clone(&point));
                let watch = Watch {
                    point: Arc::clone(&point),
                    settings: remote.clone(),
                    lacks: self.parts.settings.listen.lacks.clone(),
                    health: running.health.clone(),
                    readiness: Arc::clone(&self.readiness),
                };
                let stop = running.stop_background.clone();
                running.background.spawn(watch.run(stop));
                let edges = Edges::new(&point, of_engine, listen, &running.health, rhythm)?;
                edges.start(listeners.edges, &self.parts.callers, data);
            }
        }
        serve::start(listeners.admin, Protocol::Http2, operators, admin, data);
        if let Some(listener) = listeners.telemetry {
            serve::start(listener, Protocol::Any, Anybody, probes, &running.probes);
        }
        start_background(self.parts, &running);
        Ok(running)
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Sweeps the store and watches the configuration.
fn start_background(parts: Parts, running: &Running) {
    let stop = &running.stop_background;
    let (store, clock) = (parts.engine.store(), Arc::clone(parts.engine.clock()));
    running
        .background
        .spawn(sweep::run(store, clock, stop.clone()));
    let (engine, fetchers) = (Arc::clone(&parts.engine), parts.fetchers);
    running
        .background
        .spawn(issuer_keys::run(engine, fetchers, stop.clone()));
    let (reloader, stop) = (Arc::clone(&parts.reloader), stop.clone());
    running
        .background
        .spawn(async move { reloader.watch(parts.hangup, stop).await });
}

impl Running {
    async fn serving(&self) {
        for name in routes::SERVICES {
            let status = ServingStatus::Serving;
            self.health.set_service_status(name, status).await;
        }
    }

    /// Tells those who ask for health that they should go elsewhere.
    async fn not_serving(&self) {
        for name in routes::SERVICES.into_iter().chain([""]) {
            let status = ServingStatus::NotServing;
            self.health.set_service_status(name, status).await;
        }
    }

    /// Ends in the order of need: requests first, then what they need, then the probes.
    async fn end(self) {
        tracing::info!(target: "audit", event = "sys_shutdown", "security event");
        self.data.drain.cancel();
        if !serve::drained(&self.data, DRAIN_GRACE).await {
            let open = self.data.connections.len();
            tracing::warn!(open, "connections were still open and are cut off");
        }
        self.stop_background.cancel();
        self.background.close();
        self.background.wait().await;
        self.probes.drain.cancel();
        serve::drained(&self.probes, Duration::from_secs(1)).await;
        tracing::info!("sidegate has stopped");
    }
}
