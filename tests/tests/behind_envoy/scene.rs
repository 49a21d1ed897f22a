//! An app, Envoy in front of it, and a sidecar that Envoy asks.

use std::{net::SocketAddr, os::unix::fs::OpenOptionsExt as _, sync::Arc, time::Duration};

use auth_core::{
    policy::settings::Address,
    store::{Store, memory::MemoryStore},
};
use harness::{
    raw,
    real::{
        envoy,
        ports::Port,
        server::{Place, Server},
    },
    recorder::{App, Reply, Request},
};
use sidecar::{Sidecar, edge::lasting::Rhythm};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::certificates::Authority;

/// What a service presents to be let in.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// What the issuer signs its tokens with.
pub(crate) const SECRET: &str = "9f1c77e2b04d4a6f8b35d2c16e08a7f4c3d95be1";

const POLICY: &str = r#"
listen:
  grpc: 127.0.0.1:0
  http: 127.0.0.1:0
  telemetry: 127.0.0.1:0
  admin: unix:./admin.sock
  envoy: { address: "127.0.0.1:0", caller: edge, error_response: ERRORS }
store: { memory: {} }
callers:
  edge: { uid: 4711, may: [ authorize, session.self ASSERT ], sign_in: [ local ] }
strategies:
  - bearer: { opaque: true, tokens: [ { token_file: ./batch.token, subject: batch } ] ISSUERS }
  - api_key: { header: x-api-key, query: key }
  - cookie: { name: __Host-session }
  PEERS
app: shop
claims: { role: string }
hosts: [ books.example ]
checks:
  never: session.subject == "nobody"
  is_admin: session.claims.role == "admin"
operations:
  login: { session: optional, writes: sign_in, http: POST /login, grpc: books.v1.Users/Login }
  theme: { writes: attributes, http: POST /theme }
  logout: { http: POST /logout, grpc: books.v1.Users/Logout }
  public: { session: optional, http: "GET /public/**" }
  admin: { require: is_admin, http: "GET /admin/**" }
  open: { session: none, tags: [ shelf, free ], http: GET /open }
  either: { session: optional, http: GET /either }
  closed: { http: GET /closed, grpc: books.v1.Books/Get }
  forbidden: { require: never, http: GET /forbidden, grpc: books.v1.Books/Delete }
"#;

/// How often what is open asks for its session.
const RHYTHM: Rhythm = Rhythm {
    interval: Duration::from_millis(50),
    grace: Duration::from_secs(30),
};

/// How Envoy is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Whether it sends headers one by one.
    pub(crate) raw_headers: bool,
    /// Whether a filter strips client copies before we are asked.
    pub(crate) strips: bool,
    /// Whether it lets pass what it could not ask about.
    pub(crate) fails_open: bool,
    /// Whether our configuration makes an error of what could not be decided.
    pub(crate) error_response: bool,
    /// Whether it has us look at responses.
    pub(crate) writes: bool,
    /// Whether it speaks TLS, and asks clients for a certificate.
    pub(crate) tls: bool,
    /// Whether it is believed about those.
    pub(crate) asserts_peers: bool,
    /// Whether it asks at an address where nobody is.
    pub(crate) asks_nobody: bool,
    /// What the route is said to be, as context extensions.
    pub(crate) extensions: Option<&'static str>,
    /// Where the app is that speaks gRPC, if it does.
    pub(crate) grpc: Option<SocketAddr>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            raw_headers: true,
            strips: true,
            fails_open: false,
            error_response: false,
            writes: false,
            tls: false,
            asserts_peers: false,
            asks_nobody: false,
            extensions: None,
            grpc: None,
        }
    }
}

/// All of it, running.
pub(crate) struct Scene {
    pub(crate) app: App,
    pub(crate) envoy: Server,
    /// Who signs the certificates that it believes.
    pub(crate) authority: Option<Authority>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    _nobody: Port,
    _folder: TempDir,
}

impl Scene {
    /// Starts everything; `None` where there is no Envoy.
    pub(crate) async fn start(setup: Setup) -> Option<Self> {
        Self::with_store(setup, Arc::new(MemoryStore::new())).await
    }

    /// The same, on this store.
    pub(crate) async fn with_store(setup: Setup, store: Arc<dyn Store>) -> Option<Self> {
        let app = App::start(|_| {
            Reply::status(200)
                .header("Set-Cookie", "own=1")
                .header("Cache-Control", "public")
                .body("ok")
        })
        .await;
        let folder = folder(setup);
        let authority = setup.tls.then(|| Authority::in_folder(folder.path()));
        let bound = Sidecar::builder(folder.path().join("sidegate.yaml"))
            .store(store)
            .rhythm(RHYTHM)
            .bind()
            .await
            .unwrap();
        let Some(Address::Tcp(asks)) = bound.addresses.envoy.clone() else {
            panic!("a TCP address was asked for");
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            bound.run(shutdown).await.unwrap();
        });
        let upstream = setup.grpc.unwrap_or(app.address());
        let certificates = folder.path().display().to_string();
        let nobody = Port::free();
        let configuration = |place: &Place| {
            bootstrap(setup, place.http(), upstream, asks)
                .replace("FOLDER", &certificates)
                .replace("NOBODY_PORT", &nobody.number().to_string())
        };
        let envoy = envoy::start("ext_authz behind Envoy", configuration).await?;
        Some(Self {
            app,
            envoy,
            authority,
            stop: Some(stop),
            running: Some(running),
            _nobody: nobody,
            _folder: folder,
        })
    }

    /// Ends the sidecar, and nothing else.
    pub(crate) async fn stop_sidecar(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }

    /// Sends a request; gives the answer, and what reached the app.
    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> (raw::Answer, Vec<Request>) {
        let request = raw::request(method, target, "books.example", headers, b"");
        self.send(&request).await.unwrap()
    }

    /// Sends these bytes.
    pub(crate) async fn send(
        &self,
        request: &[u8],
    ) -> Result<(raw::Answer, Vec<Request>), raw::NoAnswer> {
        let answer = raw::exchange(self.envoy.http(), request, raw::DEADLINE).await?;
        Ok((answer, self.app.take()))
    }
}

