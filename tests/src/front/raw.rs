//! HTTP/1.1 as bytes: what is sent is what stands here, and nothing is put right on the way.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status; 0 when the connection ended without one.
    pub status: u16,
    /// The header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What followed.
    pub body: Vec<u8>,
}

impl Response {
    /// All values of a field.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        let fields = self.headers.iter().filter(|(own, _)| own == name);
        fields.map(|(_, value)| value.clone()).collect()
    }

    /// The value of a field; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let mut fields = self.headers.iter();
        fields
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }

    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else {
            return Self::default();
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let fields = lines.filter_map(|line| line.split_once(':'));
        Self {
            status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
            headers: fields
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }
}

/// Sends these bytes on a connection of their own and reads until its end. The request must ask
/// for `Connection: close`.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Response {
    let exchanged = async {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the front listens");
        // A server may refuse before it has read all.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Response::parse(&answer)
    };
    let answer = tokio::time::timeout(PATIENCE, exchanged).await;
    answer.expect("an answer in time")
}

/// A request with these fields, in order.
#[must_use]
pub fn request(method: &str, target: &str, fields: &[(String, Vec<u8>)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    bytes.extend_from_slice(body);
    bytes
}
