//! An app, a proxy that somebody runs already, and a sidecar that it asks.

use std::{
    io::Write as _, net::SocketAddr, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc,
};

use auth_core::{
    clock::{Clock as _, ManualClock, Timestamp},
    policy::settings::Address,
    store::{Store, memory::MemoryStore},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
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
use serde_json::{Value, json};
use sidecar::Sidecar;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// The command under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_sidegate-under-test");

/// What the app presents to the session API: that of the caller on whose behalf the proxy asks.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

const POLICY: &str = r#"
listen:
  grpc: 127.0.0.1:0
  http: 127.0.0.1:0
  telemetry: 127.0.0.1:0
  admin: unix:./admin.sock
  EDGE
store: { memory: {} }
sessions: { lifetime: 48h, idle: 24h, renew: 6h }
callers:
  edge: { token_file: ./edge.token, may: [ authorize, session.self, peer.assert ], sign_in: [ local ], claims: [ role ] }
strategies:
  - bearer: { opaque: true }
  - peer: { as: session }
  - api_key: { header: x-api-key }
  - cookie: { name: __Host-session }
app: shop
claims: { role: string }
attributes: { theme: string }
hosts: [ books.example ]
checks:
  is_admin: session.claims.role == "admin"
operations:
  login: { session: optional, writes: sign_in, http: POST /login }
  theme: { writes: attributes, http: POST /theme }
  logout: { http: POST /logout }
  me: { http: [ GET /me, POST /me ] }
  public: { session: optional, http: [ "GET /public/**", "HEAD /public/**", "POST /public/**" ] }
  none: { session: none, http: GET /none }
  items: { session: optional, cors: CORS, http: [ GET /items, POST /items ] }
  own_items: { cors: CORS, http: [ GET /items/own, POST /items/own ] }
  enter: { session: optional, writes: sign_in, cors: CORS, http: POST /items/enter }
  admin: { require: is_admin, http: "GET /admin/**" }
"#;

/// Which pages of other origins may call, and with what.
const CORS: &str = r#"{ origins: [ "https://web.example" ], credentials: true, headers: [ x-own ], expose: [ x-total ], max_age: 10m }"#;

/// Operations of an app that speaks gRPC.
const GRPC: &str = r#"
  user_login: { session: optional, writes: sign_in, grpc: books.v1.Users/Login }
  user_logout: { grpc: books.v1.Users/Logout }
  book_get: { grpc: books.v1.Books/Get }
"#;

/// Checks that read a body.
const BODY_CHECKS: &str = r#"
  is_short: size(data.note) < 4
"#;

/// Operations with and without such a check.
const BODIES: &str = r#"
  note: { session: none, require: is_short, data: { note: { type: string } }, http: "POST /notes/{book}" }
  own_note: { require: is_short, data: { note: { type: string } }, http: POST /own/note }
  upload: { session: none, http: POST /notes/upload }
"#;

/// How the sidecar is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Whether there are operations with a check that reads the body.
    pub(crate) reads_bodies: bool,
    pub(crate) login: Option<&'static str>,
    pub(crate) store: Arc<dyn Store>,
    /// Where the app is that speaks gRPC, if it does.
    pub(crate) grpc: Option<SocketAddr>,
    /// Where the app listens, if another one takes its place later.
    pub(crate) app: Option<SocketAddr>,
    /// Which Caddy, where it is one.
    pub(crate) caddy: Version,
    /// What of the printed configuration somebody replaced, and by what.
    pub(crate) altered: Option<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            reads_bodies: false,
            login: None,
            store: Arc::new(MemoryStore::new()),
            grpc: None,
            app: None,
            caddy: Version::Pinned,
            altered: None,
        }
    }
}

/// All of it, running.
pub(crate) struct Scene {
    pub(crate) app: App,
    pub(crate) server: Server,
    pub(crate) clock: Arc<ManualClock>,
    session_api: SocketAddr,
    /// Our own reverse proxy in front of the same app.
    pub(crate) own_proxy: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    _folder: TempDir,
    _port: Port,
}

impl Scene {
    /// Starts everything, with an app that says `ok`; `None` where there is no such proxy.
    pub(crate) async fn start(proxy: Proxy) -> Option<Self> {
        Self::with(proxy, Setup::default()).await
    }

