//! A proxy in front of a sidecar that answers as the test says: what Sidegate itself says too
//! seldom, or never.

use std::path::Path;

use harness::{
    raw::{self, Answer},
    real::{
        caddy::Version,
        ports::Port,
        printed::{Printing, Proxy},
        server::Server,
    },
    recorder::{App, Reply, Request},
};
use tempfile::TempDir;

use crate::scene::{PROGRAM, Setup, folder, ok};

/// All of it, running.
pub(crate) struct Scripted {
    pub(crate) app: App,
    pub(crate) sidecar: App,
    pub(crate) server: Server,
    _folder: TempDir,
    _port: Port,
}

impl Scripted {
    /// Starts everything; `None` where there is no such proxy.
    pub(crate) async fn start(
        proxy: Proxy,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Option<Self> {
        Self::on(proxy, Version::Pinned, script).await
    }

    /// The same, with this Caddy where it is one.
    pub(crate) async fn on(
        proxy: Proxy,
        caddy: Version,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Option<Self> {
        let app = App::start(|_| ok()).await;
        let port = Port::free();
        let sidecar = App::start_at(port.address(), script).await;
        let folder = folder(proxy, &Setup::default(), port.number(), app.address());
        let printing = Printing {
            program: Path::new(PROGRAM),
            policy: &folder.path().join("sidegate.yaml"),
            upstream: app.address(),
        };
        let what = "answers to forward-auth";
        let server = match proxy {
            Proxy::Caddy => printing.start_caddy(caddy, what).await?,
            Proxy::Nginx | Proxy::Traefik | Proxy::Envoy => printing.start(proxy, what).await?,
        };
        Some(Self {
            app,
            sidecar,
            server,
            _folder: folder,
            _port: port,
        })
    }

    /// Sends a request; gives the answer, and what reached the app.
    pub(crate) async fn ask(&self, request: &[u8]) -> (Answer, Vec<Request>) {
        let answer = raw::exchange(self.server.http(), request, raw::DEADLINE).await;
        (answer.unwrap(), self.app.take())
    }
}

/// An allow as Sidegate writes it, of nobody.
pub(crate) fn allow() -> Reply {
    Reply::status(200)
        .header("Sidegate-Outcome", "allow")
        .header("Sidegate-Subject", "")
        .header("Sidegate-Session", "")
        .header("Sidegate-Operation", "public")
        .header("Sidegate-Decision-Id", "d1")
        .header("Sidegate-Call", "c2VhbGVk")
}
