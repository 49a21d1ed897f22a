//! A store that cannot answer, whatever it is asked.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{JsonObject, Revocation, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{
        ApiKey, ApiKeyStore, Change, Changes, CreateError, Created, Ending, ForeignHandle,
        ForeignSession, ForeignTokenStore, Listed, Loaded, NewSession, Page, Position, Rotation,
        SessionFilter, SessionStore, StoreError, Swept, UpdateError,
    },
};

/// A store that is out of reach.
#[derive(Clone, Copy, Debug)]
pub struct FailingStore;

fn down() -> StoreError {
    StoreError::Unavailable("it was taken away by the test".into())
}

#[async_trait]
impl SessionStore for FailingStore {
    async fn create(&self, _: NewSession, _: Timestamp) -> Result<Created, CreateError> {
        Err(down().into())
    }

    async fn load(
        &self,
        _: &Tenant,
        _: TokenKind,
        _: &TokenHash,
        _: Timestamp,
    ) -> Result<Loaded, StoreError> {
        Err(down())
    }

    async fn get(
        &self,
        _: &Tenant,
        _: &SessionId,
        _: Timestamp,
    ) -> Result<Option<Listed>, StoreError> {
        Err(down())
    }

    async fn update(
        &self,
        _: &Tenant,
        _: &SessionId,
        _: Option<u64>,
        _: Change,
        _: &str,
        _: Timestamp,
    ) -> Result<SessionRecord, UpdateError> {
        Err(down().into())
    }

    async fn touch(
        &self,
        _: &Tenant,
        _: &SessionId,
        _: &TokenHash,
        _: Duration,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        Err(down())
    }

    async fn rotate(
        &self,
        _: &Tenant,
        _: &SessionId,
        _: Option<u64>,
        _: TokenHash,
        _: Rotation,
        _: &str,
        _: Timestamp,
    ) -> Result<SessionRecord, UpdateError> {
        Err(down().into())
    }

    async fn revoke(
        &self,
        _: &Tenant,
        _: &SessionId,
        _: Ending,
        _: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        Err(down())
    }

    async fn revoke_subject(
        &self,
        _: &Tenant,
        _: &Principal,
        _: Option<&SessionId>,
        _: Ending,
        _: Timestamp,
    ) -> Result<u64, StoreError> {
        Err(down())
    }

    async fn revoke_all(
        &self,
        _: &Tenant,
        _: Option<u64>,
        _: Ending,
        _: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        Err(down())
    }

    async fn count(
        &self,
        _: &Tenant,
        _: Option<&Principal>,
        _: Timestamp,
    ) -> Result<u64, StoreError> {
        Err(down())
    }

    async fn list(
        &self,
        _: &Tenant,
        _: &SessionFilter,
        _: Option<&SessionId>,
        _: usize,
        _: Timestamp,
    ) -> Result<Page, StoreError> {
        Err(down())
    }

    async fn position(&self) -> Result<Position, StoreError> {
        Err(down())
    }

    async fn watch(&self, _: &Tenant, _: Position, _: usize) -> Result<Changes, StoreError> {
        Err(down())
    }

    async fn subject_revoked_at(
        &self,
        _: &Tenant,
        _: &Principal,
    ) -> Result<Option<Timestamp>, StoreError> {
        Err(down())
    }

    async fn sweep(&self, _: usize, _: Timestamp) -> Result<Swept, StoreError> {
        Err(down())
    }
}

#[async_trait]
impl ApiKeyStore for FailingStore {
    async fn create_key(&self, _: ApiKey) -> Result<(), CreateError> {
        Err(down().into())
    }

    async fn load_key(&self, _: &Tenant, _: &TokenHash) -> Result<Option<Arc<ApiKey>>, StoreError> {
        Err(down())
    }

    async fn list_keys(
        &self,
        _: &Tenant,
        _: Option<&SessionId>,
        _: usize,
    ) -> Result<Vec<ApiKey>, StoreError> {
        Err(down())
    }

    async fn revoke_key(
        &self,
        _: &Tenant,
        _: &SessionId,
        _: Ending,
        _: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        Err(down())
    }
}

#[async_trait]
impl ForeignTokenStore for FailingStore {
    async fn revoke_foreign(
        &self,
        _: &Tenant,
        _: &str,
        _: ForeignHandle,
        _: Timestamp,
        _: Ending,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        Err(down())
    }

    async fn foreign_revocation(
        &self,
        _: &Tenant,
        _: &str,
        _: &[ForeignHandle],
        _: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        Err(down())
    }

    async fn foreign_attributes(
        &self,
        _: &Tenant,
        _: &ForeignSession,
        _: Timestamp,
    ) -> Result<(JsonObject, u64), StoreError> {
        Err(down())
    }

    async fn update_foreign(
        &self,
        _: &Tenant,
        _: &ForeignSession,
        _: Option<u64>,
        _: Change,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(JsonObject, u64), UpdateError> {
        Err(down().into())
    }
}
