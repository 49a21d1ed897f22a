//! What the recording app answers.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc::UnboundedReceiver,
};

/// An answer, and what happens to the connection.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Whole(Vec<u8>),
    /// Announces more than it sends, and closes.
    CutAfter {
        sent: Vec<u8>,
        announced: usize,
    },
    Slow {
        pieces: Vec<Vec<u8>>,
        pause: Duration,
    },
    Live(UnboundedReceiver<Bytes>),
    Zeros(u64),
    Echo,
    Close,
    Hang,
    Bytes(Vec<u8>),
}

impl Reply {
    fn of(status: u16, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// An answer of this status, without a body so far.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::of(status, Body::Whole(Vec::new()))
    }

    /// One header line more, written as it is.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The whole body, announced by `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Whole(body.into());
        self
    }

    /// A body of which only the first part is sent before the connection closes.
    #[must_use]
    pub fn cut_after(mut self, sent: impl Into<Vec<u8>>, announced: usize) -> Self {
        let sent = sent.into();
        self.body = Body::CutAfter { sent, announced };
        self
    }

    /// A chunked body, piece by piece with a pause before each.
    #[must_use]
    pub fn slow(mut self, pieces: &[&str], pause: Duration) -> Self {
        let pieces = pieces
            .iter()
            .map(|piece| piece.as_bytes().to_vec())
            .collect();
        self.body = Body::Slow { pieces, pause };
        self
    }

    /// A chunked body that the test sends while the answer runs; it ends when the sender is
    /// dropped.
    #[must_use]
    pub fn live(mut self, pieces: UnboundedReceiver<Bytes>) -> Self {
        self.body = Body::Live(pieces);
        self
    }

    /// Server-sent events: each piece that the test sends is one event as text, with its ends of
    /// lines.
    #[must_use]
    pub fn events(pieces: UnboundedReceiver<Bytes>) -> Self {
        Self::status(200)
            .header("Content-Type", "text/event-stream")
            .header("Cache-Control", "no-cache")
            .live(pieces)
    }

    /// A body of this many zero bytes, announced by `Content-Length` and never held in memory.
    #[must_use]
    pub fn zeros(mut self, length: u64) -> Self {
        self.body = Body::Zeros(length);
        self
    }

    /// `101 Switching Protocols` to this protocol, then every byte that comes is sent back.
    #[must_use]
    pub fn upgrade(protocol: &str) -> Self {
        Self::of(101, Body::Echo)
            .header("Connection", "Upgrade")
            .header("Upgrade", protocol)
    }

    /// No answer: the connection is closed.
    #[must_use]
    pub fn close() -> Self {
        Self::of(0, Body::Close)
    }

    /// No answer, and the connection stays open until the other side ends it.
    #[must_use]
    pub fn hang() -> Self {
        Self::of(0, Body::Hang)
    }

    /// Exactly these bytes, then the connection is closed.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(0, Body::Bytes(bytes.into()))
    }

    /// Writes the answer; whether the connection goes on.
    pub(crate) async fn write(
        self,
        reader: &mut BufReader<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
        is_head: bool,
    ) -> bool {
        let head = self.head();
        let run = async {
            match self.body {
                Body::Whole(body) => {
                    writer.write_all(&head).await?;
                    if !is_head {
                        writer.write_all(&body).await?;
                    }
                    Ok(true)
                }
                Body::CutAfter { sent, .. } => {
                    writer.write_all(&head).await?;
                    writer.write_all(&sent).await?;
                    Ok(false)
                }
                Body::Slow { pieces, pause } => {
                    writer.write_all(&head).await?;
                    for piece in pieces {
                        tokio::time::sleep(pause).await;
                        chunk(writer, &piece).await?;
                    }
                    chunk(writer, b"").await.map(|()| true)
                }
                Body::Live(mut pieces) => {
                    writer.write_all(&head).await?;
                    while let Some(piece) = pieces.recv().await {
                        if !piece.is_empty() {
                            chunk(writer, &piece).await?;
                        }
                    }
                    chunk(writer, b"").await.map(|()| true)
                }
                Body::Zeros(length) => {
                    writer.write_all(&head).await?;
                    zeros(writer, length).await.map(|()| true)
                }
                Body::Echo => {
                    writer.write_all(&head).await?;
                    tokio::io::copy_buf(reader, writer).await.map(|_| false)
                }
                Body::Close => Ok(false),
                Body::Bytes(bytes) => writer.write_all(&bytes).await.map(|()| false),
                Body::Hang => {
                    ended(reader).await;
                    Ok(false)
                }
            }
        };

        run.await.unwrap_or(false)
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        match &self.body {
            Body::Whole(_) if self.status == 204 || self.status == 304 => {}
            Body::Whole(body) => drop(write!(head, "Content-Length: {}\r\n", body.len())),
            Body::CutAfter { announced, .. } => {
                let _ = write!(head, "Content-Length: {announced}\r\n");
            }
            Body::Zeros(length) => drop(write!(head, "Content-Length: {length}\r\n")),
            Body::Slow { .. } | Body::Live(_) => head.push_str("Transfer-Encoding: chunked\r\n"),
            Body::Echo | Body::Close | Body::Hang | Body::Bytes(_) => {}
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

async fn chunk(writer: &mut OwnedWriteHalf, piece: &[u8]) -> std::io::Result<()> {
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    writer.write_all(&chunk).await
}

async fn zeros(writer: &mut OwnedWriteHalf, mut left: u64) -> std::io::Result<()> {
    let piece = vec![0; 64 * 1024];
    while left > 0 {
        let take = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        writer.write_all(&piece[..take]).await?;
        left -= take as u64;
    }
    Ok(())
}

/// Waits until the other side ends the connection; what it sends is dropped.
async fn ended(reader: &mut BufReader<OwnedReadHalf>) {
    let mut piece = [0; 4096];
    while let Ok(1..) = reader.read(&mut piece).await {}
}
