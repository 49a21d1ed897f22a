//! A client that sends exactly the bytes it is given, and reads what comes back with a deadline.
//! Hostile requests need one: every HTTP library refuses to write them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{self as aio, AsyncReadExt as _, AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::wire::{self, Framing, Headers, latin1};

/// How long a client waits where nobody names a deadline. Long enough for a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nobody listens.
    Refused(io::Error),
    /// The other side closed or reset the connection first. Holds what had come by then.
    Closed(Vec<u8>),
    /// The deadline passed, or more than 64 KiB came where a head should end.
    TimedOut,
    /// What came is no HTTP/1 answer.
    Malformed(String),
}

/// The first line and the headers of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The headers, in order, as they were written.
    pub headers: Headers,
}

/// One whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, in order, as they were written.
    pub headers: Headers,
    /// The body, without its chunking.
    pub body: Vec<u8>,
    /// The trailers of a chunked body.
    pub trailers: Headers,
    /// Whether the body ended as it was announced. False where the connection broke before.
    pub complete: bool,
}

impl Answer {
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

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What carries the bytes.
pub type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connection that stays open between exchanges.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    deadline: Duration,
}

impl Connection {
    /// Connects; every later step must end within the deadline.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::Refused`] or [`NoAnswer::TimedOut`].
    pub async fn open(address: SocketAddr, deadline: Duration) -> Result<Self, NoAnswer> {
        let stream = timeout(deadline, TcpStream::connect(address))
            .await
            .map_err(|_| NoAnswer::TimedOut)?
            .map_err(NoAnswer::Refused)?;
        let _ = stream.set_nodelay(true);
        Ok(Self::on(Either::Left(stream), deadline))
    }

    /// The same, from this address of this machine.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::Refused`] or [`NoAnswer::TimedOut`].
    pub async fn open_from(
        own: Ipv4Addr,
        address: SocketAddr,
        deadline: Duration,
    ) -> Result<Self, NoAnswer> {
        let connecting = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((own, 0).into())?;
            socket.connect(address).await
        };
        let stream = timeout(deadline, connecting)
            .await
            .map_err(|_| NoAnswer::TimedOut)?
            .map_err(NoAnswer::Refused)?;
        let _ = stream.set_nodelay(true);
        Ok(Self::on(Either::Left(stream), deadline))
    }

    /// Talks over this stream.
    #[must_use]
    pub fn on(stream: Stream, deadline: Duration) -> Self {
        let (reader, writer) = aio::split(stream);
        Self {
            reader: BufReader::new(reader),
            writer,
            deadline,
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::Closed`] when the other side takes no more, [`NoAnswer::TimedOut`] when it does
    /// not read.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), NoAnswer> {
        timeout(self.deadline, self.writer.write_all(bytes))
            .await
            .map_err(|_| NoAnswer::TimedOut)?
            .map_err(|_| NoAnswer::Closed(Vec::new()))
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub async fn finish(&mut self) {
        let _ = self.writer.shutdown().await;
    }

    /// Reads the head of the next answer; interim answers except 101 are passed over.
    ///
    /// # Errors
    ///
    /// Every [`NoAnswer`] but `Refused`.
    pub async fn head(&mut self) -> Result<Head, NoAnswer> {
        loop {
            let lines = timeout(self.deadline, wire::read_head(&mut self.reader))
                .await
                .map_err(|_| NoAnswer::TimedOut)?;
            let lines = match lines {
                Ok(Some(lines)) => lines,
                Ok(None) => return Err(NoAnswer::Closed(Vec::new())),
                Err(wire::HeadError::Closed(bytes)) => return Err(NoAnswer::Closed(bytes)),
                Err(wire::HeadError::TooLong) => return Err(NoAnswer::TimedOut),
            };
            let head = head_of(&lines)?;
            if head.status >= 200 || head.status == 101 {
                return Ok(head);
            }
        }
    }

    /// Reads the body that belongs to a head, piece by piece, and gives its trailers and whether
    /// it ended as announced.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::TimedOut`] when no byte came within the deadline.
    pub async fn body(
        &mut self,
        head: &Head,
        to_head_request: bool,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(Headers, bool), NoAnswer> {
        let framing = Framing::of_answer(head.status, &head.headers, to_head_request);
        wire::read_body(&mut self.reader, framing, self.deadline, &mut sink)
            .await
            .ok_or(NoAnswer::TimedOut)
    }

    /// Reads one whole answer.
    ///
    /// # Errors
    ///
    /// Every [`NoAnswer`] but `Refused`.
    pub async fn answer(&mut self, to_head_request: bool) -> Result<Answer, NoAnswer> {
        let head = self.head().await?;
        let mut body = Vec::new();
        let (trailers, complete) = self
            .body(&head, to_head_request, |piece| {
                body.extend_from_slice(piece);
            })
            .await?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            trailers,
            complete,
        })
    }

    /// Sends one request, reads its answer, and closes.
    ///
    /// # Errors
    ///
    /// Every [`NoAnswer`] but `Refused`.
    pub async fn exchange(mut self, request: &[u8]) -> Result<Answer, NoAnswer> {
        // A server may answer and close before it has read everything: the answer counts.
        let sent = self.send(request).await;
        let answer = self.answer(request.starts_with(b"HEAD ")).await;
        match (sent, answer) {
            (_, Ok(answer)) => Ok(answer),
            (Err(err @ NoAnswer::TimedOut), _) | (_, Err(err)) => Err(err),
        }
    }

    /// Reads what comes next, whatever it is; empty at the end of the stream. For upgraded
    /// connections and event streams.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::TimedOut`], or [`NoAnswer::Closed`] when the connection was reset.
    pub async fn read_some(&mut self) -> Result<Vec<u8>, NoAnswer> {
        let mut piece = vec![0; 16 * 1024];
        let read = timeout(self.deadline, self.reader.read(&mut piece))
            .await
            .map_err(|_| NoAnswer::TimedOut)?
            .map_err(|_| NoAnswer::Closed(Vec::new()))?;
        piece.truncate(read);
        Ok(piece)
    }
}

/// Sends one request and reads its answer on a connection of its own.
///
/// # Errors
///
/// Every [`NoAnswer`].
pub async fn exchange(
    address: SocketAddr,
    request: &[u8],
    deadline: Duration,
) -> Result<Answer, NoAnswer> {
    let connection = Connection::open(address, deadline).await?;
    connection.exchange(request).await
}

/// A plain request as bytes, with `Host` first, `Content-Length` where there is a body, and
/// `Connection: close` last. The headers are written as they are.
#[must_use]
pub fn request(
    method: &str,
    target: &str,
    host: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("Connection: close\r\n\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Asks with GET, for readiness and simple tests.
///
/// # Errors
///
/// Every [`NoAnswer`].
pub async fn get(address: SocketAddr, target: &str) -> Result<Answer, NoAnswer> {
    let host = address.to_string();
    exchange(address, &request("GET", target, &host, &[], b""), DEADLINE).await
}

fn head_of(lines: &[Vec<u8>]) -> Result<Head, NoAnswer> {
    let first = lines.first().map(|line| latin1(line)).unwrap_or_default();
    let mut words = first.splitn(3, ' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words.next().and_then(|word| word.parse().ok());
    match status {
        Some(status) if is_http => Ok(Head {
            status,
            headers: Headers::parse(lines.get(1..).unwrap_or_default()),
        }),
        _ => Err(NoAnswer::Malformed(first)),
    }
}
