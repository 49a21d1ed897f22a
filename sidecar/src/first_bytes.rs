//! A deadline for the first bytes of a connection, which tell HTTP/1 from HTTP/2.
//!
//! Until they have come no version is served, so that no version's own deadlines run: who says
//! nothing, or stops in the middle of the preface of HTTP/2, would stay for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// What a client of HTTP/2 sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a client of TLS, which begins no method of HTTP.
const TLS_HANDSHAKE: u8 = 22;

/// A connection that fails to be read once its client has not told its version in time.
#[derive(Debug)]
pub(crate) struct FirstBytes<T> {
    io: T,
    /// Until the version is known.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    limit: Pin<Box<Sleep>>,
    /// How much of the preface has come.
    matched: usize,
}

impl Waiting {
    /// Whether these bytes, which came first, begin the handshake of TLS (RFC 8446 section 5.1).
    fn is_tls(&self, bytes: &[u8]) -> bool {
        self.matched == 0 && bytes.first() == Some(&TLS_HANDSHAKE)
    }

    /// Whether the version is known after these bytes.
    fn is_over(&mut self, bytes: &[u8]) -> bool {
        let rest = PREFACE.get(self.matched..).unwrap_or_default();
        let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        self.matched += same;
        same < bytes.len() || self.matched == PREFACE.len()
    }
}

impl<T> FirstBytes<T> {
    /// This connection, whose version must be known `within` this time from now.
    pub(crate) fn new(io: T, within: Duration) -> Self {
        let limit = Box::pin(tokio::time::sleep(within));
        Self {
            io,
            waiting: Some(Waiting { limit, matched: 0 }),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FirstBytes<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(waiting) = &mut this.waiting else {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        };
        if waiting.limit.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if waiting.is_tls(buf.filled().get(before..).unwrap_or_default()) {
            tracing::info!("a client speaks TLS to a listener that serves in the clear");
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        if waiting.is_over(buf.filled().get(before..).unwrap_or_default()) {
            this.waiting = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FirstBytes<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const WITHIN: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn only_who_has_not_told_a_version_is_cut() {
        for (first, stays) in [
            (&b""[..], false),
            (b"P", false),
            (b"PRI * HTTP/2.0\r\n", false),
            (PREFACE, true),
            (b"G", true),
            (b"POST / HTTP/1.1\r\n", true),
        ] {
            let (mut client, server) = tokio::io::duplex(64);
            let mut server = FirstBytes::new(server, WITHIN);
            client.write_all(first).await.unwrap();
            let mut came = vec![0; first.len()];
            server.read_exact(&mut came).await.unwrap();
            tokio::time::sleep(2 * WITHIN).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(server.read_u8().await.is_ok(), stays, "{first:?}");
        }
    }

    #[tokio::test]
    async fn tls_is_not_taken_for_http() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = FirstBytes::new(server, WITHIN);
        client.write_all(b"\x16\x03\x01").await.unwrap();
        let refused = server.read_u8().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
