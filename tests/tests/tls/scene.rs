//! A sidecar all of whose listeners speak TLS, with an app behind its proxy.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use auth_core::policy::settings::Address;
use harness::{real::ports::Port, recorder::App};
use hyper_util::rt::TokioIo;
use proto::{
    admin::v1::{GetStatusRequest, admin_service_client::AdminServiceClient},
    tls::ClientTls,
    v1::{self, session_store_service_client::SessionStoreServiceClient},
};
use sidecar::{Sidecar, server::Addresses};
use tempfile::TempDir;
use tokio::{net::UnixStream, sync::oneshot, task::JoinHandle};
use tonic::{
    Request,
    transport::{Channel, Endpoint, Uri},
};
use tonic_types::StatusExt as _;

use crate::authority::{Authority, Kind, Pair};

/// The tokens of the callers.
pub(crate) const SHOP_TOKEN: &str = "shop-0123456789abcdef0123456789abcdef";
pub(crate) const DESK_TOKEN: &str = "desk-0123456789abcdef0123456789abcdef";
pub(crate) const EDGE_TOKEN: &str = "edge-0123456789abcdef0123456789abcdef";

const POLICY: &str = r#"
listen:
  grpc: 127.0.0.1:0
  http: 127.0.0.1:0
  telemetry: 127.0.0.1:0
  admin: unix:./admin.sock
  tls: { certificate: server.pem, key: server.key, client_ca: clients.pem }
  envoy: { address: "ENVOY", caller: envoy }
  forward_auth: { address: "FORWARD_AUTH", trusted_proxies: [ 127.0.0.1 ], caller: edge }
  proxy:
    address: 127.0.0.1:0
    upstream: http://UPSTREAM
    caller: edge
    tls: { certificate: public.pem, key: public.key, client_ca: clients.pem }
store: { memory: {} }
callers:
  shop: { token_file: shop.token, may: [ authorize, session.self ] }
  desk:
    token_file: desk.token
    identity: spiffe://shop.example/desk
    may: [ authorize, session.manage ]
    sign_in: [ local ]
  envoy: { identity: envoy.shop.example, may: [ authorize, session.self ] }
  edge:
    token_file: edge.token
    identity: spiffe://shop.example/edge
    may: [ authorize, session.self ]
    sign_in: [ local ]
strategies:
  - cookie: { name: __Host-session }
  - peer: { as: session, identities: [ "spiffe://shop.example/*" ] }
app: shop
hosts: [ books.example, localhost ]
operations:
  login: { session: optional, writes: sign_in, http: POST /login }
  me: { http: GET /me }
  note: { http: POST /note }
  public: { session: none, http: GET /public }
"#;

/// All of it, running.
pub(crate) struct Scene {
    pub(crate) app: App,
    pub(crate) addresses: Addresses,
    pub(crate) folder: TempDir,
    /// Signs what servers have; clients believe it.
    pub(crate) servers: Authority,
    /// Signs what clients have; the sidecar believes it.
    pub(crate) clients: Authority,
    _ports: [Port; 2],
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let at = folder.path();
        servers.write(at, "servers");
        clients.write(at, "clients");
        servers.sign(at, "server", Kind::Server, &["localhost", "127.0.0.1"]);
        servers.sign(at, "public", Kind::Server, &["books.example", "127.0.0.1"]);
        secret(&at.join("shop.token"), SHOP_TOKEN);
        secret(&at.join("desk.token"), DESK_TOKEN);
        secret(&at.join("edge.token"), EDGE_TOKEN);
        let app = App::ok().await;
        // Printed configurations name these ports.
        let ports = [Port::free(), Port::free()];
        let policy = POLICY
            .replace("UPSTREAM", &app.address().to_string())
            .replace("ENVOY", &ports[0].address().to_string())
            .replace("FORWARD_AUTH", &ports[1].address().to_string());
        std::fs::write(at.join("sidegate.yaml"), policy).unwrap();
        let bound = Sidecar::builder(at.join("sidegate.yaml"))
            .bind()
            .await
            .unwrap();
        let addresses = bound.addresses.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            bound.run(shutdown).await.unwrap();
        });
        Self {
            app,
            addresses,
            folder,
            servers,
            clients,
            _ports: ports,
            stop: Some(stop),
            running: Some(running),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn grpc(&self) -> SocketAddr {
        tcp(&self.addresses.grpc[0])
    }

    pub(crate) fn http(&self) -> SocketAddr {
        tcp(&self.addresses.http[0])
    }

    pub(crate) fn proxy(&self) -> SocketAddr {
        tcp(self.addresses.proxy.as_ref().unwrap())
    }

    pub(crate) fn envoy(&self) -> SocketAddr {
        tcp(self.addresses.envoy.as_ref().unwrap())
    }

    pub(crate) fn forward_auth(&self) -> SocketAddr {
        tcp(self.addresses.forward_auth.as_ref().unwrap())
    }

    /// The client certificate of the caller `desk`.
    pub(crate) fn desk(&self) -> Pair {
        let names = ["spiffe://shop.example/desk"];
        self.clients.sign(self.path(), "desk", Kind::Client, &names)
    }

    /// A client of gRPC, with this certificate.
    pub(crate) fn channel(&self, address: SocketAddr, pair: Option<&Pair>) -> Channel {
        let tls = ClientTls {
            ca: self.path().join("servers.pem"),
            identity: pair.map(|pair| (pair.certificate.clone(), pair.key.clone())),
        };
        tls.connect_lazy(&address.to_string(), harness::raw::DEADLINE)
            .unwrap()
    }

    /// What was wrong when the configuration was last read; empty when nothing was.
    pub(crate) async fn last_error(&self) -> String {
        let socket = self.path().join("admin.sock");
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let channel = endpoint.connect_with_connector_lazy(connector);
        let mut client = AdminServiceClient::new(channel);
        let status = client.get_status(GetStatusRequest {}).await.unwrap();
        status.into_inner().policy.unwrap().last_error
    }

    /// Waits until the sidecar has stopped.
    pub(crate) async fn stopped(mut self) {
        drop(self.stop.take());
        self.running.take().unwrap().await.unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// Lists sessions; gives why not, or nothing.
pub(crate) async fn manages(channel: Channel, token: Option<&str>) -> String {
    let mut client = SessionStoreServiceClient::new(channel);
    let request = with_token(v1::ListSessionsRequest::default(), token);
    reason(client.list_sessions(request).await)
}

/// A request with a caller's token.
pub(crate) fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// Why a request was refused; empty when it was not.
pub(crate) fn reason<T>(result: Result<T, tonic::Status>) -> String {
    let Err(status) = result else {
        return String::new();
    };
    let details = status.get_error_details();
    let info = details.error_info().map(|info| info.reason.clone());
    info.unwrap_or_else(|| format!("{:?}", status.code()))
}

pub(crate) fn tcp(address: &Address) -> SocketAddr {
    match address {
        Address::Tcp(tcp) => *tcp,
        Address::Unix(_) => panic!("a TCP address was asked for"),
    }
}

/// A file that its owner alone may read.
pub(crate) fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
