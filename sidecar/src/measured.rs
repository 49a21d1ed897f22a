//! A store that is watched: each verb is timed, each failure counted, each change of a session
//! written to the audit log. All changes pass here, whichever edge they came by.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{JsonObject, Revocation, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{
        ApiKey, ApiKeyStore, Change, Changes, CreateError, Created, Ending, ForeignHandle,
        ForeignSession, ForeignTokenStore, Listed, Loaded, NewSession, Page, Position, Rotation,
        SessionFilter, SessionStore, Store, StoreError, Swept, UpdateError,
    },
};

use crate::telemetry::{Metrics, decision::Clean};

mod events;

use events::{Asked, Ended, note, note_key};

/// A store that is watched.
#[derive(Clone, Debug)]
pub struct Measured {
    inner: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

/// Tells a store's failure from its refusal.
trait Answered {
    /// The store's failure, if it is one.
    fn failure(&self) -> Option<&StoreError>;
}

impl Answered for StoreError {
    fn failure(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl Answered for CreateError {
    fn failure(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Exists
            | Self::LimitReached(_)
            | Self::Gone
            | Self::Conflict { .. }
            | Self::TooLarge(_) => None,
        }
    }
}

impl Answered for UpdateError {
    fn failure(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Gone | Self::Conflict { .. } | Self::TooLarge(_) | Self::Exists => None,
        }
    }
}

impl Measured {
    /// Watches this store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }

    async fn ask<T, E: Answered>(
        &self,
        verb: &'static str,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let answer = answer.await;
        let failure = answer.as_ref().err().and_then(Answered::failure);
        self.metrics
            .store_asked(verb, start.elapsed(), failure.is_none());
        if let Some(error) = failure {
            tracing::warn!(verb, error = %Clean(error), "the store did not answer");
        }
        answer
    }
}

#[async_trait]
impl SessionStore for Measured {
    async fn create(&self, new: NewSession, now: Timestamp) -> Result<Created, CreateError> {
        let asked = Asked::of(&new);
        let created = self.ask("create", self.inner.create(new, now)).await;
        if let Err(CreateError::LimitReached(max)) = created {
            asked.note_limit(max);
        }
        let created = created?;
        self.created(&asked, &created);
        Ok(created)
    }

