//! Cookies of ours: their attributes, and the `Set-Cookie` lines that carry and remove tokens.

use std::{fmt::Write as _, time::Duration};

use crate::{clock::Timestamp, grammar::TOKEN_CHARS, policy::file::SameSite};

/// The largest name and value together, in bytes: browsers drop longer cookies in silence
/// (RFC 6265bis section 5.6, SECURITY C-05).
pub const MAX_COOKIE_BYTES: usize = 4096;
/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 128;
const _: () = assert!(MAX_NAME_BYTES + TOKEN_CHARS <= MAX_COOKIE_BYTES);
/// The largest value of an attribute, in bytes: browsers ignore longer ones (the same section).
pub const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// How long a browser keeps a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieAge {
    /// As long as the session may last.
    Lifetime,
    /// Until the browser is closed.
    Browser,
    /// This long, but no longer than the session may last.
    Span(Duration),
}

/// The settings of a cookie, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// When it is sent across sites.
    pub same_site: SameSite,
    /// Whether it is sent over TLS only.
    pub secure: bool,
    /// Whether scripts cannot read it.
    pub http_only: bool,
    /// Its path.
    pub path: String,
    /// Its domain; `None` is the host alone.
    pub domain: Option<String>,
    /// How long the browser keeps it.
    pub age: CookieAge,
}

/// `__Host-session; Path=/; Secure; HttpOnly; SameSite=Lax` (SECURITY C-01).
impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: "__Host-session".into(),
            same_site: SameSite::Lax,
            secure: true,
            http_only: true,
            path: "/".into(),
            domain: None,
            age: CookieAge::Lifetime,
        }
    }
}

/// Why a cookie cannot be as asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// The name is no token.
    #[error(
        "`{0}` is no cookie name: up to {MAX_NAME_BYTES} letters, digits and `!#$%&'*+-.^_|~` (RFC 6265bis)"
    )]
    Name(String),
    /// An attribute that browsers ignore.
    #[error("a cookie's path or domain may have {MAX_ATTRIBUTE_BYTES} bytes")]
    AttributeTooLong,
    /// The prefix `__Host-` asks for more.
    #[error("a cookie named `__Host-...` needs `secure: true`, `path: /` and no `domain`")]
    HostPrefix,
    /// The prefix `__Secure-` asks for more.
    #[error("a cookie named `__Secure-...` needs `secure: true`")]
    SecurePrefix,
    /// Browsers ignore such a cookie.
    #[error("`same_site: none` needs `secure: true`")]
    CrossSiteInsecure,
    /// The path is none.
    #[error("`{0}` is no cookie path: it starts with `/` and holds no `;` or control character")]
    Path(String),
    /// The domain is none.
    #[error("`{0}` is no cookie domain")]
    Domain(String),
    /// It would outlive its session.
    #[error("the cookie would be kept longer than the session may last, which is {0} s")]
    OutlivesSession(u64),
}

