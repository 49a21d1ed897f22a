//! The host that a call is for, and the hosts that an app answers to (SECURITY H-15).

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
    fmt::{self, Write as _},
    net::Ipv6Addr,
};

/// The longest host name, in bytes (RFC 1035 section 2.3.4, as text).
const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// Why an authority is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthorityError {
    /// No host.
    #[error("host is empty")]
    Empty,
    /// The host, or a label of it, is longer than names may be.
    #[error("host is too long")]
    TooLong,
    /// `user@host`, which no `Host` header may have (RFC 9110 section 4.2.4).
    #[error("authority has user information")]
    UserInfo,
    /// A label of no characters: `a..b`, `.a`, `a..`.
    #[error("host has an empty label")]
    EmptyLabel,
    /// A byte above 0x7f; international names are sent in punycode.
    #[error("host is not ASCII")]
    NonAscii,
    /// A blank, control character, or anything else no name has.
    #[error("host has a character that no name has")]
    IllegalCharacter,
    /// What stands in brackets is no IPv6 address.
    #[error("host is not an IPv6 address")]
    BadIpv6,
    /// What follows the colon is no port from 1 to 65535.
    #[error("port is not a number from 1 to 65535")]
    BadPort,
}

/// A host in its canonical form, and the port that stood with it.
///
/// Lower case, without a final dot; an IPv6 address in brackets and in the form of RFC 5952.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority<'a> {
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host` or `host:port`, as a `Host` header or `:authority` has it. Borrows when it is canonical.
    ///
    /// # Errors
    ///
    /// Returns [`AuthorityError`] when it is malformed.
    pub fn parse(raw: &'a [u8]) -> Result<Self, AuthorityError> {
        if !raw.is_ascii() {
            return Err(AuthorityError::NonAscii);
        }
        let text = std::str::from_utf8(raw).map_err(|_| AuthorityError::NonAscii)?;
        if raw.contains(&b'@') {
            return Err(AuthorityError::UserInfo);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(AuthorityError::BadIpv6)?;
            let port = match rest {
                "" => None,
                _ => Some(parse_port(
                    rest.strip_prefix(':').ok_or(AuthorityError::BadPort)?,
                )?),
            };
            let written = text.get(..address.len() + 2).unwrap_or(text);
            return Ok(Self {
                host: canonical_ipv6(written, address)?,
                port,
            });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        Ok(Self {
            host: canonical_name(host)?,
            port: port.map(parse_port).transpose()?,
        })
    }

    /// The host, without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if one was given.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

/// The hosts of an app: `books.example`, or `*.books.example` for every name below it.
///
/// The wildcard stands for one or more labels, so it does not match `books.example` itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// Canonical; without the `*.`.
    name: Box<str>,
    is_wildcard: bool,
}

/// Why a host pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// Not a host, with or without `*.` before it.
    #[error("`{pattern}` is not a host")]
    Malformed {
        /// The pattern as written.
        pattern: String,
        /// What is wrong with its host.
        #[source]
        source: AuthorityError,
    },
    /// Ports are not compared.
    #[error("`{0}` has a port; hosts are matched without it")]
    Port(String),
    /// A `*` that is not the first label, or all there is.
    #[error("`{0}`: `*` may only be the first label, as in `*.books.example`")]
    Wildcard(String),
}

impl HostPattern {
    /// Reads a pattern, in any case and with or without a final dot.
    ///
    /// # Errors
    ///
    /// Returns [`HostPatternError`] when it is malformed.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        let below = text.strip_prefix("*.");
        let name = below.unwrap_or(text);
        if name.contains('*') || (below.is_some() && name.starts_with('[')) {
            return Err(HostPatternError::Wildcard(text.to_owned()));
        }
        let malformed = |source| HostPatternError::Malformed {
            pattern: text.to_owned(),
            source,
        };
        let authority = Authority::parse(name.as_bytes()).map_err(malformed)?;
        if authority.port.is_some() {
            return Err(HostPatternError::Port(text.to_owned()));
        }
        Ok(Self {
            name: authority.host().into(),
            is_wildcard: below.is_some(),
        })
    }

    /// Reports whether the canonical host `host` matches.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        if !self.is_wildcard {
            return *self.name == *host;
        }
        let below = host
            .strip_suffix(&*self.name)
            .and_then(|rest| rest.strip_suffix('.'));
        below.is_some_and(|labels| !labels.is_empty())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            if self.is_wildcard { "*." } else { "" },
            self.name
        )
    }
}

/// Finds what belongs to a host; the most specific pattern wins, in whatever order they were added.
#[derive(Clone, Debug)]
pub struct Hosts<T> {
    exact: HashMap<Box<str>, T>,
    below: HashMap<Box<str>, T>,
}

impl<T> Hosts<T> {
    /// A table of no hosts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pattern.
    ///
    /// # Errors
    ///
    /// Returns the value that the same pattern has already; it stays.
    pub fn insert(&mut self, pattern: &HostPattern, value: T) -> Result<(), &T> {
        let table = if pattern.is_wildcard {
            &mut self.below
        } else {
            &mut self.exact
        };
        match table.entry(pattern.name.clone()) {
            Entry::Occupied(entry) => Err(entry.into_mut()),
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
        }
    }

    /// The value of the most specific pattern that matches.
    #[must_use]
    pub fn get(&self, authority: &Authority<'_>) -> Option<&T> {
        let host = authority.host();
        self.exact.get(host).or_else(|| self.below(host))
    }
}

impl<T> Hosts<T> {
    /// The value of the longest wildcard above a host. Most apps have none.
    fn below(&self, host: &str) -> Option<&T> {
        if self.below.is_empty() {
            return None;
        }
        let mut parents = std::iter::successors(parent(host), |host| parent(host));
        parents.find_map(|parent| self.below.get(parent))
    }
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            below: HashMap::new(),
        }
    }
}

/// The name above; an IPv6 address has none.
fn parent(host: &str) -> Option<&str> {
    host.split_once('.')
        .map(|(_, parent)| parent)
        .filter(|_| !host.starts_with('['))
}

fn parse_port(text: &str) -> Result<u16, AuthorityError> {
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if is_number {
        text.parse().unwrap_or(0)
    } else {
        0
    };
    if port == 0 {
        Err(AuthorityError::BadPort)
    } else {
        Ok(port)
    }
}

fn canonical_name(name: &str) -> Result<Cow<'_, str>, AuthorityError> {
    if name.is_empty() {
        return Err(AuthorityError::Empty);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > MAX_HOST_BYTES {
        return Err(AuthorityError::TooLong);
    }
    let mut has_upper = false;
    for label in name.as_bytes().split(|byte| *byte == b'.') {
        match label.len() {
            0 => return Err(AuthorityError::EmptyLabel),
            1..=MAX_LABEL_BYTES => {}
            _ => return Err(AuthorityError::TooLong),
        }
        for byte in label {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
                b'A'..=b'Z' => has_upper = true,
                _ => return Err(AuthorityError::IllegalCharacter),
            }
        }
    }
    Ok(if has_upper {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    })
}

/// `written` is `address` in its brackets.
fn canonical_ipv6<'a>(written: &'a str, address: &str) -> Result<Cow<'a, str>, AuthorityError> {
    let address: Ipv6Addr = address.parse().map_err(|_| AuthorityError::BadIpv6)?;
    let mut rest = Expected(written);
    if write!(rest, "[{address}]").is_ok() && rest.0.is_empty() {
        return Ok(Cow::Borrowed(written));
    }
    Ok(Cow::Owned(format!("[{address}]")))
}

/// Compares what is written to it with a text, without holding it.
struct Expected<'a>(&'a str);

impl fmt::Write for Expected<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use AuthorityError as E;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn h15_a_host_has_one_canonical_form() {
        for (raw, host, port) in [
            ("books.example", "books.example", None),
            ("Books.EXAMPLE", "books.example", None),
            ("books.example.", "books.example", None),
            ("BOOKS.example.:443", "books.example", Some(443)),
            ("books.example:80", "books.example", Some(80)),
            ("books.example:00080", "books.example", Some(80)),
            ("localhost:65535", "localhost", Some(65535)),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
            ("my_service", "my_service", None),
            ("127.0.0.1:8080", "127.0.0.1", Some(8080)),
            ("[::1]", "[::1]", None),
            ("[::1]:8080", "[::1]", Some(8080)),
            ("[0:0:0:0:0:0:0:1]", "[::1]", None),
            ("[2001:DB8::A]:1", "[2001:db8::a]", Some(1)),
        ] {
            let authority = Authority::parse(raw.as_bytes()).unwrap();
            assert_eq!((authority.host(), authority.port()), (host, port), "{raw}");
            let is_borrowed = matches!(authority.host, Cow::Borrowed(_));
            assert_eq!(is_borrowed, raw.starts_with(host), "{raw}");
        }
    }

    #[test]
    fn malformed_authorities_are_refused() {
        let long_label = "a".repeat(64);
        let long_name = "a.".repeat(127) + "a";
        for (raw, refusal) in [
            ("", E::Empty),
            (":80", E::Empty),
            (".", E::EmptyLabel),
            ("..", E::EmptyLabel),
            (".books.example", E::EmptyLabel),
            ("books..example", E::EmptyLabel),
            ("books.example..", E::EmptyLabel),
            (long_label.as_str(), E::TooLong),
            (long_name.as_str(), E::TooLong),
            ("user@books.example", E::UserInfo),
            ("books.example:80@evil.example", E::UserInfo),
            ("bücher.example", E::NonAscii),
            ("books\u{3002}example", E::NonAscii),
            ("books.example ", E::IllegalCharacter),
            (" books.example", E::IllegalCharacter),
            ("books.example\t", E::IllegalCharacter),
            ("books.example\r\nx: y", E::IllegalCharacter),
            ("books.example\0", E::IllegalCharacter),
            ("books.example,evil.example", E::IllegalCharacter),
            ("books.example/x", E::IllegalCharacter),
            ("books.example?x", E::IllegalCharacter),
            ("books.example#x", E::IllegalCharacter),
            ("books.example\\x", E::IllegalCharacter),
            ("books%2eexample", E::IllegalCharacter),
            ("*.example", E::IllegalCharacter),
            ("books.example:", E::BadPort),
            ("books.example:0", E::BadPort),
            ("books.example:65536", E::BadPort),
            ("books.example:000080", E::BadPort),
            ("books.example:+80", E::BadPort),
            ("books.example:80:80", E::BadPort),
            ("books.example: 80", E::BadPort),
            ("::1", E::Empty),
            ("2001:db8::1", E::BadPort),
            ("[::1", E::BadIpv6),
            ("[]", E::BadIpv6),
            ("[::1%25eth0]", E::BadIpv6),
            ("[v1.x]", E::BadIpv6),
            ("[127.0.0.1]", E::BadIpv6),
            ("[::1]x", E::BadPort),
            ("[::1]:", E::BadPort),
            ("[::1].", E::BadPort),
        ] {
            assert_eq!(Authority::parse(raw.as_bytes()), Err(refusal), "{raw:?}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_or_more_labels() {
        for (pattern, host, matches) in [
            ("books.example", "books.example", true),
            ("Books.Example.", "books.example", true),
            ("books.example", "books.example.", true),
            ("books.example", "a.books.example", false),
            ("books.example", "evilbooks.example", false),
            ("books.example", "books.example.evil.test", false),
            ("books.example", "example", false),
            ("*.books.example", "a.books.example", true),
            ("*.books.example", "a.b.books.example", true),
            ("*.books.example", "books.example", false),
            ("*.books.example", "a.books.example.", true),
            ("*.books.example", "evilbooks.example", false),
            ("*.books.example", "a.evilbooks.example", false),
            ("*.books.example", "a.books.example.evil", false),
            ("localhost", "localhost", true),
            ("[0::1]", "[::1]", true),
        ] {
            let authority = Authority::parse(host.as_bytes()).unwrap();
            let pattern = HostPattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.matches(authority.host()),
                matches,
                "{pattern} {host}"
            );
            let mut hosts = Hosts::new();
            assert!(hosts.insert(&pattern, ()).is_ok());
            assert_eq!(hosts.get(&authority).is_some(), matches, "{pattern} {host}");
        }
    }

    #[test]
    fn malformed_host_patterns_are_refused() {
        for (text, message) in [
            ("", "`` is not a host"),
            (
                "*",
                "`*`: `*` may only be the first label, as in `*.books.example`",
            ),
            (
                "*.*.x",
                "`*.*.x`: `*` may only be the first label, as in `*.books.example`",
            ),
            (
                "a.*.x",
                "`a.*.x`: `*` may only be the first label, as in `*.books.example`",
            ),
            (
                "*x.y",
                "`*x.y`: `*` may only be the first label, as in `*.books.example`",
            ),
            (
                "*.[::1]",
                "`*.[::1]`: `*` may only be the first label, as in `*.books.example`",
            ),
            ("*.", "`*.` is not a host"),
            (
                "localhost:80",
                "`localhost:80` has a port; hosts are matched without it",
            ),
            ("https://x", "`https://x` is not a host"),
            ("bücher.example", "`bücher.example` is not a host"),
        ] {
            assert_eq!(HostPattern::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_most_specific_host_wins() {
        let mut hosts = Hosts::new();
        for pattern in [
            "*.example",
            "*.books.example",
            "a.books.example",
            "books.example",
        ] {
            assert!(
                hosts
                    .insert(&HostPattern::parse(pattern).unwrap(), pattern)
                    .is_ok()
            );
        }
        let again = HostPattern::parse("*.EXAMPLE").unwrap();
        assert_eq!(hosts.insert(&again, "again"), Err(&"*.example"));
        for (host, expected) in [
            ("a.books.example", Some("a.books.example")),
            ("b.books.example", Some("*.books.example")),
            ("b.a.books.example:443", Some("*.books.example")),
            ("books.example", Some("books.example")),
            ("x.example", Some("*.example")),
            ("example", None),
            ("other", None),
        ] {
            let authority = Authority::parse(host.as_bytes()).unwrap();
            assert_eq!(hosts.get(&authority).copied(), expected, "{host}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_host_is_a_fixed_point(raw in "[a-cA-C.:\\[\\]0-9-]{0,12}") {
            if let Ok(authority) = Authority::parse(raw.as_bytes()) {
                let again = Authority::parse(authority.host().as_bytes()).unwrap();
                prop_assert_eq!(again.host(), authority.host());
                prop_assert_eq!(again.port(), None);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(raw in prop::collection::vec(any::<u8>(), 0..32), text in ".*") {
            let _ = Authority::parse(&raw);
            let _ = HostPattern::parse(&text);
        }
    }
}
