//! Gets the keys of issuers over HTTPS (T-27): no redirects, no cookies, a limit on time and size,
//! and no way into the private network unless the configuration opens one.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Once},
    time::Duration,
};

use async_trait::async_trait;
use auth_core::jwt::{FetchError, JwksFetcher, MAX_DOCUMENT_BYTES};
use reqwest::{
    Client, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use tokio::sync::OnceCell;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Gets documents with reqwest. The client, with the root certificates of the system, is made when
/// it is first needed: most sidecars have no issuer and never need it.
#[derive(Clone, Debug)]
pub struct HttpFetcher {
    client: Arc<OnceCell<Client>>,
    private: bool,
}

impl HttpFetcher {
    /// A fetcher; with `private` it also asks private addresses.
    #[must_use]
    pub fn new(private: bool) -> Self {
        Self {
            client: Arc::default(),
            private,
        }
    }

    /// The client; fails when the system's root certificates cannot be used.
    async fn client(&self) -> Result<&Client, FetchError> {
        let made = self
            .client
            .get_or_try_init(|| std::future::ready(self.make()));
        made.await
    }

    fn make(&self) -> Result<Client, FetchError> {
        install_provider();
        Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .no_proxy()
            .referer(false)
            .user_agent(concat!("sidegate/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(GuardedResolver {
                private: self.private,
            }))
            .build()
            .map_err(|error| FetchError(words(&error)))
    }

    /// Holds a URL to what may be asked. A name is held to it once more when it is resolved.
    fn check(&self, text: &str) -> Result<Url, FetchError> {
        let url = Url::parse(text).map_err(|error| FetchError(error.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = literal.parse().ok();
        let is_loopback =
            host == "localhost" || address.is_some_and(|ip| ip.to_canonical().is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            scheme => {
                return Err(FetchError(format!(
                    "`{scheme}` is not allowed for this host"
                )));
            }
        }
        // A loopback host stands in the configuration itself, for development.
        if let Some(address) = address.filter(|_| !is_loopback && !self.private)
            && !is_public(address)
        {
            return Err(FetchError(refused(address)));
        }
        Ok(url)
    }
}

#[async_trait]
impl JwksFetcher for HttpFetcher {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let failed = |error: reqwest::Error| FetchError(words(&error.without_url()));
        let url = self.check(url)?;
        let mut response = self.client().await?.get(url).send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError(format!(
                "the answer is {} and not 200",
                response.status().as_u16()
            )));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                return Err(FetchError(format!(
                    "the answer has more than {MAX_DOCUMENT_BYTES} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The provider of cryptography is the process's; whoever comes first installs it.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that the embedding program has installed one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

/// Resolves names, and leaves addresses out that must not be asked. What is connected to is what
/// was looked at: there is no second look-up to be answered differently.
#[derive(Debug)]
struct GuardedResolver {
    private: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((&*host, 0)).await?.collect();
            let is_allowed =
                |address: &SocketAddr| private || host == "localhost" || is_public(address.ip());
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(is_allowed).collect();
            match (allowed.is_empty(), found.first()) {
                (true, Some(address)) => {
                    let error =
                        io::Error::new(io::ErrorKind::PermissionDenied, refused(address.ip()));
                    Err(Box::new(error) as Box<dyn Error + Send + Sync>)
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

fn refused(address: IpAddr) -> String {
    format!("the address {address} is private: set `private_address: true` to allow it")
}

/// Whether an address belongs to the public internet (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let is_special = ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b));
            !is_special
        }
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Global unicast (2000::/3) but for what leads back to IPv4 or is for examples.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let is_global = (first & 0xe000) == 0x2000;
    let is_special = (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) || first == 0x2002;
    is_global && !is_special
}

/// The error with its causes, which reqwest keeps to itself.
fn words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn addresses_that_are_not_the_internets_are_told_apart() {
        for (address, expected) in [
            ("93.184.215.14", true),
            ("10.0.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("192.168.1.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::a00:1", false),
            ("2002:a00:1::", false),
            ("2606:2800:21f::1", true),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn what_may_not_be_asked_is_refused_before_connecting() {
        let fetcher = HttpFetcher::new(false);
        for (url, why) in [
            ("http://id.example/jwks", "not allowed"),
            ("file:///etc/passwd", "not allowed"),
            ("https://10.0.0.1/jwks", "is private"),
            ("https://[fd00::1]/jwks", "is private"),
            ("https://169.254.169.254/latest", "is private"),
        ] {
            let error = fetcher.fetch(url).await.unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    /// Answers every connection with these bytes.
    async fn serve(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
            }
        });
        url
    }

    #[tokio::test]
    async fn a_document_is_read_to_its_end() {
        let url = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}".into()).await;
        let fetcher = HttpFetcher::new(false);
        assert_eq!(fetcher.fetch(&url).await.unwrap(), b"{\"keys\":[]}");
    }

    #[tokio::test]
    async fn redirects_failures_and_floods_bring_no_document() {
        let flood = [
            b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".as_slice(),
            &vec![b' '; MAX_DOCUMENT_BYTES + 1],
        ];
        for (answer, why) in [
            (
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                    .to_vec(),
                "302",
            ),
            (
                b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n".to_vec(),
                "500",
            ),
            (flood.concat(), "more than"),
        ] {
            let url = serve(answer).await;
            let fetcher = HttpFetcher::new(false);
            let error = fetcher.fetch(&url).await.unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
