//! A sidecar of this process, for the fronts that ask over sockets.

use std::{net::SocketAddr, sync::Arc};

use auth_core::{
    engine::Engine,
    policy::{settings::Address, source::Document},
};
use sidecar::{Sidecar, server::Addresses, telemetry::DecisionSeen};
use tokio::{
    sync::{broadcast, oneshot},
    task::JoinHandle,
};

use crate::{cases::CaseFile, world::World};

/// A running sidecar and its world.
#[derive(Debug)]
pub struct Server {
    /// Its world.
    pub world: World,
    /// Where it listens.
    pub addresses: Addresses,
    /// Its decision point, for its store.
    pub engine: Arc<Engine>,
    decisions: broadcast::Receiver<Arc<DecisionSeen>>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a sidecar on the world of a file.
    pub async fn start(file: &CaseFile) -> Self {
        Self::start_with(file, |_| ()).await
    }

    /// Starts a sidecar on the world of a file, with documents changed beforehand.
    pub async fn start_with(file: &CaseFile, change: impl FnOnce(&mut [Document])) -> Self {
        let world = World::new(file).await;
        let mut documents = world.documents.clone();
        change(&mut documents);
        let bound = Sidecar::from_documents(documents)
            .store(Arc::clone(&world.store))
            .clock(world.clock.clone())
            .bind()
            .await
            .unwrap_or_else(|err| panic!("{}: {err}", file.name()));
        world.run_afterwards();
        let (stop, stopped) = oneshot::channel();
        let (addresses, engine) = (bound.addresses.clone(), bound.engine());
        let decisions = bound.decisions();
        let running = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            bound.run(shutdown).await.unwrap();
        });
        Self {
            world,
            addresses,
            engine,
            decisions,
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// Its decisions from now on.
    #[must_use]
    pub fn decisions(&self) -> broadcast::Receiver<Arc<DecisionSeen>> {
        self.decisions.resubscribe()
    }

    /// Drains and stops it.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }
}

/// The TCP address among these.
#[must_use]
pub fn tcp<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> SocketAddr {
    let found = addresses.into_iter().find_map(|address| match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) => None,
    });
    found.expect("a TCP address")
}
