//! API keys, and the verbs for them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::{CreateError, Death, Ending, StoreError};
use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{Expiry, JsonObject, Revocation, SessionId, Tenant, TokenHash},
};

/// An API key as a store keeps it (T-19).
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    /// Its public handle.
    pub id: SessionId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The hash of the key.
    pub hash: TokenHash,
    /// What people call it.
    pub name: String,
    /// For whom it acts.
    pub subject: Principal,
    /// Facts about the holder, as a sign-in would give.
    pub claims: JsonObject,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    pub all_scopes: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// Who revoked it, when and why.
    pub revoked: Option<Revocation>,
}

impl ApiKey {
    /// Why the key may no longer be used at `now`; `None` while it may.
    #[must_use]
    pub fn death(&self, now: Timestamp) -> Option<Death> {
        match (&self.revoked, self.expires_at) {
            (Some(revocation), _) => Some(Death::Revoked(revocation.clone())),
            (None, Some(end)) if now >= end => Some(Death::Expired {
                limit: Expiry::Lifetime,
            }),
            _ => None,
        }
    }
}

/// Keeps API keys.
///
/// # Errors
///
/// As [`SessionStore`](super::SessionStore).
#[async_trait]
pub trait ApiKeyStore: fmt::Debug + Send + Sync + 'static {
    /// Adds a key. Never changes an existing one.
    async fn create_key(&self, key: ApiKey) -> Result<(), CreateError>;

    /// Finds a key by its hash, dead or alive.
    async fn load_key(
        &self,
        tenant: &Tenant,
        hash: &TokenHash,
    ) -> Result<Option<Arc<ApiKey>>, StoreError>;

    /// Lists keys by id, those after `after`, at most `limit`.
    async fn list_keys(
        &self,
        tenant: &Tenant,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key. Answers whether it was live; `None` when there is no such key.
    async fn revoke_key(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError>;
}
