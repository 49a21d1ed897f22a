//! Clients and apps that break off, never end, or send more than anybody should.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use harness::{
    daemon::Daemon,
    raw::{self, Connection, NoAnswer},
    real::ports::Port,
    recorder::{App, Reply},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    frames::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame},
    scene::Scene,
};

const HEAD: &str = "Host: books.example\r\n";
/// Longer than the ten seconds that a header may take.
const CUT_BY: Duration = Duration::from_secs(20);

/// Sends a start, then a piece every now and then, until the other side has had enough. Gives how
/// long that took.
async fn trickle(scene: &Scene, start: &[u8], piece: &[u8]) -> Duration {
    let began = Instant::now();
    let mut client = TcpStream::connect(scene.proxy).await.unwrap();
    client.write_all(start).await.unwrap();
    let mut came = [0; 1024];
    while began.elapsed() < CUT_BY {
        let read = tokio::time::timeout(Duration::from_millis(100), client.read(&mut came));
        match read.await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) => {
                // A failed write shows the end too, and the next read says so.
                let _ = client.write_all(piece).await;
            }
        }
    }
    began.elapsed()
}

#[tokio::test]
async fn h13_who_trickles_a_header_is_cut_while_others_are_served() {
    let scene = Scene::start().await;
    let line = format!("GET /public/x HTTP/1.1\r\n{HEAD}X-Long: ");
    let first = line.split_at(9).0;
    let others = async {
        for _ in 0..20 {
            let (answer, _) = scene.ask("GET", "/public/x", &[]).await;
            assert_eq!(answer.status, 200);
        }
    };
    let (in_a_value, in_the_line, ()) = tokio::join!(
        trickle(&scene, line.as_bytes(), b"x"),
        trickle(&scene, first.as_bytes(), b"x"),
        others
    );
    for took in [in_a_value, in_the_line] {
        assert!(took < CUT_BY, "{took:?}");
    }
    assert!(scene.app.take().is_empty());
}

#[tokio::test]
async fn h13_who_says_nothing_or_half_a_preface_is_cut() {
    let scene = Scene::start().await;
    let (silent, preface) = tokio::join!(
        trickle(&scene, b"", b""),
        trickle(&scene, b"PRI * HTTP/2.0\r\n", b""),
    );
    for took in [silent, preface] {
        assert!(took < CUT_BY, "{took:?}");
    }
}

/// Sends frames after the preface until the other side takes no more or these are all; then waits
/// for its end or its answer. Gives how many bytes it took.
async fn flood(scene: &Scene, frames: impl Iterator<Item = Vec<u8>>) -> usize {
    let stream = TcpStream::connect(scene.proxy).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let drain = tokio::spawn(async move {
        let mut came = Vec::new();
        let read = reader.read_to_end(&mut came);
        let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
    });
    let mut sent = 0;
    let start = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, b"")];
    for bytes in start.into_iter().chain(frames) {
        if writer.write_all(&bytes).await.is_err() {
            break;
        }
        sent += bytes.len();
    }
    drain.await.unwrap();
    sent
}

#[tokio::test]
async fn h13_a_flood_of_continuations_and_a_bomb_of_references_end_early() {
    let scene = Scene::start().await;
    // `:method GET`, `:scheme http` and `:path /`, as HPACK has them.
    let first = frame(HEADERS, 0, 1, &[0x82, 0x86, 0x84]);
    // `x: ` and 4000 bytes, never indexed, without an end.
    let mut field = vec![0x10, 1, b'x', 0x7f];
    field.extend([0xa1, 0x1e]);
    field.extend([b'a'; 4000]);
    let more = std::iter::repeat_with(|| frame(CONTINUATION, 0, 1, &field)).take(16 * 1024);
    let sent = flood(&scene, std::iter::once(first).chain(more)).await;
    assert!(
        sent < 32 * 1024 * 1024,
        "{sent} bytes of one header were taken"
    );
    // The same field put into the table, and then named by one byte each.
    let mut bomb = vec![0x82, 0x86, 0x84, 0x40, 1, b'x', 0x7f, 0xa1, 0x1e];
    bomb.extend([b'a'; 4000]);
    bomb.extend([0xbe; 10_000]);
    let bomb = frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
    flood(&scene, std::iter::once(bomb)).await;
    let (answer, reached) = scene.ask("GET", "/public/x", &[]).await;
    assert_eq!((answer.status, reached.len()), (200, 1), "and nothing else");
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_whole_for_the_app() {
    let scene = Scene::start().await;
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
        let request = format!("POST /public/x HTTP/1.1\r\n{HEAD}{framing}\r\n\r\n4\r\nhalf\r\n");
        client.send(request.as_bytes()).await.unwrap();
        let before = scene.app.connections();
        drop(client);
        let (answer, _) = scene.ask("GET", "/public/next", &[]).await;
        assert_eq!(answer.status, 200, "{framing}, after {before} connections");
        scene.app.open_connections(1).await;
        for request in scene.app.take() {
            let is_next = request.target == "/public/next";
            assert_eq!(request.complete, is_next, "{framing} {request:?}");
        }
    }
}

