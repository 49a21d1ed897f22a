//! A live session as the rules see it, whatever it came from.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    scope::ScopeMatching,
    session::{Identity, JsonObject, SessionId, SessionRecord},
    store::ForeignSession,
    value::Value,
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
        /// When the token was issued, if it says so.
        issued_at: Option<Timestamp>,
        /// When the token ends.
        expires_at: Timestamp,
        /// The version of the attributes.
        version: u64,
    },
    /// With a static token of the configuration.
    Static,
    /// With the peer, who proves it with each connection.
    Peer {
        /// When its certificate ends, where that is known.
        expires_at: Option<Timestamp>,
    },
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
    /// How its scopes are read.
    pub scope_matching: ScopeMatching,
    facts: Facts,
}

/// What checks read, in the form they read it.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    principal: Option<Box<str>>,
    actor: Option<Box<str>>,
    claims: Value,
    attributes: Value,
    scopes: Box<[Value]>,
    amr: Box<[Value]>,
}

impl Session {
    /// A session of these facts.
    #[must_use]
    pub fn new(
        origin: Origin,
        strategy: Arc<str>,
        identity: Identity,
        attributes: JsonObject,
        scope_matching: ScopeMatching,
    ) -> Self {
        let text = |text: &String| Value::String(text.as_str().into());
        let facts = Facts {
            principal: identity
                .subject
                .as_ref()
                .map(|subject| subject.to_string().into()),
            actor: identity
                .actor
                .as_ref()
                .map(|actor| actor.to_string().into()),
            claims: Value::from(&identity.claims),
            attributes: Value::from(&attributes),
            scopes: identity.scopes.iter().map(text).collect(),
            amr: identity.amr.iter().map(text).collect(),
        };
        Self {
            origin,
            strategy,
            identity,
            attributes,
            scope_matching,
            facts,
        }
    }

    /// A session of our store.
    #[must_use]
    pub fn stored(record: Arc<SessionRecord>, strategy: Arc<str>) -> Self {
        let (identity, attributes) = (record.identity.clone(), record.attributes.clone());
        let matching = ScopeMatching::Hierarchical;
        Self::new(
            Origin::Stored(record),
            strategy,
            identity,
            attributes,
            matching,
        )
    }

    /// Whether somebody is signed in (R7).
    #[must_use]
    pub const fn is_signed_in(&self) -> bool {
        self.identity.subject.is_some()
    }

    /// The subject as `namespace/id`.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.facts.principal.as_deref()
    }

    /// The actor as `namespace/id`.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.facts.actor.as_deref()
    }

    /// A claim.
    #[inline]
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.facts.claims.get(name)
    }

    /// An attribute.
    #[inline]
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.facts.attributes.get(name)
    }

    /// The scopes, as checks read them.
    #[must_use]
    pub fn scopes(&self) -> &[Value] {
        &self.facts.scopes
    }

    /// The authentication methods, as checks read them.
    #[must_use]
    pub fn amr(&self) -> &[Value] {
        &self.facts.amr
    }

    /// Whether its scopes cover all that are needed (R21).
    #[must_use]
    pub fn covers(&self, needed: &[String]) -> bool {
        self.identity.all_scopes
            || self
                .scope_matching
                .all_covered(&self.identity.scopes, needed)
    }

    /// The public handle, where it is stored with us.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        match &self.origin {
            Origin::Stored(record) => Some(record.id),
            Origin::External { .. }
            | Origin::Static
            | Origin::Peer { .. }
            | Origin::ApiKey { .. }
            | Origin::Stated => None,
        }
    }

    /// The etag for changes; empty where there are none.
    #[must_use]
    pub fn etag(&self) -> String {
        match &self.origin {
            Origin::Stored(record) => record.etag(),
            Origin::External { version, .. } => format!("\"{version}\""),
            Origin::Static | Origin::Peer { .. } | Origin::ApiKey { .. } | Origin::Stated => {
                String::new()
            }
        }
    }

    /// When it ends at the latest.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match &self.origin {
            Origin::Stored(record) => Some(record.expires_at),
            Origin::External { expires_at, .. } => Some(*expires_at),
            Origin::ApiKey { expires_at, .. } | Origin::Peer { expires_at } => *expires_at,
            Origin::Static | Origin::Stated => None,
        }
    }

    /// When it ends if it is not used again.
    #[must_use]
    pub fn idle_expires_at(&self) -> Option<Timestamp> {
        match &self.origin {
            Origin::Stored(record) => Some(record.ends_at()),
            Origin::External { .. }
            | Origin::Static
            | Origin::Peer { .. }
            | Origin::ApiKey { .. }
            | Origin::Stated => None,
        }
    }
}
