//! Which operation a path reaches, and which paths a rule covers.
//!
//! Patterns are anchored and compared segment by segment; there are no regular expressions (H-03). The most
//! specific pattern wins, so the order in a file never matters.

mod pattern;
mod prefix;
mod router;

pub use self::{
    pattern::{MAX_SEGMENTS, Pattern, PatternError, PatternErrorKind},
    prefix::{Covers, Prefix},
    router::{Conflict, Lookup, Match, Router},
};

use std::fmt;

use crate::grammar::is_token_byte;

/// The method of an HTTP route.
///
/// Methods are case-sensitive tokens (RFC 9110 section 9.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Written `ANY`: whatever method has no route of its own on the same pattern, but `CONNECT`.
    Any,
    /// Exactly this method.
    Exactly(Box<str>),
}

impl Method {
    /// Reads a method as a policy file writes it: a token, or `ANY`.
    ///
    /// # Errors
    ///
    /// Returns [`MethodError`] when it is no token, a standard method in the wrong case, or one that
    /// has no path.
    pub fn parse(text: &str) -> Result<Self, MethodError> {
        if text == "ANY" {
            return Ok(Self::Any);
        }
        if text.is_empty() || !text.bytes().all(is_token_byte) {
            return Err(MethodError::NotAToken(text.to_owned()));
        }
        if text == CONNECT {
            return Err(MethodError::Tunnel);
        }
        // Token characters both, but here they are a wish for more than one method.
        if text.contains(['|', '*']) {
            return Err(MethodError::Several(text.to_owned()));
        }
        let upper = text.to_ascii_uppercase();
        if upper != text && (STANDARD_METHODS.contains(&upper.as_str()) || upper == "ANY") {
            return Err(MethodError::Case {
                found: text.to_owned(),
                meant: upper,
            });
        }
        Ok(Self::Exactly(text.into()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "ANY",
            Self::Exactly(method) => method,
        })
    }
}

/// The method that has no path.
pub(crate) const CONNECT: &str = "CONNECT";

const STANDARD_METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", CONNECT, "OPTIONS", "TRACE", "PATCH",
];

/// Why a method is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// It is empty or holds a character that no method may have (RFC 9110 section 5.6.2).
    #[error("`{0}` is not a method")]
    NotAToken(String),
    /// It is `CONNECT`, which names a host and no path (RFC 9110 section 9.3.6).
    #[error("`CONNECT` asks for a tunnel, and has no path")]
    Tunnel,
    /// It looks like a pattern or a list.
    #[error("`{0}` is not one method; list several routes, or write `ANY`")]
    Several(String),
    /// It would never match, because methods are case-sensitive.
    #[error("method `{found}` would never match; did you mean `{meant}`?")]
    Case {
        /// The method as written.
        found: String,
        /// The method that was probably meant.
        meant: String,
    },
}

/// An HTTP target of an operation: `DELETE /books/{book_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The method it answers.
    pub method: Method,
    /// The paths it answers.
    pub pattern: Pattern,
}

impl Route {
    /// Reads a method, one space and a path pattern.
    ///
    /// # Errors
    ///
    /// Returns [`RouteError`] when the text has another shape or one of its parts is malformed.
    pub fn parse(text: &str) -> Result<Self, RouteError> {
        let (method, pattern) = text
            .split_once(' ')
            .ok_or_else(|| RouteError::Shape(text.to_owned()))?;
        Ok(Self {
            method: Method::parse(method)?,
            pattern: Pattern::parse(pattern)?,
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.pattern)
    }
}

/// Why a route is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It is not two words.
    #[error("`{0}` is not a method, one space and a path, as in `GET /books`")]
    Shape(String),
    /// The first word is no method.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// The second word is no pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_a_method_and_a_pattern() {
        for text in [
            "GET /",
            "DELETE /books/{book_id}",
            "ANY /**",
            "purge /cache",
            "M-SEARCH /x",
        ] {
            assert_eq!(Route::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_malformed_route_says_what_is_wrong() {
        for (text, message) in [
            (
                "/books",
                "`/books` is not a method, one space and a path, as in `GET /books`",
            ),
            (
                "GET",
                "`GET` is not a method, one space and a path, as in `GET /books`",
            ),
            (
                "GET|HEAD /x",
                "`GET|HEAD` is not one method; list several routes, or write `ANY`",
            ),
            (
                "* /x",
                "`*` is not one method; list several routes, or write `ANY`",
            ),
            (
                "get /books",
                "method `get` would never match; did you mean `GET`?",
            ),
            (
                "any /books",
                "method `any` would never match; did you mean `ANY`?",
            ),
            ("G/T /books", "`G/T` is not a method"),
            (" /books", "`` is not a method"),
            (
                "GET  /books",
                "pattern ` /books`: it does not begin with `/`, at column 1",
            ),
            (
                "GET books",
                "pattern `books`: it does not begin with `/`, at column 1",
            ),
        ] {
            assert_eq!(
                Route::parse(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
    }
}
