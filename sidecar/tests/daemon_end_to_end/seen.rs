//! What callers see: every request and answer as `{:?}` prints it, and every error in full.

use std::{collections::BTreeSet, fmt::Debug};

use proto::v1::{self, WireUpdate, wire_update::Kind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Request, Response, Status};

use crate::harness::with_token;

/// The token of no caller.
pub(crate) const WRONG_TOKEN: &str = "SECRETunknowncaller0123456789abcdef0";

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// Requests and answers, as `{:?}` prints them.
    pub(crate) debug: String,
    /// Errors, with their details as bytes.
    pub(crate) errors: Vec<u8>,
    /// The methods that were asked over gRPC.
    pub(crate) methods: BTreeSet<String>,
}

impl Seen {
    /// Asks twice over gRPC: as nobody known, which must be refused, and as the caller.
    pub(crate) async fn ask<Q: Debug + Clone, A: Debug>(
        &mut self,
        token: Option<&str>,
        message: Q,
        send: impl AsyncFn(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        let name = std::any::type_name::<Q>().rsplit(':').next().unwrap();
        let method = name.strip_suffix("Request").unwrap();
        self.methods.insert(method.to_owned());
        self.debug += &format!("{message:?}\n");
        let refused = send(with_token(message.clone(), Some(WRONG_TOKEN))).await;
        self.error(&refused.map(drop).unwrap_err());
        match send(with_token(message, token)).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                self.debug += &format!("{answer:?}\n");
                Ok(answer)
            }
            Err(status) => {
                self.error(&status);
                Err(status)
            }
        }
    }

    /// Keeps an error.
    pub(crate) fn error(&mut self, status: &Status) {
        let text = format!("{status} {status:?} {:?}\n", status.metadata());
        self.errors.extend(text.as_bytes());
        self.errors.extend(status.details());
    }

    /// Sends a request over HTTP/1. Keeps an answer that is an error.
    pub(crate) async fn http(&mut self, address: &str, head: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{head}\r\nhost: localhost\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let answer = self.bytes(address, request.as_bytes()).await;
        // What is refused before all of it was read may be reset before its answer is.
        let status = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }

    /// Sends these bytes and gives what comes back, up to the end. Keeps what is an error.
    pub(crate) async fn bytes(&mut self, address: &str, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        self.rest(stream).await
    }

    /// The same of a client that breaks off.
    pub(crate) async fn broken_off(&mut self, address: &str, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let _ = stream.shutdown().await;
        self.rest(stream).await
    }

    async fn rest(&mut self, mut stream: TcpStream) -> String {
        let mut answer = Vec::new();
        // Whoever refuses to read on may close before all of it was read.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
        if status.is_some_and(|status: u16| status >= 400) {
            self.errors.extend(answer.as_bytes());
        }
        answer
    }

    /// Asks a method over JSON: as nobody known, and as the caller of this token.
    pub(crate) async fn json(
        &mut self,
        address: &str,
        method: &str,
        token: &str,
        body: &str,
    ) -> (u16, String) {
        let head = |token| {
            format!(
                "POST /sidegate.v1.{method} HTTP/1.1\r\ncontent-type: application/json\r\n\
                 authorization: Bearer {token}"
            )
        };
        let (status, _) = self.http(address, &head(WRONG_TOKEN), body).await;
        assert_eq!(status, 401);
        self.http(address, &head(token), body).await
    }
}

/// The token that these updates hand out, in a cookie or by itself.
pub(crate) fn token_in(updates: &[WireUpdate]) -> Option<String> {
    updates
        .iter()
        .find_map(|update| match update.kind.as_ref()? {
            Kind::SetCookie(v1::SetCookie { header_value, .. }) => {
                let pair = header_value.split(';').next()?;
                Some(pair.split_once('=')?.1.to_owned())
            }
            Kind::IssueToken(issued) => Some(issued.token.clone()),
            Kind::ExpireCookie(_) | Kind::BindConnection(_) => None,
        })
}
