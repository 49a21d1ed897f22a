//! An app behind the edges, which answers as the test says: well, badly, or not at all.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What the app answers to a request with this head; nothing of it is checked.
type Script = dyn Fn(&Head) -> Vec<u8> + Send + Sync;

/// The head of a request.
pub(super) struct Head(String);

impl Head {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> &str {
        let fields = self.0.lines().filter_map(|line| line.split_once(": "));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map_or("", |(_, value)| value)
    }

    fn length(&self) -> usize {
        self.header("content-length").parse().unwrap_or_default()
    }
}

/// What the app was told, which is secret.
#[derive(Default)]
pub(super) struct Told {
    /// The handles of calls.
    pub(super) calls: Vec<String>,
    /// The signed statements.
    pub(super) statements: Vec<String>,
}

/// The app. It is gone when this is dropped.
pub(super) struct App {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<Arc<Script>>>,
    pub(super) told: Arc<Mutex<Told>>,
    tasks: JoinSet<()>,
}

impl App {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(|_| Vec::new())));
        let told = Arc::<Mutex<Told>>::default();
        let mut tasks = JoinSet::new();
        let (scripts, tells) = (Arc::clone(&script), Arc::clone(&told));
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&scripts), Arc::clone(&tells)));
            }
        });
        Self {
            address,
            script,
            told,
            tasks,
        }
    }

    /// Answers like this from now on.
    pub(super) fn answer(&self, script: impl Fn(&Head) -> Vec<u8> + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Ends it, and gives what it was told.
    pub(super) async fn stop(mut self) -> Told {
        self.tasks.shutdown().await;
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// Serves one request, and closes.
async fn serve(mut stream: TcpStream, script: Arc<Mutex<Arc<Script>>>, told: Arc<Mutex<Told>>) {
    let mut read = Vec::new();
    let head = loop {
        let mut piece = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut piece).await else {
            return;
        };
        read.extend_from_slice(&piece[..count]);
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = Head(String::from_utf8_lossy(&read[..end]).into_owned());
        if read.len() - end - 4 >= head.length() {
            break head;
        }
    };
    {
        let mut told = told.lock().unwrap();
        told.calls.push(head.header("sidegate-call").to_owned());
        let statement = head.header("sidegate-assertion");
        told.statements.push(statement.to_owned());
    }
    let script = script.lock().unwrap().clone();
    let _ = stream.write_all(&script(&head)).await;
    let _ = stream.shutdown().await;
}

/// A whole answer with these header lines, which echoes the handle of its request.
pub(super) fn echoing(head: &Head, status: &str, fields: &str) -> Vec<u8> {
    let call = head.header("sidegate-call");
    whole(status, &format!("sidegate-call: {call}\r\n{fields}"))
}

/// A whole answer with these header lines.
pub(super) fn whole(status: &str, fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 2\r\n{fields}\r\nok").into()
}
