//! A live session as the rules see it, whatever it came from.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    session::{Identity, JsonObject, SessionId, SessionRecord},
    store::ForeignSession,
};

/// Where a session's facts are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// In our store.
    Stored(Arc<SessionRecord>),
    /// With an external issuer; its claims are read-only (R18).
    External {
        /// The session at the issuer, under which we keep attributes.
        session: ForeignSession,
        /// The token's id (`jti`).
        token_id: Option<String>,
        /// When the token ends.
        expires_at: Timestamp,
        /// The version of the attributes.
        version: u64,
    },
    /// With a static token of the configuration.
    Static,
    /// With an API key of ours.
    ApiKey {
        /// The key.
        id: SessionId,
        /// When it ends.
        expires_at: Option<Timestamp>,
    },
    /// Stated by who asks: for tests and explanations only.
    Stated,
}

/// A live session.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Where it is kept.
    pub origin: Origin,
    /// The strategy that found it.
    pub strategy: Arc<str>,
    /// Who is signed in, with what.
    pub identity: Identity,
    /// The app's own data.
    pub attributes: JsonObject,
}

impl Session {
    /// The public handle, where it is stored with us.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        match &self.origin {
            Origin::Stored(record) => Some(record.id),
            Origin::External { .. } | Origin::Static | Origin::ApiKey { .. } | Origin::Stated => {
                None
            }
        }
    }

    /// The etag for changes; empty where there are none.
    #[must_use]
    pub fn etag(&self) -> String {
        match &self.origin {
            Origin::Stored(record) => record.etag(),
            Origin::External { version, .. } => format!("\"{version}\""),
            Origin::Static | Origin::ApiKey { .. } | Origin::Stated => String::new(),
        }
    }

    /// When it ends at the latest.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match &self.origin {
            Origin::Stored(record) => Some(record.expires_at),
            Origin::External { expires_at, .. } => Some(*expires_at),
            Origin::ApiKey { expires_at, .. } => *expires_at,
            Origin::Static | Origin::Stated => None,
        }
    }

    /// When it ends if it is not used again.
    #[must_use]
    pub fn idle_expires_at(&self) -> Option<Timestamp> {
        match &self.origin {
            Origin::Stored(record) => Some(record.ends_at()),
            Origin::External { .. } | Origin::Static | Origin::ApiKey { .. } | Origin::Stated => {
                None
            }
        }
    }
}
