//! Sessions: the record that a store keeps, its public handle and its secret.
//!
//! A [`SessionId`] may stand in lists, logs and URLs and opens nothing. A [`SessionToken`] is the
//! secret: it is given out once, and a store sees only its [`TokenHash`] (R12).

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    principal::Principal,
    random::{Random, RandomError},
};

/// A JSON object: claims or attributes.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

/// The largest record accepted, in bytes of claims and attributes as JSON (SECURITY 5.1).
pub const MAX_RECORD_BYTES: usize = 16 * 1024;

/// The public handle of a session: for lists, logs and administration; no credential.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(uuid::Uuid);

impl SessionId {
    /// A new id, ordered by `now` (UUID version 7, RFC 9562 section 5.7).
    ///
    /// # Errors
    ///
    /// Returns [`RandomError`] when no randomness can be had.
    pub fn generate(random: &dyn Random, now: Timestamp) -> Result<Self, RandomError> {
        let mut bytes = [0; 10];
        random.fill(&mut bytes)?;
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        Ok(Self(
            uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid(),
        ))
    }

    /// The id of these bytes, as a store kept them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The bytes that a store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Reads the printed form; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What carries a session's token. A token of one kind is no credential of another (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A cookie.
    Cookie,
    /// An `Authorization: Bearer` token.
    Bearer,
}

impl TokenKind {
    /// The name in stores, logs and lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Bearer => "bearer",
        }
    }
}

/// The secret of a session: `sg1_` and base64url of two shard bytes and 32 random bytes.
///
/// Its `Debug` prints no part of it. It is meaningless but for the shard, which is keyed (S-02).
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken([u8; Self::BYTES]);

impl SessionToken {
    /// Two bytes of keyed shard and 32 random bytes.
    pub const BYTES: usize = 34;

    /// A new token in `shard`.
    ///
    /// # Errors
    ///
    /// Returns [`RandomError`] when no randomness can be had; there is no fallback (S-01).
    pub fn generate(random: &dyn Random, shard: [u8; 2]) -> Result<Self, RandomError> {
        let mut bytes = [0; Self::BYTES];
        random.fill(&mut bytes)?;
        let [first, second, ..] = &mut bytes;
        [*first, *second] = shard;
        Ok(Self(bytes))
    }

    /// The token of these bytes, as a client presented them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes behind the text.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// What a store may see of the token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// SHA-256 of a secret: what stores keep of tokens and API keys (S-14). It opens nothing itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
        Self(bytes)
    }

    /// The hash of these bytes, as a store kept them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that a store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A tenant: stores, sessions, keys and revocations of two tenants never meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The tenant `name`; `None` unless it is a lower-case name of up to 64 bytes.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        crate::principal::is_namespace(name).then(|| Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tenant of those who name none: `default`.
impl Default for Tenant {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who a session is for and what it may do: fixed at sign-in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Who is signed in; `None` is an anonymous session, which never satisfies
    /// `session: required` (R7).
    pub subject: Option<Principal>,
    /// Who acts on the subject's behalf (RFC 8693 section 4.1).
    pub actor: Option<Principal>,
    /// Facts from sign-in or issuer; only a new sign-in changes them.
    pub claims: JsonObject,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    pub all_scopes: bool,
    /// When the subject last proved who they are.
    pub auth_time: Option<Timestamp>,
    /// How strongly (OpenID Connect Core 1.0 section 2, `acr`).
    pub acr: Option<String>,
    /// By which methods (RFC 8176).
    pub amr: Vec<String>,
}

/// A session as a store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// Its public handle.
    pub id: SessionId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Who is signed in, with what.
    pub identity: Identity,
    /// The app's own data.
    pub attributes: JsonObject,
    /// What carries its token.
    pub kind: TokenKind,
    /// The one strategy that its tokens are credentials of, as `cookie` or `cookie.NAME`; `None` is
    /// any of its kind.
    pub strategy: Option<Arc<str>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The end of its lifetime, which nothing extends (S-07).
    pub expires_at: Timestamp,
    /// How long it may stay unused.
    pub idle: Duration,
    /// When it was last used, as far as written (R14: at most once per interval).
    pub last_seen: Timestamp,
    /// When its present token was made.
    pub token_issued_at: Timestamp,
    /// Counts changes of identity, attributes and token; a stale one is refused (R16).
    pub version: u64,
}

impl SessionRecord {
    /// When the session ends if it is not used again: the earlier of idle end and lifetime end.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.last_seen.plus(self.idle).min(self.expires_at)
    }

    /// Why the session may no longer be used at `now`; `None` while it may.
    ///
    /// The instant of expiry counts as expired.
    #[must_use]
    pub fn expiry(&self, now: Timestamp) -> Option<Expiry> {
        if now >= self.expires_at {
            Some(Expiry::Lifetime)
        } else if now >= self.last_seen.plus(self.idle) {
            Some(Expiry::Idle)
        } else {
            None
        }
    }

    /// Whether its tokens are credentials of this strategy (R12).
    #[must_use]
    pub fn is_of(&self, strategy: &str) -> bool {
        self.strategy.as_deref().is_none_or(|own| own == strategy)
    }

    /// The etag that updates of this version carry.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
}

/// Which limit ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// It was not used for too long.
    Idle,
    /// It reached the end of its lifetime.
    Lifetime,
}

impl Expiry {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
        }
    }
}

/// Who ended a session, when and why (R15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// The caller or operator who asked.
    pub by: String,
    /// The kind of act.
    pub cause: RevocationCause,
    /// Words given with it; empty when none were.
    pub reason: String,
}

/// The act that ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationCause {
    /// Its own user logged out.
    Logout,
    /// Its user logged out elsewhere and took this one along.
    LogoutElsewhere,
    /// A new sign-in took its place (R13).
    Replaced,
    /// The subject had too many and it was the oldest.
    Evicted,
    /// An operator revoked it.
    Revoked,
    /// An operator revoked all of the subject's.
    SubjectRevoked,
    /// An operator revoked everyone's.
    AllRevoked,
}

impl RevocationCause {
    /// The name in stores, logs, metrics and lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutElsewhere => "logout_elsewhere",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::Revoked => "revoked",
            Self::SubjectRevoked => "subject_revoked",
            Self::AllRevoked => "all_revoked",
        }
    }
}