impl Cookie {
    /// Checks the settings against each other, and the age against the sessions' lifetime.
    ///
    /// # Errors
    ///
    /// Returns the first [`CookieError`].
    pub fn validate(&self, lifetime: Duration) -> Result<(), CookieError> {
        let has_prefix = |prefix: &str| {
            self.name
                .get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        if !is_token(&self.name) {
            return Err(CookieError::Name(self.name.escape_debug().to_string()));
        }
        let domain = self.domain.as_deref().unwrap_or_default();
        if self.path.len().max(domain.len()) > MAX_ATTRIBUTE_BYTES {
            return Err(CookieError::AttributeTooLong);
        }
        if has_prefix("__Host-") && (!self.secure || self.path != "/" || self.domain.is_some()) {
            return Err(CookieError::HostPrefix);
        }
        if has_prefix("__Secure-") && !self.secure {
            return Err(CookieError::SecurePrefix);
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(CookieError::CrossSiteInsecure);
        }
        if !self.path.starts_with('/') || self.path.contains(|c: char| c == ';' || c.is_control()) {
            return Err(CookieError::Path(self.path.escape_debug().to_string()));
        }
        if let Some(domain) = self.domain.as_deref().filter(|domain| !is_domain(domain)) {
            return Err(CookieError::Domain(domain.escape_debug().to_string()));
        }
        match self.age {
            CookieAge::Span(age) if age > lifetime => {
                Err(CookieError::OutlivesSession(lifetime.as_secs()))
            }
            _ => Ok(()),
        }
    }

    /// The `Set-Cookie` value that hands out `value`, for a session that ends at `expires_at`.
    #[must_use]
    pub fn set(&self, value: &str, now: Timestamp, expires_at: Timestamp) -> String {
        let left = expires_at.since(now);
        let age = match self.age {
            CookieAge::Browser => None,
            CookieAge::Lifetime => Some(left),
            CookieAge::Span(age) => Some(age.min(left)),
        };
        self.line(value, age.map(|age| age.as_secs()))
    }

    /// The `Set-Cookie` value that removes the cookie.
    #[must_use]
    pub fn expire(&self) -> String {
        self.line("", Some(0))
    }

    fn line(&self, value: &str, max_age: Option<u64>) -> String {
        let mut line = format!("{}={value}; Path={}", self.name, self.path);
        if let Some(domain) = &self.domain {
            let _ = write!(line, "; Domain={domain}");
        }
        if let Some(max_age) = max_age {
            let _ = write!(line, "; Max-Age={max_age}");
        }
        if self.secure {
            line.push_str("; Secure");
        }
        if self.http_only {
            line.push_str("; HttpOnly");
        }
        line.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        line
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME_BYTES
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_|~".contains(&byte))
}

fn is_domain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn the_default_is_a_host_cookie() {
        let cookie = Cookie::default();
        let now = Timestamp::from_seconds(0);
        assert_eq!(cookie.validate(DAY), Ok(()));
        assert_eq!(
            cookie.set("sg1_x", now, now.plus(DAY)),
            "__Host-session=sg1_x; Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            cookie.expire(),
            "__Host-session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn c05_a_cookie_is_never_longer_than_browsers_keep() {
        let named = |length: usize| Cookie {
            name: "s".repeat(length),
            ..Cookie::default()
        };
        let longest = named(MAX_NAME_BYTES);
        assert_eq!(longest.validate(DAY), Ok(()));
        let longer = named(MAX_NAME_BYTES + 1).validate(DAY);
        assert!(matches!(longer, Err(CookieError::Name(_))), "{longer:?}");
        let now = Timestamp::from_seconds(1_800_000_000);
        let token = crate::grammar::TokenText::new(&[7; 34]);
        let line = longest.set(token.as_str(), now, now.plus(DAY));
        let pair = line.split(';').next().unwrap();
        assert!(pair.len() - "=".len() <= MAX_COOKIE_BYTES, "{pair}");
    }

    #[test]
    fn c05_an_attribute_is_never_longer_than_browsers_read() {
        for (length, expected) in [
            (MAX_ATTRIBUTE_BYTES, Ok(())),
            (MAX_ATTRIBUTE_BYTES + 1, Err(CookieError::AttributeTooLong)),
        ] {
            let cookie = Cookie {
                name: "s".into(),
                path: format!("/{}", "a".repeat(length - 1)),
                ..Cookie::default()
            };
            assert_eq!(cookie.validate(DAY), expected, "{length}");
        }
    }

    #[test]
    fn settings_that_browsers_would_ignore_are_refused() {
        let cookie = Cookie::default;
        for (bad, err) in [
            (
                Cookie {
                    domain: Some("a.example".into()),
                    ..cookie()
                },
                CookieError::HostPrefix,
            ),
            (
                Cookie {
                    secure: false,
                    ..cookie()
                },
                CookieError::HostPrefix,
            ),
            (
                Cookie {
                    path: "/x".into(),
                    ..cookie()
                },
                CookieError::HostPrefix,
            ),
            (
                Cookie {
                    name: "__Secure-s".into(),
                    secure: false,
                    ..cookie()
                },
                CookieError::SecurePrefix,
            ),
            (
                Cookie {
                    name: "s".into(),
                    secure: false,
                    same_site: SameSite::None,
                    ..cookie()
                },
                CookieError::CrossSiteInsecure,
            ),
            (
                Cookie {
                    name: "s x".into(),
                    ..cookie()
                },
                CookieError::Name("s x".into()),
            ),
            (
                Cookie {
                    age: CookieAge::Span(2 * DAY),
                    ..cookie()
                },
                CookieError::OutlivesSession(86_400),
            ),
        ] {
            assert_eq!(bad.validate(DAY), Err(err), "{bad:?}");
        }
    }
}
