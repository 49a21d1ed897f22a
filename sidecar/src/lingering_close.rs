//! A close that does not take back the last answer.
//!
//! Who is refused in the middle of a request, as one with a header that is too large, may still be
//! sending. A connection that is closed with bytes unread is reset, and the reset may reach the
//! client before the answer that says why. So the sending side is closed first, and what still comes
//! is thrown away until the client closes its own, or for a while (RFC 9112 section 9.6).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// How long a client may take to close its side.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much is thrown away, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// A connection that waits at its end for the client's.
#[derive(Debug)]
pub(crate) struct LingeringClose<T> {
    io: T,
    tunnel: Tunnel,
    /// Once the sending side is closed.
    rest: Option<Rest>,
}

/// Whether a connection has become a tunnel. What comes after its sending side was closed is then
/// for the app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunnel(Arc<AtomicBool>);

impl Tunnel {
    /// From now on it is one.
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Rest {
    limit: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<T> LingeringClose<T> {
    pub(crate) fn new(io: T) -> Self {
        Self {
            io,
            tunnel: Tunnel::default(),
            rest: None,
        }
    }

    /// What tells it that it has become a tunnel.
    pub(crate) fn tunnel(&self) -> Tunnel {
        self.tunnel.clone()
    }
}

impl<T: AsyncRead + Unpin> LingeringClose<T> {
    /// Throws away what comes, until the client ends or has had its time. An error ends it as well.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(());
        };
        let mut room = [0; 4096];
        while rest.bytes < MAX_BYTES {
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(&mut self.io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    rest.bytes += buf.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return rest.limit.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for LingeringClose<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LingeringClose<T> {
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
        if self.tunnel.0.load(Ordering::Relaxed) {
            return Pin::new(&mut self.io).poll_shutdown(cx);
        }
        if self.rest.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            let limit = Box::pin(tokio::time::sleep(PATIENCE));
            self.rest = Some(Rest { limit, bytes: 0 });
        }
        self.poll_rest(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn pair() -> (TcpStream, LingeringClose<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (server, _) = listener.accept().await.unwrap();
        (client.unwrap(), LingeringClose::new(server))
    }

    /// Answers in the middle of a request of this many bytes, and closes.
    async fn refuse_midway(size: usize) -> io::Result<String> {
        let (mut client, mut server) = pair().await;
        let refusing = tokio::spawn(async move {
            server.read_exact(&mut [0; 1024]).await?;
            server.write_all(b"431").await?;
            server.shutdown().await
        });
        client.write_all(&vec![b'x'; size]).await?;
        let mut said = String::new();
        client.read_to_string(&mut said).await?;
        drop(client);
        refusing.await.unwrap()?;
        Ok(said)
    }

    #[tokio::test]
    async fn the_answer_arrives_though_the_client_still_sends() {
        for size in [1024, 1025, 20_000, 500_000] {
            assert_eq!(refuse_midway(size).await.unwrap(), "431", "{size} bytes");
        }
    }

    #[tokio::test]
    async fn what_comes_through_a_tunnel_after_one_side_was_closed_is_not_thrown_away() {
        let (mut client, mut server) = pair().await;
        server.tunnel().open();
        server.shutdown().await.unwrap();
        client.write_all(b"the rest").await.unwrap();
        client.shutdown().await.unwrap();
        let mut came = String::new();
        server.read_to_string(&mut came).await.unwrap();
        assert_eq!(came, "the rest");
    }

    #[tokio::test]
    async fn a_client_that_has_closed_is_not_waited_for() {
        let (mut client, mut server) = pair().await;
        client.write_all(b"whole").await.unwrap();
        drop(client);
        let mut whole = Vec::new();
        server.read_to_end(&mut whole).await.unwrap();
        let closed = server.shutdown().now_or_never();
        assert!(closed.is_some_and(|closed| closed.is_ok()));
    }

    #[tokio::test]
    async fn a_client_that_stays_is_not_waited_for_long() {
        let (_client, mut server) = pair().await;
        tokio::time::timeout(4 * PATIENCE, server.shutdown())
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn who_goes_on_for_ever_is_cut() {
        let (client, mut server) = pair().await;
        let (_reading, mut writing) = client.into_split();
        let endless =
            tokio::spawn(async move { while writing.write_all(&[0; 4096]).await.is_ok() {} });
        server.read_exact(&mut [0; 1024]).await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(
            server.rest.as_ref().map(|rest| rest.bytes >= MAX_BYTES),
            Some(true)
        );
        drop(server);
        endless.await.unwrap();
    }
}
