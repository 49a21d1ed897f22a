//! Who acts: a principal is a name in a namespace, and two namespaces never share a person (R23).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::text::is_hidden;

/// The namespace of principals that sign in through the app itself.
pub const LOCAL_NAMESPACE: &str = "local";

/// The namespace of workloads: peers that have proven who they are.
pub const PEER_NAMESPACE: &str = "peer";

/// The longest principal id accepted, in bytes.
pub const MAX_ID_BYTES: usize = 255;

/// A person, service or device: `namespace/id`.
///
/// The same id in two namespaces is two principals (R23, SECURITY T-14).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    namespace: Box<str>,
    id: Box<str>,
}

impl Principal {
    /// The principal `id` in `namespace`.
    ///
    /// # Errors
    ///
    /// Returns [`PrincipalError`] when the namespace is not a lower-case name of up to 64 bytes, or
    /// the id is empty, longer than [`MAX_ID_BYTES`] or holds control characters.
    pub fn new(namespace: &str, id: &str) -> Result<Self, PrincipalError> {
        if !is_namespace(namespace) {
            return Err(PrincipalError::Namespace(printable(namespace)));
        }
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(PrincipalError::Length(id.len()));
        }
        if id.contains(is_hidden) {
            return Err(PrincipalError::ControlCharacter);
        }
        Ok(Self {
            namespace: namespace.into(),
            id: id.into(),
        })
    }

    /// The principal `id` in the namespace [`LOCAL_NAMESPACE`].
    ///
    /// # Errors
    ///
    /// As [`Principal::new`].
    pub fn local(id: &str) -> Result<Self, PrincipalError> {
        Self::new(LOCAL_NAMESPACE, id)
    }

    /// Where the id is unique.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name within the namespace.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the principal belongs to the default namespace, `local`.
    #[must_use]
    pub fn is_local(&self) -> bool {
        &*self.namespace == LOCAL_NAMESPACE
    }
}

/// `namespace/id`.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.id)
    }
}

/// Reads `namespace/id`, or a bare `id` in the namespace `local`.
impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, id)) => Self::new(namespace, id),
            None => Self::local(text),
        }
    }
}

impl Serialize for Principal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text names no principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    /// The namespace is malformed.
    #[error(
        "`{0}` is no namespace: 1 to 64 lower-case letters, digits, `-`, `_` or `.`, \
         starting with a letter"
    )]
    Namespace(String),
    /// The id is empty or too long.
    #[error("a principal id has 1 to 255 bytes, this one has {0}")]
    Length(usize),
    /// The id holds a control character.
    #[error("a principal id holds no control characters")]
    ControlCharacter,
}

/// Whether `text` is a name as namespaces, callers, apps and tenants bear them.
#[must_use]
pub fn is_namespace(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
        })
}

fn printable(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_id_belongs_to_the_local_namespace() {
        assert_eq!("u1".parse::<Principal>(), Principal::new("local", "u1"));
    }

    #[test]
    fn an_id_may_hold_slashes_but_a_namespace_may_not() {
        let principal: Principal = "idp/team/42".parse().unwrap();
        assert_eq!((principal.namespace(), principal.id()), ("idp", "team/42"));
    }

    #[test]
    fn a_malformed_principal_is_refused() {
        for text in [
            "",
            "/",
            "idp/",
            "/u1",
            "Idp/u1",
            "idp/a\u{0}b",
            "idp/a\r\nb",
            "idp/a\u{202e}b",
        ] {
            assert!(text.parse::<Principal>().is_err(), "{text:?}");
        }
    }
}
