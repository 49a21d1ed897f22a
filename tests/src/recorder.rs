//! An app that records every request exactly as it was received, and answers as the test says.
//! It reads HTTP/1.1 itself: a library would lower the case of names, join lines and refuse what
//! a proxy let through.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::timeout,
};

pub mod reply;

pub use reply::Reply;

use cli::attack::wire::{self, Framing, Headers, latin1};

/// Of a body, this much is kept.
const BODY_KEPT: usize = 1024 * 1024;

/// How long a body may pause.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target, one character for each byte.
    pub target: String,
    /// The headers, in order and case.
    pub headers: Headers,
    /// The first MiB of the body, without its chunking.
    pub body: Vec<u8>,
    /// How many bytes the body had.
    pub body_length: u64,
    /// The trailers of a chunked body.
    pub trailers: Headers,
    /// Whether the body ended as announced.
    pub complete: bool,
    /// The lines of the head as they came, without their ends.
    pub head: Vec<Vec<u8>>,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

impl Request {
    /// The first value of a header, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.first(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the text occurs anywhere in the head or in the trailers: the way to say that no
    /// spoofed value reached the app, under whatever name.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        let in_head = self.head.iter().any(|line| latin1(line).contains(text));
        let trailers = self.trailers.lines().iter();
        in_head || trailers.into_iter().any(|(_, value)| value.contains(text))
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

struct Shared {
    script: Mutex<Arc<Script>>,
    requests: Mutex<Vec<Request>>,
    count: watch::Sender<usize>,
    connections: AtomicUsize,
    open: watch::Sender<usize>,
}

/// The app, while the test runs.
pub struct App {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Ends the listener and every connection when dropped.
    tasks: JoinSet<()>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("address", &self.address)
            .finish()
    }
}

impl App {
    /// Starts an app that answers every request by a script.
    ///
    /// # Panics
    ///
    /// Panics when no port is free.
    pub async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), script).await
    }

    /// Starts it at an address: an app that was stopped comes back where it was.
    ///
    /// # Panics
    ///
    /// Panics when the address is taken.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            open: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, shared.clone()));
        Self {
            address,
            shared,
            tasks,
        }
    }

    /// Starts an app that answers 200 with the text `ok`.
    pub async fn ok() -> Self {
        Self::start(|_| Reply::status(200).body("ok")).await
    }

    /// Ends it, as the death of an app would, and waits until its port is free.
    pub async fn stop(mut self) -> SocketAddr {
        self.tasks.shutdown().await;
        self.address
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a URL without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers by another script from now on.
    pub fn answer(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// What came so far, in the order in which the heads ended.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// What came since the last time this was asked.
    #[must_use]
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.shared.requests))
    }

    /// Waits until this many requests have come since the start.
    ///
    /// # Panics
    ///
    /// Panics when they do not come within 20 seconds.
    pub async fn received(&self, at_least: usize) {
        let mut count = self.shared.count.subscribe();
        let came = timeout(BODY_DEADLINE, count.wait_for(|count| *count >= at_least)).await;
        assert!(came.is_ok(), "the app waited for {at_least} requests");
    }

    /// How many connections were ever opened: keep-alive shows here.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until this many connections are open.
    ///
    /// # Panics
    ///
    /// Panics when that is not so within 20 seconds.
    pub async fn open_connections(&self, exactly: usize) {
        let mut open = self.shared.open.subscribe();
        let so = timeout(BODY_DEADLINE, open.wait_for(|open| *open == exactly)).await;
        assert!(so.is_ok(), "the app waited for {exactly} open connections");
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let shared = shared.clone();
        connections.spawn(async move {
            let number = shared.connections.fetch_add(1, Ordering::SeqCst);
            shared.open.send_modify(|open| *open += 1);
            serve(stream, number, &shared).await;
            shared.open.send_modify(|open| *open -= 1);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection until either side ends it.
async fn serve(stream: TcpStream, connection: usize, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(request) = read(&mut reader, &mut writer, connection).await {
        let keeps = keeps_alive(&request);
        let is_head = request.method == "HEAD";
        let script = lock(&shared.script).clone();
        let reply = script(&request);
        lock(&shared.requests).push(request);
        shared.count.send_modify(|count| *count += 1);
        let goes_on = reply.write(&mut reader, &mut writer, is_head).await;
        if !(goes_on && keeps) {
            break;
        }
    }
    let _ = writer.shutdown().await;
    // What is unread when a socket closes turns the close into a reset, which would lose an answer.
    let mut rest = [0; 4096];
    while let Ok(Ok(1..)) = timeout(Duration::from_millis(200), reader.read(&mut rest)).await {}
}

async fn read(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    connection: usize,
) -> Option<Request> {
    let head = wire::read_head(reader).await.ok()??;
    let first = latin1(head.first()?);
    let (method, rest) = first.split_once(' ').unwrap_or((&first, ""));
    let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
    let headers = Headers::parse(head.get(1..).unwrap_or_default());
    if headers
        .first("expect")
        .is_some_and(|it| it.eq_ignore_ascii_case("100-continue"))
    {
        let _ = writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    let (mut body, mut body_length) = (Vec::new(), 0);
    let mut keep = |piece: &[u8]| {
        body_length += piece.len() as u64;
        let room = BODY_KEPT - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
    };
    let framing = Framing::of_request(&headers);
    let end = wire::read_body(reader, framing, BODY_DEADLINE, &mut keep).await;
    let (trailers, complete) = end.unwrap_or_default();
    Some(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        body,
        body_length,
        trailers,
        complete,
        head,
        connection,
    })
}

fn keeps_alive(request: &Request) -> bool {
    let asked = request.header("connection").unwrap_or_default();
    request.complete && !asked.to_ascii_lowercase().contains("close")
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
