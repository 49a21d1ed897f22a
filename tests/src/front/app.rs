//! An app behind a front: what reaches it is seen, and it answers what it is told to.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// A request that reached the app, and where its answer goes.
#[derive(Debug)]
pub struct Visit {
    /// Its method.
    pub method: Method,
    /// Its target.
    pub uri: Uri,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    answer: oneshot::Sender<Response<Full<Bytes>>>,
}

impl Visit {
    /// The value of a header field; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Answers 200 with these fields.
    pub fn answer(self, fields: &[(&str, String)]) {
        let mut response = Response::builder();
        for (name, value) in fields {
            response = response.header(*name, value);
        }
        let body = Full::from("from the app");
        let _ = self.answer.send(response.body(body).unwrap());
    }
}

/// A running app.
#[derive(Debug)]
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    visits: mpsc::UnboundedReceiver<Visit>,
    running: JoinHandle<()>,
}

impl App {
    /// Starts an app.
    ///
    /// # Panics
    ///
    /// Panics when the system has no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, visits) = mpsc::unbounded_channel();
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                let service = service_fn(move |request| visit(request, seen.clone()));
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            address,
            visits,
            running,
        }
    }

    /// The next request that reaches it.
    ///
    /// # Panics
    ///
    /// Panics when the app has ended.
    pub async fn visited(&mut self) -> Visit {
        self.visits.recv().await.expect("the app runs")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn visit(
    request: Request<Incoming>,
    seen: mpsc::UnboundedSender<Visit>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let (answer, answered) = oneshot::channel();
    let _ = seen.send(Visit {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: body.unwrap_or_default(),
        answer,
    });
    Ok(answered
        .await
        .unwrap_or_else(|_| Response::new(Full::from("from the app"))))
}
