//! The app of an attack: it stands behind the proxy, serves the proof, and remembers every request
//! exactly as it came. It reads HTTP/1.1 itself: a library would lower the case of names, join
//! lines and refuse what the proxy let through.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    task::JoinSet,
    time::timeout,
};

use super::{
    judge::{Asked, Seen, Witness},
    wire::{self, Framing, Headers, latin1},
};

/// How long a body may pause.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

/// The app, for as long as it is kept.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Ends the listener and its connections when dropped.
    _tasks: JoinSet<()>,
}

impl App {
    /// Listens at this address and answers every request with this text.
    ///
    /// # Errors
    ///
    /// Returns the error of the system when the address cannot be listened on.
    pub async fn start(address: SocketAddr, proof: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, proof.into(), Arc::clone(&seen)));
        Ok(Self {
            address,
            seen,
            _tasks: tasks,
        })
    }

    /// Where it listens; the port is the real one.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Witness for App {
    fn reached(&self, _asked: Asked<'_>) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn listen(listener: TcpListener, proof: Arc<str>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut connections = JoinSet::new();
    // Whoever cannot be accepted is not heard; the next may be.
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&proof), Arc::clone(&seen)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection until either side ends it.
async fn serve(stream: TcpStream, proof: Arc<str>, seen: Arc<Mutex<Vec<Seen>>>) {
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Ok(Some(lines)) = wire::read_head(&mut reader).await {
        let mut request = head(&lines);
        if is(&request, "expect", "100-continue") {
            let _ = writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        let framing = Framing::of_request(&request.headers);
        let end = wire::read_body(&mut reader, framing, BODY_DEADLINE, &mut |_| {}).await;
        let (trailers, complete) = end.unwrap_or_default();
        let goes_on = complete && !is(&request, "connection", "close");
        let is_head = request.method == "HEAD";
        request.trailers = trailers;
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        if !answer(&mut writer, &proof, is_head, goes_on).await || !goes_on {
            break;
        }
    }
    let _ = writer.shutdown().await;
    // What is unread when a socket closes turns the close into a reset, which would lose an answer.
    let mut rest = [0; 4096];
    while let Ok(Ok(1..)) = timeout(Duration::from_millis(200), reader.read(&mut rest)).await {}
}

fn head(lines: &[Vec<u8>]) -> Seen {
    let first = latin1(lines.first().map(Vec::as_slice).unwrap_or_default());
    let (method, rest) = first.split_once(' ').unwrap_or((&first, ""));
    let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
    Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: Headers::parse(lines.get(1..).unwrap_or_default()),
        trailers: Headers::default(),
    }
}

fn is(request: &Seen, name: &str, value: &str) -> bool {
    let said = request.headers.first(name).unwrap_or_default();
    said.to_ascii_lowercase().contains(value)
}

async fn answer(writer: &mut OwnedWriteHalf, proof: &str, is_head: bool, keeps: bool) -> bool {
    let connection = if keeps { "keep-alive" } else { "close" };
    let body = if is_head { "" } else { proof };
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n\
         Content-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        proof.len()
    );
    writer.write_all(text.as_bytes()).await.is_ok()
}

/// A witness that sees answers only: a request whose answer holds the proof has reached the app.
#[derive(Clone, Debug)]
pub struct Answers {
    proof: String,
}

impl Answers {
    /// Knows the app by this text in its answers.
    #[must_use]
    pub fn with(proof: &str) -> Self {
        Self {
            proof: proof.to_owned(),
        }
    }
}

impl Witness for Answers {
    fn reached(&self, asked: Asked<'_>) -> Vec<Seen> {
        let holds = |text: &str| text.contains(&self.proof);
        let proven = asked.answer.is_some_and(|answer| holds(&answer.text()));
        let seen = proven.then(|| Seen {
            method: asked.method.to_owned(),
            // What stands behind `#` the app need not have seen.
            target: asked
                .target
                .split('#')
                .next()
                .unwrap_or_default()
                .to_owned(),
            ..Seen::default()
        });
        Vec::from_iter(seen)
    }
}
