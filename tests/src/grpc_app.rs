//! A gRPC app that writes the session as a test plans it, and a client that shows all it sees.
//! Messages are frames of HTTP/2 here, so that nothing hides what is on the wire.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::raw;

/// One message of gRPC, of no bytes.
const MESSAGE: &[u8] = b"\0\0\0\0\0";
/// What the app answers.
#[derive(Clone, Copy, Debug)]
pub enum Where {
    /// In the trailers, as it should.
    Trailers,
    /// In a header that is all there is.
    Only,
    /// In the header, before it is known whether the app failed.
    Header,
}

/// What the app does with a call.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it writes.
    pub at: Where,
    /// Its `grpc-status`; trailers have none where it is empty.
    pub status: &'static str,
    /// The header and its value.
    pub change: Option<(&'static str, &'static str)>,
    /// The handle that it echoes; `None` is that of the call.
    pub echo: Option<String>,
}

fn fields(plan: &Plan, issued: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("x-own", "1".parse().unwrap());
    if let Some((name, value)) = plan.change {
        fields.insert(name, value.parse().unwrap());
        let echo = plan.echo.as_deref().unwrap_or(issued);
        fields.insert("sidegate-call", echo.parse().unwrap());
    }
    fields
}

async fn serve(stream: TcpStream, plan: Arc<Mutex<Plan>>, reached: Arc<Mutex<HeaderMap>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let issued = request.headers().get("sidegate-call");
        let issued = issued.map_or("", |call| call.to_str().unwrap()).to_owned();
        *reached.lock().unwrap() = request.headers().clone();
        let plan = plan.lock().unwrap().clone();
        let written = fields(&plan, &issued);
        let head = Response::builder().header("content-type", "application/grpc");
        let mut head = head.body(()).unwrap();
        let mut trailers = HeaderMap::new();
        match plan.at {
            Where::Trailers => trailers.extend(written),
            Where::Header => head.headers_mut().extend(written),
            Where::Only => {
                head.headers_mut().extend(written);
                let status = plan.status.parse().unwrap();
                head.headers_mut().insert("grpc-status", status);
                respond.send_response(head, true).unwrap();
                continue;
            }
        }
        if !plan.status.is_empty() {
            trailers.insert("grpc-status", plan.status.parse().unwrap());
        }
        let mut answer = respond.send_response(head, false).unwrap();
        answer
            .send_data(Bytes::from_static(MESSAGE), false)
            .unwrap();
        answer.send_trailers(trailers).unwrap();
    }
}

/// What a client sees of a call.
#[derive(Debug)]
pub struct Seen {
    /// The header.
    pub head: HeaderMap,
    /// Those, or the header where it is all there is.
    pub trailers: HeaderMap,
}

/// Whether no client may see it. A refusal of ours names its outcome.
fn is_ours(name: &str) -> bool {
    name.starts_with("sidegate") && !matches!(name, "sidegate-token" | "sidegate-outcome")
}

impl Seen {
    /// The `grpc-status`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.trailers["grpc-status"].to_str().unwrap()
    }

    /// The token that was handed out.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        let token = self.trailers.get("sidegate-token")?;
        Some(token.to_str().unwrap().to_owned())
    }

    fn assert_nothing_of_ours(&self) {
        let names = self.head.keys().chain(self.trailers.keys());
        let ours: Vec<_> = names.filter(|name| is_ours(name.as_str())).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}

/// An app that speaks gRPC.
#[derive(Debug)]
pub struct GrpcApp {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it does from now on.
    pub plan: Arc<Mutex<Plan>>,
    /// The header of the last call that reached it.
    pub reached: Arc<Mutex<HeaderMap>>,
}

impl GrpcApp {
    /// Starts one that says OK.
    pub async fn start() -> Self {
        let plan = Arc::new(Mutex::new(Plan {
            at: Where::Trailers,
            status: "0",
            change: None,
            echo: None,
        }));
        let reached = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (plans, last) = (Arc::clone(&plan), Arc::clone(&reached));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&plans), Arc::clone(&last)));
            }
        });
        Self {
            address,
            plan,
            reached,
        }
    }

    /// Has it do this from now on, with the handle of each call.
    pub fn plan(
        &self,
        at: Where,
        status: &'static str,
        change: Option<(&'static str, &'static str)>,
    ) {
        let echo = None;
        *self.plan.lock().unwrap() = Plan {
            at,
            status,
            change,
            echo,
        };
    }
}

/// Calls the method of this path at a proxy, with these headers, and waits for all of the answer.
pub async fn call(proxy: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Seen {
    let asked = Request::post(format!("http://books.example{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let asked = headers
        .iter()
        .fold(asked, |asked, (name, value)| asked.header(*name, *value));
    let stream = TcpStream::connect(proxy).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (answer, mut sent) = client.send_request(asked.body(()).unwrap(), false).unwrap();
    sent.send_data(Bytes::from_static(MESSAGE), true).unwrap();
    let mut answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.body_mut();
    while let Some(piece) = body.data().await {
        drop(piece.unwrap());
    }
    let trailers = tokio::time::timeout(raw::DEADLINE, body.trailers()).await;
    let head = answer.headers().clone();
    let seen = Seen {
        trailers: trailers.unwrap().unwrap().unwrap_or_else(|| head.clone()),
        head,
    };
    seen.assert_nothing_of_ours();
    seen
}