    /// The same, set up like this.
    pub(crate) async fn with(proxy: Proxy, setup: Setup) -> Option<Self> {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let app = App::start_at(setup.app.unwrap_or(anywhere), |_| ok()).await;
        let port = Port::free();
        let folder = folder(proxy, &setup, port.number(), app.address());
        let policy = folder.path().join("sidegate.yaml");
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let bound = Sidecar::builder(&policy)
            .store(setup.store)
            .clock(clock.clone())
            .bind()
            .await
            .unwrap();
        let Some(Address::Tcp(session_api)) = bound.addresses.http.first().cloned() else {
            panic!("a TCP address was asked for");
        };
        let own_proxy = match &bound.addresses.proxy {
            Some(Address::Tcp(address)) => Some(*address),
            _ => None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            bound.run(shutdown).await.unwrap();
        });
        let printing = Printing {
            program: Path::new(PROGRAM),
            policy: &policy,
            upstream: setup.grpc.unwrap_or(app.address()),
        };
        let what = "forward-auth behind it";
        let server = match (setup.caddy, setup.altered) {
            (Version::Debian, _) => printing.start_caddy(Version::Debian, what).await?,
            (Version::Pinned, Some((printed, written))) => {
                let alter = |text: String| text.replace(printed, written);
                printing.start_altered(proxy, what, alter).await?
            }
            (Version::Pinned, None) => printing.start(proxy, what).await?,
        };
        Some(Self {
            app,
            server,
            clock,
            session_api,
            own_proxy,
            stop: Some(stop),
            running: Some(running),
            _folder: folder,
            _port: port,
        })
    }

    /// Ends the sidecar, and nothing else.
    pub(crate) async fn stop_sidecar(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            running.await.unwrap();
        }
    }

    /// Ends the app, so that another one can listen where it did.
    pub(crate) async fn stop_app(&mut self) {
        let app = std::mem::replace(&mut self.app, App::ok().await);
        app.stop().await;
    }

    /// Sends a request; gives the answer, and what reached the app.
    pub(crate) async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> (Answer, Vec<Request>) {
        self.post(method, target, headers, b"").await
    }

    /// The same, with a body.
    pub(crate) async fn post(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (Answer, Vec<Request>) {
        let request = raw::request(method, target, "books.example", headers, body);
        let answer = raw::exchange(self.server.http(), &request, raw::DEADLINE).await;
        (answer.unwrap(), self.app.take())
    }

    /// Signs `u1` in as an app does behind a proxy that shows nobody its responses: by the session
    /// API, with the handle of its request. Gives the cookie as a client sends it back.
    pub(crate) async fn sign_in(&self) -> String {
        let (answer, requests) = self.ask("POST", "/login", &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let subject = json!({ "namespace": "local", "id": "u1" });
        let now = self.clock.now().to_string();
        let change = json!({ "signIn": { "subject": subject, "authTime": now } });
        let written = self.write(&requests[0], "SetSession", change).await;
        let cookie = written.pointer("/updates/0/setCookie/headerValue");
        let cookie = cookie.and_then(Value::as_str).expect("a cookie");
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Has the session API do something to the session of a request that reached the app.
    pub(crate) async fn write(&self, request: &Request, verb: &str, mut body: Value) -> Value {
        let call = request.header("sidegate-call").unwrap();
        body["call"] = json!(STANDARD.encode(URL_SAFE_NO_PAD.decode(call).unwrap()));
        let authorization = format!("Bearer {TOKEN}");
        let headers = [
            ("Authorization", &*authorization),
            ("Content-Type", "application/json"),
        ];
        let path = format!("/sidegate.v1.SessionService/{verb}");
        let body = body.to_string();
        let asked = raw::request("POST", &path, "localhost", &headers, body.as_bytes());
        let answer = raw::exchange(self.session_api, &asked, raw::DEADLINE).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// The policy file and the token, in a folder of their own.
pub(crate) fn folder(proxy: Proxy, setup: &Setup, port: u16, app: SocketAddr) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let login = setup.login.map(|login| format!("login: \"{login}\""));
    let login = login.unwrap_or_default();
    let edge = match proxy {
        Proxy::Envoy => format!("envoy: {{ address: \"127.0.0.1:{port}\", caller: edge }}"),
        Proxy::Nginx | Proxy::Caddy | Proxy::Traefik => format!(
            "forward_auth: {{ address: \"127.0.0.1:{port}\", trusted_proxies: [ 127.0.0.1 ], \
             caller: edge, {login} }}"
        ),
    };
    let grpc = setup.grpc.map_or("", |_| GRPC);
    let (checks, bodies, own) = match setup.reads_bodies {
        true => (
            BODY_CHECKS,
            BODIES,
            format!(
                "\n  proxy: {{ address: 127.0.0.1:0, upstream: \"http://{app}\", caller: edge }}"
            ),
        ),
        false => ("\n", "", String::new()),
    };
    let policy = POLICY
        .replace("EDGE", &format!("{edge}{own}"))
        .replace("CORS", CORS)
        .replace("checks:\n", &format!("checks:{checks}"));
    let policy = format!("{policy}{grpc}{bodies}");
    std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
    write_token(folder.path());
    folder
}

/// The token of the caller `edge`, where the policy of this folder has it.
pub(crate) fn write_token(folder: &Path) {
    let mut options = std::fs::OpenOptions::new();
    let options = options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(folder.join("edge.token")).unwrap();
    file.write_all(TOKEN.as_bytes()).unwrap();
}

/// A token that could be one of ours, by its form, and is none.
pub(crate) fn unknown_token(number: u8) -> String {
    format!("sg1_{}", URL_SAFE_NO_PAD.encode([number; 34]))
}

/// What the app answers when a test says nothing else.
pub(crate) fn ok() -> Reply {
    Reply::status(200).body("ok")
}
