//! A client of HTTP over TLS that shows everything.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use harness::raw;
use proto::tls::pem;
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::authority::Pair;

/// What a client has: whom it believes, its certificate, and the protocols that it offers.
#[derive(Clone)]
pub(crate) struct Client(Arc<ClientConfig>);

/// An answer of HTTP/1.1.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Heard {
    /// The first value of a field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = fields.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

impl Client {
    pub(crate) fn new(ca: &Path, pair: Option<&Pair>, protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(ca).unwrap() {
            roots.add(certificate).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = pem::certificates(&pair.certificate).unwrap();
                let key = pem::private_key(&pair.key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        Self(Arc::new(config))
    }

    /// A connection after its handshake, as far as the client is concerned.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let connected = tokio::time::timeout(raw::DEADLINE, connector.connect(name, stream));
        connected.await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// How two handshakes went, one after the other with an answer in between.
    pub(crate) async fn twice(&self, address: SocketAddr) -> [Option<HandshakeKind>; 2] {
        let mut kinds = [None; 2];
        for kind in &mut kinds {
            let mut stream = self.connect(address).await.unwrap();
            let request = raw::request("GET", "/public", "books.example", &[], b"");
            stream.write_all(&request).await.unwrap();
            // A ticket to resume by comes behind the handshake.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            *kind = stream.get_ref().1.handshake_kind();
        }
        kinds
    }

    /// The certificate that is served.
    pub(crate) async fn served(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(address).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    /// Asks once, on a connection of its own.
    pub(crate) async fn ask(
        &self,
        address: SocketAddr,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Heard> {
        let request = raw::request(method, target, "books.example", headers, b"");
        self.send(address, request).await
    }

    /// Asks a method of the API.
    pub(crate) async fn call(
        &self,
        address: SocketAddr,
        method: &str,
        message: &str,
    ) -> io::Result<Heard> {
        let json = [("Content-Type", "application/json")];
        let request = raw::request("POST", method, "localhost", &json, message.as_bytes());
        self.send(address, request).await
    }

    async fn send(&self, address: SocketAddr, request: Vec<u8>) -> io::Result<Heard> {
        let mut stream = self.connect(address).await?;
        stream.write_all(&request).await?;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(raw::DEADLINE, stream.read_to_end(&mut answer));
        read.await.map_err(|_| io::ErrorKind::TimedOut)??;
        let answer = String::from_utf8(answer).unwrap();
        let parts = answer.split_once("\r\n\r\n");
        let (head, body) = parts.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Ok(Heard {
            status: status.unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }
}
