//! Load: one connection of HTTP/2, kept busy by many streams, with nothing decoded but the first
//! answer.

use std::{cell::Cell, rc::Rc};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message;
use proto::v1;
use tokio::{net::TcpStream, task::LocalSet};

use crate::scene::TOKEN;

const PATH: &str = "/sidegate.v1.AuthorizationService/Authorize";

/// A message of gRPC: a flag, its length, itself.
fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

/// A connection that asks the same over and over.
pub(crate) struct Load {
    connection: SendRequest<Bytes>,
    frame: Bytes,
    uri: http::Uri,
    token: http::HeaderValue,
}

impl Load {
    /// Connects; to be called within a [`LocalSet`].
    pub(crate) async fn connect(address: &str, message: &v1::AuthorizeRequest) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let handshake = h2::client::Builder::new()
            .initial_connection_window_size(1 << 24)
            .handshake(stream)
            .await;
        let (connection, driver) = handshake.unwrap();
        tokio::task::spawn_local(async move {
            let _ = driver.await;
        });
        Self {
            connection,
            frame: framed(message),
            uri: format!("http://{address}{PATH}").parse().unwrap(),
            token: format!("Bearer {TOKEN}").parse().unwrap(),
        }
    }

    /// Asks once. Answers with the message.
    pub(crate) async fn ask(&self) -> Bytes {
        let request = http::Request::post(self.uri.clone())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", self.token.clone())
            .body(())
            .unwrap();
        let mut connection = self.connection.clone().ready().await.unwrap();
        let (response, mut body) = connection.send_request(request, false).unwrap();
        body.send_data(self.frame.clone(), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let refused = response.headers().get("grpc-status").cloned();
        assert_eq!(refused, None, "{:?}", response.headers());
        let mut body = response.into_body();
        let mut message = BytesMut::new();
        while let Some(data) = body.data().await {
            let data = data.unwrap();
            let _ = body.flow_control().release_capacity(data.len());
            message.extend_from_slice(&data);
        }
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        message.freeze().slice(5..)
    }

    /// Asks `total` times over `streams` streams at once.
    pub(crate) async fn run(self: &Rc<Self>, streams: usize, total: usize) {
        let left = Rc::new(Cell::new(total));
        let tasks: Vec<_> = (0..streams)
            .map(|_| {
                let (load, left) = (Rc::clone(self), Rc::clone(&left));
                tokio::task::spawn_local(async move {
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        load.ask().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

/// Runs what needs its tasks on one thread.
pub(crate) async fn local<T>(work: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(work).await
}