fn folder(setup: Setup) -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("sidegate-envoy-")
        .tempdir()
        .unwrap();
    let assert = if setup.asserts_peers {
        ", peer.assert"
    } else {
        ""
    };
    let (issuers, peers) = if setup.tls {
        (ISSUERS, PEERS)
    } else {
        ("", "")
    };
    let policy = POLICY
        .replace("ERRORS", &setup.error_response.to_string())
        .replace("ASSERT", assert)
        .replace("ISSUERS", issuers)
        .replace("PEERS", peers);
    std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
    for (name, secret) in [("batch.token", TOKEN), ("issuer.secret", SECRET)] {
        let mut options = std::fs::OpenOptions::new();
        let options = options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(folder.path().join(name)).unwrap();
        std::io::Write::write_all(&mut file, secret.as_bytes()).unwrap();
    }
    folder
}

/// The configuration of PROTOCOLS section 5, without `ext_proc`.
fn bootstrap(setup: Setup, port: u16, app: SocketAddr, sidecar: SocketAddr) -> String {
    let strip = match setup.strips {
        true => STRIP,
        false => "",
    };
    let process = match setup.writes {
        true => PROCESS,
        false => "",
    };
    let named = setup.extensions.map_or_else(String::new, |extensions| {
        NAMED.replace("EXTENSIONS", extensions)
    });
    let tls = if setup.tls { TLS } else { "" };
    let asked = match setup.asks_nobody {
        true => "nobody",
        false => "sidecar",
    };
    BOOTSTRAP
        .replace("ASKED", asked)
        .replace("TLS", tls)
        .replace("GRPC", setup.grpc.map_or("", |_| GRPC))
        .replace("STRIP", strip)
        .replace("PROCESS", process)
        .replace("NAMED", &named)
        .replace("RAW_HEADERS", &setup.raw_headers.to_string())
        .replace("FAILS_OPEN", &setup.fails_open.to_string())
        .replace("OWN_PORT", &port.to_string())
        .replace("APP_PORT", &app.port().to_string())
        .replace("SIDECAR_PORT", &sidecar.port().to_string())
}

const ISSUERS: &str = r#", issuers: [ { issuer: "https://id.example", audience: books, namespace: idp, algorithms: [ HS256 ], keys_file: ./issuer.secret } ]"#;

const PEERS: &str = r#"- peer: { as: session, identities: [ "spiffe://shop/*" ] }"#;

/// A client may come without a certificate, and with none that somebody else signed.
const TLS: &str = r#"transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: false
          common_tls_context:
            tls_certificates: [ { certificate_chain: { filename: FOLDER/host.pem }, private_key: { filename: FOLDER/host.key } } ]
            validation_context: { trusted_ca: { filename: FOLDER/ca.pem } }"#;

const STRIP: &str = r#"- name: strip
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
              mutations:
                request_mutations: [ { remove_on_match: { key_matcher: { prefix: sidegate } } } ]
                response_mutations: [ { remove_on_match: { key_matcher: { prefix: sidegate } } } ]"#;

const PROCESS: &str = r#"- name: envoy.filters.http.ext_proc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
              grpc_service: { envoy_grpc: { cluster_name: sidecar } }
              status_on_error: { code: ServiceUnavailable }
              message_timeout: 5s
              processing_mode: { request_header_mode: SEND, response_header_mode: SEND, response_trailer_mode: SEND }
              metadata_options: { forwarding_namespaces: { untyped: [ envoy.filters.http.ext_authz ] } }"#;

const GRPC: &str = r#"typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }"#;

const NAMED: &str = r#"typed_per_filter_config:
                  envoy.filters.http.ext_authz:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                    check_settings: { context_extensions: { EXTENSIONS } }"#;

const BOOTSTRAP: &str = r#"
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: OWN_PORT } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          upgrade_configs: [ { upgrade_type: websocket } ]
          # Else each request that Envoy itself cannot read takes a second.
          delayed_close_timeout: 0.05s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: { prefix: "/" }
                route: { cluster: app, timeout: 0s }
                NAMED
          http_filters:
          STRIP
          PROCESS
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              encode_raw_headers: RAW_HEADERS
              include_peer_certificate: true
              failure_mode_allow: FAILS_OPEN
              validate_mutations: true
              status_on_error: { code: ServiceUnavailable }
              grpc_service: { timeout: 5s, envoy_grpc: { cluster_name: ASKED } }
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
      TLS
  clusters:
  - name: app
    GRPC
    load_assignment:
      cluster_name: app
      endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: APP_PORT } } } } ] } ]
  - name: sidecar
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: sidecar
      endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: SIDECAR_PORT } } } } ] } ]
  - name: nobody
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: nobody
      endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: NOBODY_PORT } } } } ] } ]
"#;