    async fn load(
        &self,
        tenant: &Tenant,
        kind: TokenKind,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Loaded, StoreError> {
        let loaded = self.inner.load(tenant, kind, token, now);
        self.ask("load", loaded).await
    }

    async fn get(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Listed>, StoreError> {
        self.ask("get", self.inner.get(tenant, id, now)).await
    }

    async fn update(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        expected_version: Option<u64>,
        change: Change,
        by: &str,
        now: Timestamp,
    ) -> Result<SessionRecord, UpdateError> {
        let updated = self
            .inner
            .update(tenant, id, expected_version, change, by, now);
        let record = self.ask("update", updated).await?;
        note("session_updated", &record, by);
        Ok(record)
    }

    async fn touch(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        token: &TokenHash,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let touched = self.inner.touch(tenant, id, token, overlap, now);
        self.ask("touch", touched).await
    }

    async fn rotate(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        expected_version: Option<u64>,
        token: TokenHash,
        rotation: Rotation,
        by: &str,
        now: Timestamp,
    ) -> Result<SessionRecord, UpdateError> {
        let rotated = self
            .inner
            .rotate(tenant, id, expected_version, token, rotation, by, now);
        let record = self.ask("rotate", rotated).await?;
        note("session_renewed", &record, by);
        Ok(record)
    }

    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let revoked = self.inner.revoke(tenant, id, ending.clone(), now);
        let was_live = self.ask("revoke", revoked).await?;
        let what = Ended {
            session: Some(id),
            subject: None,
        };
        self.ended(&what, &ending, u64::from(was_live == Some(true)));
        Ok(was_live)
    }

    async fn revoke_subject(
        &self,
        tenant: &Tenant,
        subject: &Principal,
        except: Option<&SessionId>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let revoked = self
            .inner
            .revoke_subject(tenant, subject, except, ending.clone(), now);
        let count = self.ask("revoke_subject", revoked).await?;
        let what = Ended {
            session: None,
            subject: Some(subject),
        };
        self.ended(&what, &ending, count);
        Ok(count)
    }

    async fn revoke_all(
        &self,
        tenant: &Tenant,
        expected: Option<u64>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        let revoked = self.inner.revoke_all(tenant, expected, ending.clone(), now);
        let count = self.ask("revoke_all", revoked).await?;
        if let Ok(count) = count {
            self.ended(&Ended::default(), &ending, count);
        }
        Ok(count)
    }

    async fn count(
        &self,
        tenant: &Tenant,
        subject: Option<&Principal>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let counted = self.inner.count(tenant, subject, now);
        self.ask("count", counted).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let listed = self.inner.list(tenant, filter, after, limit, now);
        self.ask("list", listed).await
    }

    async fn position(&self) -> Result<Position, StoreError> {
        self.ask("position", self.inner.position()).await
    }

    /// Not timed: it waits for events and not for the store.
    async fn watch(
        &self,
        tenant: &Tenant,
        after: Position,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.inner.watch(tenant, after, limit).await
    }

    async fn subject_revoked_at(
        &self,
        tenant: &Tenant,
        subject: &Principal,
    ) -> Result<Option<Timestamp>, StoreError> {
        let revoked = self.inner.subject_revoked_at(tenant, subject);
        self.ask("subject_revoked_at", revoked).await
    }

    async fn sweep(&self, limit: usize, now: Timestamp) -> Result<Swept, StoreError> {
        let swept = self.ask("sweep", self.inner.sweep(limit, now)).await?;
        self.metrics.swept(swept.removed);
        swept.expired.iter().for_each(|ended| self.expired(ended));
        Ok(swept)
    }
}

#[async_trait]
impl ApiKeyStore for Measured {
    async fn create_key(&self, key: ApiKey) -> Result<(), CreateError> {
        let (id, by) = (key.id, key.created_by.clone());
        self.ask("create_key", self.inner.create_key(key)).await?;
        note_key("authn_token_created", &id, &by);
        Ok(())
    }

    async fn load_key(
        &self,
        tenant: &Tenant,
        hash: &TokenHash,
    ) -> Result<Option<Arc<ApiKey>>, StoreError> {
        self.ask("load_key", self.inner.load_key(tenant, hash))
            .await
    }

    async fn list_keys(
        &self,
        tenant: &Tenant,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let listed = self.inner.list_keys(tenant, after, limit);
        self.ask("list_keys", listed).await
    }

    async fn revoke_key(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let by = ending.by.clone();
        let revoked = self.inner.revoke_key(tenant, id, ending, now);
        let was_live = self.ask("revoke_key", revoked).await?;
        if was_live == Some(true) {
            note_key("authn_token_revoked", id, &by);
        }
        Ok(was_live)
    }
}

#[async_trait]
impl ForeignTokenStore for Measured {
    async fn revoke_foreign(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handle: ForeignHandle,
        until: Timestamp,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let by = ending.by.clone();
        let cause = ending.cause.as_str();
        let revoked = self
            .inner
            .revoke_foreign(tenant, issuer, handle, until, ending, now);
        self.ask("revoke_foreign", revoked).await?;
        self.metrics.sessions_ended(cause, 1);
        tracing::info!(
            target: "audit",
            event = "authn_token_revoked",
            issuer = %Clean(issuer),
            cause,
            by = %Clean(&by),
            "security event"
        );
        Ok(())
    }

    async fn foreign_revocation(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handles: &[ForeignHandle],
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        let found = self.inner.foreign_revocation(tenant, issuer, handles, now);
        self.ask("foreign_revocation", found).await
    }

    async fn foreign_attributes(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), StoreError> {
        let found = self.inner.foreign_attributes(tenant, session, now);
        self.ask("foreign_attributes", found).await
    }

    async fn update_foreign(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        expected_version: Option<u64>,
        change: Change,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), UpdateError> {
        let updated =
            self.inner
                .update_foreign(tenant, session, expected_version, change, until, now);
        self.ask("update_foreign", updated).await
    }
}
