//! An app, and a sidecar with its proxy in front of it.

use std::net::SocketAddr;

use auth_core::policy::settings::Address;
use harness::{
    raw::{self, Answer},
    recorder::{App, Reply, Request},
};
use sidecar::{Sidecar, edge::lasting::Rhythm};
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
callers:
  edge: { uid: 4711, may: [ authorize, session.self, peer.assert ], sign_in: [ local ], claims: [ role ] }
strategies:
  - bearer: { opaque: true }
  - peer: { as: session }
  - api_key: { header: x-api-key }
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
  login: { session: optional, writes: sign_in, http: POST /login }
  theme: { writes: attributes, http: POST /theme }
  logout: { http: POST /logout }
  me: { http: GET /me }
  public: { session: optional, http: [ "GET /public/**", "HEAD /public/**", "POST /public/**" ] }
  admin: { require: is_admin, http: "GET /admin/**" }
  buy: { session: none, grpc: shop.Books/Buy }
  note: { session: none, require: is_short, data: { note: { type: string } }, http: POST /note }
  order: { session: none, require: is_few, data: { count: { type: int }, gift: { type: bool } }, http: POST /order }
"#;

/// All of it, running.
pub(crate) struct Scene {
    pub(crate) app: App,
    pub(crate) proxy: SocketAddr,
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
        Self::built(app, upstream, ["timeout: 60s", ""], rhythm).await
    }

    /// The same, with these further keys of the cookie, after a comma.
    pub(crate) async fn of(app: App, upstream: SocketAddr, more: &str, cookie: &str) -> Self {
        Self::built(app, upstream, [more, cookie], Rhythm::default()).await
    }

    async fn built(
        app: App,
        upstream: SocketAddr,
        [more, cookie]: [&str; 2],
        rhythm: Rhythm,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = POLICY
            .replace("UPSTREAM", &upstream.to_string())
            .replace("MORE", more)
            .replace("COOKIE", cookie);
        let path = folder.path().join("sidegate.yaml");
        std::fs::write(&path, policy).unwrap();
        let bound = Sidecar::builder(path).rhythm(rhythm).bind().await.unwrap();
        let Some(Address::Tcp(proxy)) = bound.addresses.proxy.clone() else {
            panic!("a TCP address was asked for");
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
