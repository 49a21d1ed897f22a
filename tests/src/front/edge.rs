//! A sidecar in a process of its own that serves edges only, and asks the one of a front.

use std::{fs, net::SocketAddr, path::Path};

use super::server::{Server, tcp};
use crate::{daemon::Daemon, real::ports::Port, world::CALLER};

/// A `sidegate serve` whose decisions another sidecar makes (`decide: { remote: ... }`).
#[derive(Debug)]
pub struct Edge {
    /// Where its edge listens.
    pub address: SocketAddr,
    _daemon: Daemon,
    _folder: tempfile::TempDir,
    _ports: [Port; 2],
}

impl Edge {
    /// Starts the command `program` with an edge that `listen` writes for the address at which it is
    /// to listen, and whose caller is `edge`; the sidecar of `decides` decides.
    ///
    /// # Panics
    ///
    /// Panics with its log when it does not get ready.
    pub async fn start(
        decides: &Server,
        program: &Path,
        listen: impl FnOnce(SocketAddr) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = [Port::free(), Port::free()];
        let [address, telemetry] = [ports[0].address(), ports[1].address()];
        let token = decides.world.folder().join(format!("{CALLER}.token"));
        let text = format!(
            "decide: {{ remote: {{ address: \"{}\", token_file: \"{}\" }} }}\n\
             listen: {{ telemetry: \"{telemetry}\", admin: \"unix:./a.sock\", {} }}\n\
             callers: {{ edge: {{ may: [ authorize, session.self, peer.assert ], uid: 4000000000 }} }}\n",
            tcp(&decides.addresses.grpc),
            token.display(),
            listen(address),
        );
        fs::write(folder.path().join("sidegate.yaml"), text).unwrap();
        let daemon = Daemon::start(program, folder.path());
        daemon.readyz(telemetry, 200).await;
        Self {
            address,
            _daemon: daemon,
            _folder: folder,
            _ports: ports,
        }
    }
}
