//! What is known about tokens that others issue, and the verbs for it.

use std::fmt;

use async_trait::async_trait;

use super::{Change, Ending, StoreError, UpdateError};
use crate::{
    clock::Timestamp,
    session::{JsonObject, Revocation, Tenant},
};

/// What names a foreign token for revocation: never a hash of its text (T-13).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForeignHandle {
    /// One token (RFC 7519 section 4.1.7).
    Jti(String),
    /// All tokens of one session at the issuer.
    Sid(String),
}

/// The session of an external token, across its renewals (R18).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignSession {
    /// The issuer (`iss`).
    pub issuer: String,
    /// The subject at the issuer (`sub`).
    pub subject: String,
    /// The session at the issuer (`sid`), else the client (`client_id`), else empty.
    pub discriminator: String,
}

/// Keeps what we know about tokens that others issue: revocations, and attributes set on them.
///
/// # Errors
///
/// As [`SessionStore`](super::SessionStore).
#[async_trait]
pub trait ForeignTokenStore: fmt::Debug + Send + Sync + 'static {
    /// Refuses the tokens of `handle` until `until`, by when they have expired by themselves.
    async fn revoke_foreign(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handle: ForeignHandle,
        until: Timestamp,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The first revocation that one of these handles is under.
    async fn foreign_revocation(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handles: &[ForeignHandle],
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError>;

    /// The attributes set on a foreign session, with their version; version 0 when none are.
    async fn foreign_attributes(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), StoreError>;

    /// Changes the attributes of a foreign session and keeps them until `until` at least.
    async fn update_foreign(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        expected_version: Option<u64>,
        change: Change,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), UpdateError>;
}
