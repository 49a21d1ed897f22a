//! Which hosts and origins are answered (R25, SECURITY A-06).

use auth_core::authority::{Authority, HostPattern};
use http::{HeaderMap, StatusCode, Uri, header};
use tonic::Code;

use super::Refused;

/// The hosts that may be asked for and the origins that may ask.
///
/// A browser that was told by DNS that a hostile name is this machine still sends the hostile name
/// as the host; a page of another site sends its origin.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    hosts: Vec<HostPattern>,
    origins: Vec<String>,
}

impl Guard {
    /// Answers these hosts, on any port, and these origins, which are compared as they are.
    #[must_use]
    pub fn new(hosts: Vec<HostPattern>, origins: Vec<String>) -> Self {
        let origins = origins.into_iter();
        Self {
            hosts,
            origins: origins.map(|origin| origin.to_ascii_lowercase()).collect(),
        }
    }

    /// Refuses a request for another host with 421 and one from another origin with 403.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        if !self.is_ours(uri, headers) {
            let message = "this host is not answered here: list it in `listen.hosts`";
            return Err(Refused::new(
                StatusCode::MISDIRECTED_REQUEST,
                Code::PermissionDenied,
                message,
            ));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if origins.all(|origin| self.may_ask(origin.as_bytes())) {
            return Ok(());
        }
        let message = "this origin may not ask: list it in `listen.origins`";
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            Code::PermissionDenied,
            message,
        ))
    }

    /// Whether every name that the request has for its host is listed, and there is one.
    fn is_ours(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = uri
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        let mut count = 0;
        for host in headers.get_all(header::HOST) {
            count += 1;
            if !self.answers(host.as_bytes()) {
                return false;
            }
        }
        named.map_or(count == 1, |named| count <= 1 && self.answers(named))
    }

    fn answers(&self, host: &[u8]) -> bool {
        Authority::parse(host)
            .is_ok_and(|authority| self.hosts.iter().any(|host| host.matches(authority.host())))
    }

    fn may_ask(&self, origin: &[u8]) -> bool {
        self.origins
            .iter()
            .any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(uri: &str, headers: &[(&'static str, &'static str)]) -> u16 {
        let guard = Guard::new(
            vec![
                HostPattern::parse("localhost").unwrap(),
                HostPattern::parse("127.0.0.1").unwrap(),
            ],
            vec!["https://admin.example".into()],
        );
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match guard.check(&uri.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(refused) => refused.http.unwrap().as_u16(),
        }
    }

    #[test]
    fn only_listed_hosts_are_answered() {
        for (uri, headers, expected) in [
            ("/m", vec![("host", "localhost:7481")], 200),
            ("/m", vec![("host", "LOCALHOST")], 200),
            ("/m", vec![("host", "127.0.0.1:7481")], 200),
            ("http://localhost/m", vec![], 200),
            ("/m", vec![], 421),
            ("/m", vec![("host", "")], 421),
            ("/m", vec![("host", "evil.example:7481")], 421),
            ("/m", vec![("host", "localhost.evil.example")], 421),
            (
                "/m",
                vec![("host", "localhost"), ("host", "localhost")],
                421,
            ),
            ("http://evil.example/m", vec![("host", "localhost")], 421),
            ("http://localhost/m", vec![("host", "evil.example")], 421),
        ] {
            assert_eq!(status(uri, &headers), expected, "{uri} {headers:?}");
        }
    }

    #[test]
    fn only_listed_origins_may_ask() {
        for (origin, expected) in [
            ("https://admin.example", 200),
            ("https://ADMIN.example", 200),
            ("http://admin.example", 403),
            ("https://admin.example:8443", 403),
            ("http://localhost", 403),
            ("null", 403),
        ] {
            let headers = [("host", "localhost"), ("origin", origin)];
            assert_eq!(status("/m", &headers), expected, "{origin}");
        }
    }
}