#[tokio::test]
async fn an_app_that_dies_in_the_middle_of_an_upload_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let scene = Scene::before(App::ok().await, upstream, "timeout: 20s").await;
    let mut client = Connection::open(scene.proxy, raw::DEADLINE).await.unwrap();
    let request = format!("POST /public/x HTTP/1.1\r\n{HEAD}Content-Length: 1000000\r\n\r\nsome");
    client.send(request.as_bytes()).await.unwrap();
    let (mut app, _) = listener.accept().await.unwrap();
    assert!(app.read(&mut [0; 16]).await.unwrap() > 0);
    drop((app, listener));
    assert_eq!(client.head().await.unwrap().status, 502);
}

#[tokio::test]
async fn trailers_of_an_answer_reach_a_client_that_takes_them() {
    let scene = Scene::start().await;
    scene.app.answer(|_| {
        Reply::bytes(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Checksum, Sidegate-Session-Set\r\n\r\n2\r\nab\r\n0\r\n\
             X-Checksum: 1\r\nSidegate-Session-Set: {}\r\n\r\n",
        )
    });
    let takes = [("TE", "trailers"), ("Connection", "TE")];
    let (answer, _) = scene.ask("GET", "/public/x", &takes).await;
    assert_eq!((answer.complete, &*answer.text()), (true, "ab"));
    assert_eq!(answer.trailers.all("x-checksum"), ["1"]);
    assert_eq!(answer.trailers.lines().len(), 1, "{:?}", answer.trailers);
    let (answer, _) = scene.ask("GET", "/public/x", &[]).await;
    assert_eq!((answer.complete, &*answer.text()), (true, "ab"));
    assert!(answer.trailers.lines().is_empty(), "nobody asked for them");
}

/// A Sidegate in a process of its own, so that its memory is its own.
struct Process {
    daemon: Daemon,
    proxy: Port,
    _folder: tempfile::TempDir,
}

impl Process {
    async fn start(app: &App) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proxy = Port::free();
        let policy = format!(
            "listen:\n  grpc: 127.0.0.1:0\n  http: 127.0.0.1:0\n  telemetry: 127.0.0.1:0\n  \
             admin: unix:./admin.sock\n  proxy: {{ address: \"{}\", upstream: \
             \"{}\", caller: edge }}\nstore: {{ memory: {{}} }}\ncallers:\n  edge: {{ uid: 4711, \
             may: [ authorize ] }}\napp: shop\nhosts: [ books.example ]\noperations:\n  public: \
             {{ session: none, http: [ \"GET /public/**\", \"POST /public/**\" ] }}\n",
            proxy.address(),
            app.url()
        );
        std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_sidegate-under-test"));
        let started = Self {
            daemon: Daemon::start(program, folder.path()),
            proxy,
            _folder: folder,
        };
        let deadline = Instant::now() + raw::DEADLINE;
        while started.get("/public/x").await.is_err() {
            assert!(Instant::now() < deadline, "it does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        started
    }

    async fn get(&self, target: &str) -> Result<raw::Answer, NoAnswer> {
        let request = raw::request("GET", target, "books.example", &[], b"");
        raw::exchange(self.proxy.address(), &request, raw::DEADLINE).await
    }

    /// The most that it ever had in memory, in bytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes: u64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
        kilobytes * 1024
    }

    /// Sends this many bytes up, and gives how many the app saw.
    async fn upload(&self, app: &App, length: u64) -> u64 {
        let mut client = Connection::open(self.proxy.address(), raw::DEADLINE)
            .await
            .unwrap();
        let request = format!("POST /public/x HTTP/1.1\r\n{HEAD}Content-Length: {length}\r\n\r\n");
        client.send(request.as_bytes()).await.unwrap();
        let piece = vec![0; 1024 * 1024];
        for _ in 0..length / piece.len() as u64 {
            client.send(&piece).await.unwrap();
        }
        assert_eq!(client.head().await.unwrap().status, 200);
        app.take().pop().unwrap().body_length
    }

    /// Receives what the app sends, and gives how many bytes that were.
    async fn download(&self) -> u64 {
        let mut client = Connection::open(self.proxy.address(), raw::DEADLINE)
            .await
            .unwrap();
        let request = format!("GET /public/big HTTP/1.1\r\n{HEAD}\r\n");
        client.send(request.as_bytes()).await.unwrap();
        let head = client.head().await.unwrap();
        let mut length = 0;
        let count = |piece: &[u8]| length += piece.len() as u64;
        let (_, complete) = client.body(&head, false, count).await.unwrap();
        assert!(complete);
        length
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_each_way_takes_no_more_memory_than_a_few_pieces() {
    const GIBIBYTE: u64 = 1024 * 1024 * 1024;
    const MORE: u64 = 16 * 1024 * 1024;
    let app = App::start(|request| match &*request.target {
        "/public/big" => Reply::status(200).zeros(GIBIBYTE),
        _ => Reply::status(200).body("ok"),
    })
    .await;
    let process = Process::start(&app).await;
    let before = process.resident();
    assert_eq!(process.download().await, GIBIBYTE);
    assert_eq!(process.upload(&app, GIBIBYTE).await, GIBIBYTE);
    let grown = process.resident() - before;
    assert!(grown < MORE, "the peak grew by {grown} bytes");
}
