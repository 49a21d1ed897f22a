//! The URLs that keys may be fetched from: `https`, or `http` on a loopback host for development.

use std::{fmt, net::IpAddr};

/// Why a URL is not fetched from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteUrlError {
    /// Not an absolute `https` or `http` URL in plain characters, without user and fragment.
    #[error("`{0}` is no plain https URL")]
    Malformed(String),
    /// `http` to another host than this one.
    #[error("`{0}` is fetched without TLS")]
    Insecure(String),
    /// Plain `http`, and not the host that the issuer's own document came from.
    #[error("`{0}` is on another host than its issuer")]
    OtherHost(String),
}

/// A URL that may be asked for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteUrl {
    text: String,
    is_tls: bool,
    /// Scheme and authority, then the path without a trailing slash.
    path_at: usize,
}

impl RemoteUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, RemoteUrlError> {
        let malformed = || RemoteUrlError::Malformed(text.to_owned());
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain || text.contains(['\\', '#', '"', '<', '>']) {
            return Err(malformed());
        }
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(malformed()),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = host(authority).ok_or_else(malformed)?;
        if !is_tls && !is_loopback(host) {
            return Err(RemoteUrlError::Insecure(text.to_owned()));
        }
        let path_at = text.len() - rest.len() + authority.len();
        Ok(Self {
            text: text.to_owned(),
            is_tls,
            path_at,
        })
    }

    /// A `jwks_uri` out of this document: `https`, or the same loopback host that served it.
    pub(crate) fn linked(&self, text: &str) -> Result<Self, RemoteUrlError> {
        let linked = Self::parse(text)?;
        let (host, own_host) = (host(linked.authority()), host(self.authority()));
        if linked.is_tls || (!self.is_tls && host == own_host) {
            return Ok(linked);
        }
        Err(RemoteUrlError::OtherHost(text.to_owned()))
    }

    /// OpenID Connect Discovery 1.0 section 4: the well-known path goes behind the issuer's path.
    pub(crate) fn openid_configuration(&self) -> String {
        format!(
            "{}/.well-known/openid-configuration",
            self.text.trim_end_matches('/')
        )
    }

    /// RFC 8414 section 3.1: the well-known path goes between host and path.
    pub(crate) fn oauth_metadata(&self) -> String {
        let (origin, path) = self
            .text
            .split_at_checked(self.path_at)
            .unwrap_or((&self.text, ""));
        format!(
            "{origin}/.well-known/oauth-authorization-server{}",
            path.trim_end_matches('/')
        )
    }

    /// Whether there is a query, which no issuer identifier has (RFC 8414 section 2).
    pub(crate) fn has_query(&self) -> bool {
        self.text.contains('?')
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    fn authority(&self) -> &str {
        let origin = self.text.get(..self.path_at).unwrap_or_default();
        origin
            .split_once("://")
            .map_or("", |(_, authority)| authority)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The host of an authority without user: `host`, `host:port`, `[v6]`, `[v6]:port`.
fn host(authority: &str) -> Option<&str> {
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => match authority.find(':') {
            Some(colon) => authority.split_at_checked(colon)?,
            None => (authority, ""),
        },
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    (port_is_good && !host.is_empty()).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_or_this_host_is_asked() {
        for (text, good) in [
            ("https://id.example", true),
            ("https://id.example:8443/keys?v=1", true),
            ("http://localhost:9000/keys", true),
            ("http://127.0.0.1/keys", true),
            ("http://[::1]:80/keys", true),
            ("http://id.example/keys", false),
            ("http://localhost.evil.example/keys", false),
            ("http://127.0.0.1.evil.example/keys", false),
            ("http://localhost@evil.example/keys", false),
            ("http://evil.example#@localhost/", false),
            ("http://evil.example\\@localhost/", false),
            ("https://user:pass@id.example/", false),
            ("https://user@id.example/", false),
            ("https:///keys", false),
            ("https://id.example:x/", false),
            ("file:///etc/passwd", false),
            ("HTTPS://id.example", false),
            ("https://id.example/ x", false),
            ("", false),
        ] {
            assert_eq!(RemoteUrl::parse(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_linked_url_is_tls_or_stays_on_the_same_loopback_host() {
        for (base, link, good) in [
            ("https://id.example", "https://keys.example/k", true),
            ("https://id.example", "http://localhost/k", false), // An issuer out there pointing in here.
            ("http://localhost:1", "http://localhost:2/k", true),
            ("http://localhost:1", "http://127.0.0.1:2/k", false),
            ("http://localhost:1", "https://keys.example/k", true),
        ] {
            assert_eq!(
                RemoteUrl::parse(base).unwrap().linked(link).is_ok(),
                good,
                "{base} {link}"
            );
        }
    }

    #[test]
    fn the_two_well_known_paths_are_built_as_their_standards_say() {
        let url = RemoteUrl::parse("https://id.example/realms/one/").unwrap();
        let expected = "https://id.example/realms/one/.well-known/openid-configuration";
        assert_eq!(url.openid_configuration(), expected);
        let expected = "https://id.example/.well-known/oauth-authorization-server/realms/one";
        assert_eq!(url.oauth_metadata(), expected);
    }
}
