//! An app, and a sidecar with its proxy in front of it.

use std::{io::Write as _, net::SocketAddr, os::unix::fs::OpenOptionsExt as _, sync::Arc};

use auth_core::{clock::ManualClock, policy::settings::Address, store::Store};
use harness::{
    raw::{self, Answer},
    recorder::{App, Reply, Request},
};
use sidecar::{Sidecar, SidecarBuilder, edge::lasting::Rhythm};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

const POLICY: &str = r#"
listen:
  grpc: 127.0.0.1:0
  http: 127.0.0.1:0
  telemetry: 127.0.0.1:0
  admin: unix:./admin.sock
  proxy: { address: "127.0.0.1:0", upstream: "http://UPSTREAM", caller: edge, MORE }
store: { memory: {} }
keys: KEYS
callers:
  edge: { uid: 4711, may: [ authorize, session.self, peer.assert ], sign_in: [ local ], claims: [ role ] }
  another: { token_file: ./another.token, may: [ authorize, session.self ], sign_in: [ local ] }
  elsewhere: { token_file: ./elsewhere.token, tenant: t2, may: [ authorize, session.self ], sign_in: [ local ] }
strategies:
  - bearer: { opaque: true }
  - peer: { as: session }
  - api_key: { header: x-api-key, query: key }
  - cookie: { name: __Host-session COOKIE }
app: shop
claims: { role: string }
attributes: { theme: string }
hosts: [ books.example ]
checks:
  is_admin: session.claims.role == "admin"
  is_short: size(data.note) < 4
  is_few: data.count < 10 && data.gift
operations:
  login: { session: optional, writes: sign_in, http: POST /login, grpc: shop.Users/Login }
  theme: { writes: attributes, http: POST /theme, grpc: shop.Users/Theme }
  logout: { http: POST /logout, grpc: shop.Users/Logout }
  me: { http: GET /me, grpc: shop.Users/Me }
  public: { session: optional, http: [ "GET /public/**", "HEAD /public/**", "POST /public/**" ] }
  admin: { require: is_admin, http: "GET /admin/**" }
  open: { session: none, http: GET /open }
  items: { session: none, cors: { origins: [ "https://web.example" ], credentials: true, expose: [ x-total ] }, http: GET /items }
  buy: { session: none, grpc: shop.Books/Buy }
  note: { session: none, require: is_short, data: { note: { type: string } }, http: POST /note }
  order: { session: none, require: is_few, data: { count: { type: int }, gift: { type: bool } }, http: POST /order }
"#;

/// What the callers `another` and `elsewhere` present, by the files that the policy names.
pub(crate) const TOKENS: [(&str, &str); 2] = [
    (
        "another.token",
        "1123456789abcdef0123456789abcdef0123456789abcdef",
    ),
    (
        "elsewhere.token",
        "2123456789abcdef0123456789abcdef0123456789abcdef",
    ),
];

/// All of it, running.
pub(crate) struct Scene {
    pub(crate) app: App,
    pub(crate) proxy: SocketAddr,
    /// Where callers ask in JSON.
    pub(crate) json: SocketAddr,
    /// Where they ask by gRPC.
    pub(crate) grpc: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    _running: JoinHandle<()>,
    _folder: TempDir,
}

impl Scene {
    /// Starts everything, with an app that says `ok`.
    pub(crate) async fn start() -> Self {
        Self::with("timeout: 60s").await
    }

    /// The same, with these further keys of the proxy.
    pub(crate) async fn with(more: &str) -> Self {
        let app = App::start(|_| ok()).await;
        let upstream = app.address();
        Self::before(app, upstream, more).await
    }

    /// The same, with the app at another address than that of the recording one.
    pub(crate) async fn before(app: App, upstream: SocketAddr, more: &str) -> Self {
        Self::of(app, upstream, more, "").await
    }

    /// The same, which asks this often whether the session of what is open still lives.
    pub(crate) async fn in_rhythm(rhythm: Rhythm) -> Self {
        let app = App::start(|_| ok()).await;
        let upstream = app.address();
        let set = |sidecar: SidecarBuilder| sidecar.rhythm(rhythm);
        Self::built(app, upstream, ["timeout: 60s", "", "{}"], set).await
    }

