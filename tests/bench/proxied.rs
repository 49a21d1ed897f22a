//! An app that answers at once, and a client of HTTP/1.1 that asks for it through some proxy.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What every answer of the app ends with.
const BODY: &str = "the copy of the book is gone";

/// Serves the app on a free port, which goes to stdout.
pub(crate) async fn upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("grpc {}", listener.local_addr().unwrap());
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let answer: Rc<str> = answer.into();
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let answer = Rc::clone(&answer);
            tokio::task::spawn_local(answer_all(stream, answer));
        }
    };
    crate::load::local(serve).await
}

async fn answer_all(mut stream: TcpStream, answer: Rc<str>) {
    let mut read = Vec::with_capacity(4096);
    while stream
        .read_buf(&mut read)
        .await
        .is_ok_and(|count| count > 0)
    {
        if read.ends_with(b"\r\n\r\n") {
            read.clear();
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// The request of a reader with this cookie.
pub(crate) fn request(cookie: &str) -> Vec<u8> {
    format!(
        "DELETE /books/b1?from=catalogue&page=3 HTTP/1.1\r\nHost: shop.example.com\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-GB,en;q=0.5\r\n\
         Sec-Fetch-Site: same-origin\r\nX-Request-Id: c-7f3a9c52e1\r\n\
         Cookie: theme=dark; locale=en-GB; {cookie}\r\n\r\n"
    )
    .into_bytes()
}

/// A kept connection to a proxy.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::with_capacity(4096),
        }
    }

    /// Asks once, and says how long it took.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Duration {
        let began = Instant::now();
        self.stream.write_all(request).await.unwrap();
        self.read.clear();
        while !self.read.ends_with(BODY.as_bytes()) {
            let count = self.stream.read_buf(&mut self.read).await.unwrap();
            let is_good = self.read.len() < 12 || self.read.starts_with(b"HTTP/1.1 200");
            let text = || String::from_utf8_lossy(&self.read);
            assert!(count > 0 && is_good, "no answer of the app: {}", text());
        }
        began.elapsed()
    }
}

/// So many kept connections to a proxy.
pub(crate) async fn connect(address: &str, connections: usize) -> Vec<Client> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(address).await);
    }
    clients
}

/// Asks `total` times over these connections at once, with the next of these requests each time.
pub(crate) async fn run(
    clients: Vec<Client>,
    total: usize,
    next: &Rc<dyn Fn() -> Rc<[u8]>>,
) -> Vec<Client> {
    let left = Rc::new(Cell::new(total));
    let tasks = clients.into_iter().map(|mut client| {
        let (left, next) = (Rc::clone(&left), Rc::clone(next));
        tokio::task::spawn_local(async move {
            while left.get() > 0 {
                left.set(left.get() - 1);
                client.ask(&next()).await;
            }
            client
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut clients = Vec::with_capacity(tasks.len());
    for task in tasks {
        clients.push(task.await.unwrap());
    }
    clients
}
