//! The strategy `peer`: who the other end of the connection has proven to be is signed in, where
//! nothing else is presented (R8).
//!
//! Which connections prove anything is for the edges to say: what reaches a call is believed here.

use std::fmt;

use crate::{policy::file::ScopesOf, wire::Call};

/// The strategy `peer`.
#[derive(Clone, Debug)]
pub struct PeerStrategy {
    /// The namespace of its principals.
    pub namespace: Box<str>,
    /// Who is signed in; `None` is every peer with an identity.
    pub identities: Option<Box<[IdentityPattern]>>,
    /// What its sessions carry of scopes.
    pub scopes: ScopesOf,
}

impl PeerStrategy {
    /// The identity of a call's peer, if this strategy signs it in.
    #[must_use]
    pub fn find<'c>(&self, call: &'c Call) -> Option<&'c str> {
        let identity = &*call.peer.identity;
        let is_named = || {
            let patterns = self.identities.as_deref();
            patterns.is_none_or(|all| all.iter().any(|pattern| pattern.admits(identity)))
        };
        (!identity.is_empty() && is_named()).then_some(identity)
    }
}

/// Which identities are meant, segment by segment as routes are: `*` is one, `**` at the end the
/// rest. Nothing else has a meaning of its own, and everything has a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityPattern {
    segments: Box<[Box<str>]>,
    rest: bool,
}

/// Why a text is no pattern of identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityPatternError {
    /// It is empty, or begins with a wildcard, so that everybody would be meant.
    #[error("it names nobody: begin with a trust domain, as `spiffe://shop/*`")]
    Everybody,
    /// A star that is no whole segment.
    #[error("`*` stands for one whole segment, and `**` for the rest, at the end")]
    Star,
}

impl IdentityPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Returns [`IdentityPatternError`].
    pub fn parse(text: &str) -> Result<Self, IdentityPatternError> {
        let (head, rest) = match text.strip_suffix("/**") {
            Some(head) => (head, true),
            None => (text, false),
        };
        // A scheme is no name, and a wildcard none either.
        let named = text.split_once("://").map_or(text, |(_, after)| after);
        let first = named.split('/').next().unwrap_or_default();
        if first.is_empty() || matches!(first, "*" | "**") {
            return Err(IdentityPatternError::Everybody);
        }
        let is_odd = |segment: &str| segment.contains('*') && segment != "*";
        if head.split('/').any(is_odd) {
            return Err(IdentityPatternError::Star);
        }
        Ok(Self {
            segments: head.split('/').map(Box::from).collect(),
            rest,
        })
    }

    /// Whether this identity is meant. A wildcard never stands for nothing.
    #[must_use]
    pub fn admits(&self, identity: &str) -> bool {
        let mut given = identity.split('/');
        let begins = self.segments.iter().all(|expected| {
            given.next().is_some_and(|segment| match &**expected {
                "*" => !segment.is_empty(),
                expected => expected == segment,
            })
        });
        let mut rest = given.peekable();
        match (begins, self.rest) {
            (false, _) => false,
            (true, false) => rest.peek().is_none(),
            (true, true) => rest.peek().is_some() && rest.all(|segment| !segment.is_empty()),
        }
    }
}

/// As it was written.
impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments.join("/"))?;
        f.write_str(if self.rest { "/**" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_matched_segment_by_segment() {
        for (pattern, identity, expected) in [
            ("spiffe://shop/web", "spiffe://shop/web", true),
            ("spiffe://shop/web", "spiffe://shop/web/", false),
            ("spiffe://shop/web", "spiffe://shop/webs", false),
            ("spiffe://shop/web", "spiffe://SHOP/web", false),
            ("spiffe://shop/*", "spiffe://shop/web", true),
            ("spiffe://shop/*", "spiffe://shop/", false),
            ("spiffe://shop/*", "spiffe://shop", false),
            ("spiffe://shop/*", "spiffe://shop/web/1", false),
            ("spiffe://shop/*", "spiffe://shop.evil/web", false),
            ("spiffe://shop/*/api", "spiffe://shop/eu/api", true),
            ("spiffe://shop/*/api", "spiffe://shop/eu/1/api", false),
            ("spiffe://shop/**", "spiffe://shop/eu/api", true),
            ("spiffe://shop/**", "spiffe://shop/web", true),
            ("spiffe://shop/**", "spiffe://shop", false),
            ("spiffe://shop/**", "spiffe://shop/", false),
            ("spiffe://shop/**", "spiffe://shop/a//b", false),
            ("spiffe://shop/**", "spiffe://shopping/web", false),
            ("spiffe://s.p/**", "spiffe://sxp/web", false),
            ("api.shop.example", "api.shop.example", true),
            ("api.shop.example", "apixshop.example", false),
            ("CN=web,O=Shop", "CN=web,O=Shop", true),
        ] {
            let read = IdentityPattern::parse(pattern).unwrap();
            assert_eq!(read.admits(identity), expected, "{pattern}: {identity}");
            assert_eq!(read.to_string(), pattern);
        }
    }

    #[test]
    fn a_pattern_names_somebody_and_has_whole_segments() {
        for (text, expected) in [
            ("", IdentityPatternError::Everybody),
            ("*", IdentityPatternError::Everybody),
            ("**", IdentityPatternError::Everybody),
            ("/**", IdentityPatternError::Everybody),
            ("*/web", IdentityPatternError::Everybody),
            ("spiffe://", IdentityPatternError::Everybody),
            ("spiffe://*/web", IdentityPatternError::Everybody),
            ("spiffe:///web", IdentityPatternError::Everybody),
            ("spiffe://**", IdentityPatternError::Everybody),
            ("spiffe://*", IdentityPatternError::Everybody),
            ("spiffe:///**", IdentityPatternError::Everybody),
            ("spiffe://shop/web*", IdentityPatternError::Star),
            ("spiffe://shop/**/web", IdentityPatternError::Star),
            ("*.shop.example", IdentityPatternError::Star),
        ] {
            assert_eq!(IdentityPattern::parse(text), Err(expected), "{text}");
        }
    }
}
