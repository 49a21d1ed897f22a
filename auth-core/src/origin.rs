//! The origin that a browser says a request comes from (RFC 6454; Fetch section 3.2).

use crate::authority::Authority;

/// An origin of the web: `https://books.example`, `http://localhost:8080`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    is_secure: bool,
    host: Box<str>,
    port: u16,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no origin of the form `https://books.example` or `http://localhost:8080`")]
pub struct NoOrigin;

impl Origin {
    /// Reads the one value of an `Origin` header. `null`, several origins, other schemes, and
    /// anything after the port are none.
    ///
    /// # Errors
    ///
    /// Returns [`NoOrigin`] when it is none.
    pub fn parse(text: &[u8]) -> Result<Self, NoOrigin> {
        let (is_secure, rest) = split(text).ok_or(NoOrigin)?;
        let authority = Authority::parse(rest).map_err(|_| NoOrigin)?;
        Ok(Self {
            is_secure,
            host: authority.host().into(),
            port: authority.port().unwrap_or(default_port(is_secure)),
        })
    }

    /// Whether the text, as in [`Origin::parse`], is an origin at this authority: by host and port,
    /// where the port is that of the origin's scheme unless one is given. Schemes are not compared,
    /// since a proxy may have ended the TLS.
    #[must_use]
    pub fn is_at(text: &[u8], authority: &[u8]) -> bool {
        let Some((is_secure, rest)) = split(text) else {
            return false;
        };
        let (Ok(origin), Ok(own)) = (Authority::parse(rest), Authority::parse(authority)) else {
            return false;
        };
        let port = |authority: &Authority<'_>| authority.port().unwrap_or(default_port(is_secure));
        origin.host() == own.host() && port(&origin) == port(&own)
    }
}

/// Whether it is `https`, and what stands behind the scheme.
fn split(text: &[u8]) -> Option<(bool, &[u8])> {
    let secure = text.strip_prefix(b"https://").map(|rest| (true, rest));
    secure.or_else(|| Some((false, text.strip_prefix(b"http://")?)))
}

const fn default_port(is_secure: bool) -> u16 {
    if is_secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for text in [
            "https://books.example",
            "https://Books.Example:443",
            "https://books.example.:443",
        ] {
            let origin = Origin::parse(text.as_bytes());
            assert_eq!(origin, Origin::parse(b"https://books.example"), "{text}");
            assert!(origin.is_ok());
        }
        for text in [
            "",
            "null",
            "books.example",
            "//books.example",
            "https://",
            "https://books.example/",
            "https://books.example https://other.example",
            "https://books.example, https://other.example",
            "https://user@books.example",
            "https://books.example?",
            "https://books.example#",
            "https://books.example\\",
            "ftp://books.example",
            "HTTPS://books.example",
            "chrome-extension://abc",
            "https://books.example:0",
            "https://books.example:",
            " https://books.example",
            "https://*.example",
        ] {
            assert_eq!(Origin::parse(text.as_bytes()), Err(NoOrigin), "{text}");
            assert!(!Origin::is_at(text.as_bytes(), b"books.example"), "{text}");
        }
    }

    #[test]
    fn an_origin_is_at_an_authority_by_host_and_port() {
        for (origin, authority, is_at) in [
            ("https://books.example", "books.example", true),
            ("http://books.example", "books.example", true),
            ("https://books.example", "books.example:443", true),
            ("http://books.example", "books.example:80", true),
            ("https://books.example", "books.example:80", false),
            ("http://books.example", "books.example:443", false),
            ("https://books.example:8443", "books.example:8443", true),
            ("https://books.example:8443", "books.example", false),
            ("https://books.example", "books.example:8443", false),
            ("https://BOOKS.example", "books.EXAMPLE.", true),
            ("https://books.example.evil.example", "books.example", false),
            ("https://evil-books.example", "books.example", false),
            ("https://sub.books.example", "books.example", false),
            ("http://[::1]:80", "[0:0:0:0:0:0:0:1]", true),
            ("https://books.example", "", false),
            ("https://books.example", "a b", false),
        ] {
            let found = Origin::is_at(origin.as_bytes(), authority.as_bytes());
            assert_eq!(found, is_at, "{origin} at {authority}");
        }
    }
}