    /// The same, with these sessions and keys, and these further keys of the proxy.
    pub(crate) async fn on(store: Arc<dyn Store>, more: &str) -> Self {
        let app = App::start(|_| ok()).await;
        let upstream = app.address();
        let set = |sidecar: SidecarBuilder| sidecar.store(store);
        Self::built(app, upstream, [more, "", "{}"], set).await
    }

    /// The same, whose time is that of this clock.
    pub(crate) async fn at(clock: Arc<ManualClock>) -> Self {
        Self::keyed(clock, "timeout: 60s", "{}").await
    }

    /// The same, with these further keys of the proxy, and these keys to sign with.
    pub(crate) async fn keyed(clock: Arc<ManualClock>, more: &str, keys: &str) -> Self {
        let app = App::start(|_| ok()).await;
        let upstream = app.address();
        let set = |sidecar: SidecarBuilder| sidecar.clock(clock);
        Self::built(app, upstream, [more, "", keys], set).await
    }

    /// The same, with these further keys of the cookie, after a comma.
    pub(crate) async fn of(app: App, upstream: SocketAddr, more: &str, cookie: &str) -> Self {
        Self::built(app, upstream, [more, cookie, "{}"], |sidecar| sidecar).await
    }

    async fn built(
        app: App,
        upstream: SocketAddr,
        [more, cookie, keys]: [&str; 3],
        set: impl FnOnce(SidecarBuilder) -> SidecarBuilder,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = POLICY
            .replace("UPSTREAM", &upstream.to_string())
            .replace("MORE", more)
            .replace("COOKIE", cookie)
            .replace("KEYS", keys);
        let path = folder.path().join("sidegate.yaml");
        std::fs::write(&path, policy).unwrap();
        for (name, token) in TOKENS {
            let mut options = std::fs::OpenOptions::new();
            let options = options.create(true).write(true).mode(0o600);
            let mut file = options.open(folder.path().join(name)).unwrap();
            file.write_all(token.as_bytes()).unwrap();
        }
        let bound = set(Sidecar::builder(path)).bind().await.unwrap();
        let addresses = &bound.addresses;
        let (Some(Address::Tcp(proxy)), Some(Address::Tcp(json)), Some(Address::Tcp(grpc))) = (
            addresses.proxy.clone(),
            addresses.http.first().cloned(),
            addresses.grpc.first().cloned(),
        ) else {
            panic!("TCP addresses were asked for");
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            bound.run(shutdown).await.unwrap();
        });
        Self {
            app,
            proxy,
            json,
            grpc,
            stop: Some(stop),
            _running: running,
            _folder: folder,
        }
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
        let answer = raw::exchange(self.proxy, &request, raw::DEADLINE).await;
        (answer.unwrap(), self.app.take())
    }

    /// Signs `u1` in; gives the cookie as a client sends it back.
    pub(crate) async fn sign_in(&self) -> String {
        let change = ("Sidegate-Session-Set", r#"{"subject":"u1"}"#);
        self.app
            .answer(move |request| writing(request, 200, change));
        let (answer, _) = self.ask("POST", "/login", &[]).await;
        assert_eq!((answer.status, &*answer.text()), (200, "from the app"));
        self.app.answer(|_| ok());
        cookie(&answer).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

fn ok() -> Reply {
    Reply::status(200).body("ok")
}

/// An answer that asks for a change, with the handle of its request and a cookie of the app's.
pub(crate) fn writing(request: &Request, status: u16, (name, value): (&str, &str)) -> Reply {
    Reply::status(status)
        .header("Set-Cookie", "own=1")
        .header("Cache-Control", "public")
        .header(
            "Sidegate-Call",
            request.header("sidegate-call").unwrap_or_default(),
        )
        .header(name, value)
        .body("from the app")
}

/// The session's cookie as a client sends it back.
pub(crate) fn cookie(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.all("set-cookie");
    let mut own = cookies.iter().rev();
    let own = own.find(|cookie| cookie.starts_with("__Host-session="))?;
    Some(own.split(';').next()?.to_owned())
}
