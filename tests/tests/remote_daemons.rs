//! An edge in a process of its own, whose decisions another process makes (`decide.remote`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::Command,
    sync::Mutex,
    time::Duration,
};

use bytes::Bytes;
use harness::{
    daemon::Daemon,
    grpc_app::{self, GrpcApp, Where},
    raw::{self, Answer, Connection},
    real::ports::Port,
    recorder::{App, Reply, Request},
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidegate-under-test");
const HOST: &str = "books.example";

/// The process that keeps the sessions and decides.
fn decider(folder: &Path, grpc: &Port) {
    let policy = format!(
        r#"
listen: {{ grpc: "{grpc}", http: 127.0.0.1:0, telemetry: 127.0.0.1:0, admin: "unix:./admin.sock" }}
callers:
  edge: {{ token_file: edge.token, may: [ authorize, session.self ], sign_in: [ local ], claims: [ role ] }}
strategies: [ {{ bearer: {{ opaque: true }} }}, {{ cookie: {{ name: __Host-session }} }} ]
app: shop
claims: {{ role: string }}
hosts: [ {HOST} ]
checks: {{ is_admin: session.claims.role == "admin", is_small: data.amount < 10 }}
operations:
  login: {{ session: optional, writes: sign_in, http: POST /login, grpc: books.v1.Users/Login }}
  me: {{ http: GET /me, grpc: books.v1.Users/Get }}
  admin: {{ require: is_admin, http: GET /admin }}
  public: {{ session: none, http: GET /public }}
  send:
    require: is_small
    data: {{ amount: {{ type: int }} }}
    grpc: books.v1.Users/Send
"#,
        grpc = grpc.address()
    );
    fs::write(folder.join("sidegate.yaml"), policy).unwrap();
}

/// The process that stands before the app.
fn edge(folder: &Path, grpc: &Port, proxy: &Port, telemetry: &Port, app: SocketAddr) {
    let policy = format!(
        r#"
decide: {{ remote: {{ address: "{}", token_file: edge.token }} }}
listen:
  telemetry: "{}"
  admin: "unix:./admin.sock"
  proxy: {{ address: "{}", upstream: "{}", caller: front }}
callers: {{ front: {{ uid: 4711, may: [ authorize, session.self ] }} }}
"#,
        grpc.address(),
        telemetry.address(),
        proxy.address(),
        format_args!("http://{app}")
    );
    fs::write(folder.join("sidegate.yaml"), policy).unwrap();
}

fn token(folder: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(folder.join("edge.token"))
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

struct Scene {
    app: App,
    proxy: Port,
    telemetry: Port,
    decider: Option<Daemon>,
    edge: Daemon,
    folders: [TempDir; 2],
    /// Nobody else is given the decider's port while it is away.
    _grpc: Port,
}

impl Scene {
    /// Both run; the edge has the token `edge_token`.
    async fn start(edge_token: &str) -> Self {
        Self::before(edge_token, None).await
    }

    /// The same, before this app.
    async fn before(edge_token: &str, upstream: Option<SocketAddr>) -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [behind, before] = [folders[0].path(), folders[1].path()];
        let (grpc, proxy, telemetry) = (Port::free(), Port::free(), Port::free());
        let app = App::ok().await;
        token(behind, TOKEN);
        token(before, edge_token);
        decider(behind, &grpc);
        let upstream = upstream.unwrap_or(app.address());
        edge(before, &grpc, &proxy, &telemetry, upstream);
        Self {
            decider: Some(Daemon::start(Path::new(PROGRAM), behind)),
            edge: Daemon::start(Path::new(PROGRAM), before),
            app,
            proxy,
            telemetry,
            folders,
            _grpc: grpc,
        }
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let request = raw::request(method, target, HOST, headers, b"");
        let answer = raw::exchange(self.proxy.address(), &request, raw::DEADLINE).await;
        answer.unwrap()
    }

    /// Waits until `/readyz` of the edge answers so, and gives its text.
    async fn ready(&self, status: u16) -> String {
        self.edge.readyz(self.telemetry.address(), status).await
    }

    /// Waits until `sidegate health` of the edge says so.
    async fn healthy(&self, expected: bool) {
        let deadline = Instant::now() + raw::DEADLINE;
        let is_healthy = || {
            let ran = Command::new(PROGRAM)
                .args(["health", "--addr", "unix:./admin.sock"])
                .current_dir(self.folders[1].path())
                .output();
            ran.unwrap().status.success()
        };
        while is_healthy() != expected {
            assert!(Instant::now() < deadline, "{}", self.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the logs of the two say this, and gives them.
    async fn says(&self, wanted: &str) -> String {
        let deadline = Instant::now() + raw::DEADLINE;
        loop {
            let said = self.logs();
            if said.contains(wanted) {
                return said;
            }
            assert!(Instant::now() < deadline, "{said}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the two have logged.
    fn logs(&self) -> String {
        let logs = self.folders.iter().map(|folder| folder.path().join("log"));
        logs.map(|log| fs::read_to_string(log).unwrap_or_default())
            .collect()
    }

    /// Signs `u1` in as the app would.
    async fn sign_in(&self) -> String {
        self.app.answer(|request: &Request| {
            let call = request.header("sidegate-call").unwrap_or_default();
            Reply::status(200)
                .header("Sidegate-Call", call)
                .header("Sidegate-Session-Set", r#"{"subject":"u1"}"#)
        });
        let answer = self.ask("POST", "/login", &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.app.answer(|_| Reply::status(200).body("ok"));
        let cookie = answer.header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Runs `sidegate` as the decider's operator.
    fn sidegate(&self, words: &[&str]) {
        let ran = Command::new(PROGRAM)
            .args(words)
            .args(["--data-dir", "data", "--addr", "unix:./admin.sock"])
            .current_dir(self.folders[0].path())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{errors}");
    }
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn the_edge_signs_in_decides_and_forgets_by_the_other_process() {
    let scene = Scene::start(TOKEN).await;
    scene.ready(200).await;
    assert_eq!(scene.ask("GET", "/public", &[]).await.status, 200);
    assert_eq!(scene.ask("GET", "/me", &[]).await.status, 401);
    let cookie = scene.sign_in().await;
    let held = [("Cookie", &*cookie)];
    let _ = scene.app.take();
    assert_eq!(scene.ask("GET", "/me", &held).await.status, 200);
    let seen = scene.app.take();
    assert_eq!(seen[0].header("sidegate-subject"), Some("u1"));
    let denied = scene.ask("GET", "/admin", &held).await;
    assert_eq!(denied.status, 403);
    assert_eq!(denied.json()["reason"], "requirement_failed");
    scene.sidegate(&["session", "revoke", "--subject", "u1"]);
    assert_eq!(scene.ask("GET", "/me", &held).await.status, 401);
}

#[tokio::test]
async fn r24_an_edge_tells_what_it_cannot_supply_to_the_checks_of_the_other_process() {
    let scene = Scene::start(TOKEN).await;
    let said = scene.says("never comes by this edge").await;
    for part in [
        "listen.proxy",
        "send",
        "amount",
        "`without_message: [ send ]`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn r11_a_grpc_app_writes_by_the_other_process() {
    let app = GrpcApp::start().await;
    let scene = Scene::before(TOKEN, Some(app.address)).await;
    scene.ready(200).await;
    let call = async |method: &str, headers: &[(&str, &str)]| {
        let path = format!("/books.v1.Users/{method}");
        grpc_app::call(scene.proxy.address(), &path, headers).await
    };
    let sign_in = ("sidegate-session-set", r#"{"subject":"u1"}"#);
    app.plan(Where::Trailers, "0", Some(sign_in));
    let signed_in = call("Login", &[]).await;
    assert_eq!(signed_in.status(), "0", "{}", scene.logs());
    let bearer = format!("Bearer {}", signed_in.token().unwrap());
    app.plan(Where::Trailers, "0", None);
    let own = [("authorization", &*bearer)];
    assert_eq!(call("Get", &own).await.status(), "0", "{}", scene.logs());
    scene.sidegate(&["session", "revoke", "--subject", "u1"]);
    assert_eq!(call("Get", &own).await.status(), "16", "{}", scene.logs());
}

/// With the rhythm that a process has by itself: five seconds.
#[tokio::test]
async fn r17_an_open_stream_ends_when_the_other_process_revokes_its_session() {
    let scene = Scene::start(TOKEN).await;
    scene.ready(200).await;
    let cookie = scene.sign_in().await;
    let (piece, pieces) = mpsc::unbounded_channel();
    let pieces = Mutex::new(Some(pieces));
    scene
        .app
        .answer(move |_| Reply::events(pieces.lock().unwrap().take().unwrap()));
    let mut client = Connection::open(scene.proxy.address(), raw::DEADLINE)
        .await
        .unwrap();
    let request = format!("GET /me HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n");
    client.send(request.as_bytes()).await.unwrap();
    piece.send(Bytes::from_static(b"data: 1\n\n")).unwrap();
    let head = client.head().await.unwrap();
    scene.sidegate(&["session", "revoke", "--subject", "u1"]);
    let (_, is_whole) = client.body(&head, false, |_| {}).await.unwrap();
    assert!(!is_whole, "{}", scene.logs());
}

#[tokio::test]
async fn an_edge_without_its_decider_is_not_ready_and_lets_nobody_through() {
    let mut scene = Scene::start(TOKEN).await;
    scene.ready(200).await;
    let cookie = scene.sign_in().await;
    let held = [("Cookie", &*cookie)];
    drop(scene.decider.take());
    let said = scene.ready(503).await;
    assert!(said.contains("[-]decide.remote failed"), "{said}");
    assert!(said.contains("[+]store ok"), "{said}");
    scene.healthy(false).await;
    let _ = scene.app.take();
    for target in ["/me", "/public", "/admin"] {
        let refused = scene.ask("GET", target, &held).await;
        assert_eq!(refused.status, 503, "{target}");
    }
    assert!(scene.app.take().is_empty(), "nothing reaches the app");
    let folder = scene.folders[0].path();
    scene.decider = Some(Daemon::start(Path::new(PROGRAM), folder));
    scene.ready(200).await;
    scene.healthy(true).await;
    assert_eq!(scene.ask("GET", "/me", &held).await.status, 200);
}

#[tokio::test]
async fn an_edge_with_a_wrong_token_is_not_ready_and_lets_nobody_through() {
    let scene = Scene::start("ffffffffffffffffffffffffffffffff").await;
    let said = scene.ready(503).await;
    assert!(said.contains("[-]decide.remote failed"), "{said}");
    assert_eq!(scene.ask("GET", "/public", &[]).await.status, 503);
    assert!(scene.app.take().is_empty(), "nothing reaches the app");
    scene.healthy(false).await;
    // Until it listens, it "cannot be reached".
    let said = scene.says("knows no caller by the token").await;
    assert!(said.contains("edge.token"), "{said}");
}
