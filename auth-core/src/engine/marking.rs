//! A store that leaves a mark for the cache with every change, before it is acknowledged.
//!
//! The caller of a change may go away in the middle of it: its future is dropped, and the store may
//! write the change all the same, a moment later. What such a change is about stays in doubt.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    invalidation::{Invalidation, Scope},
    principal::Principal,
    session::{JsonObject, Revocation, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{
        ApiKey, ApiKeyStore, Change, Changes, CreateError, Created, Ending, ForeignHandle,
        ForeignSession, ForeignTokenStore, Listed, Loaded, NewSession, Page, Position, Rotation,
        SessionFilter, SessionStore, Store, StoreError, Swept, UpdateError,
    },
};

/// Passes everything on, and marks what may have changed, also when the store failed half-way.
#[derive(Debug)]
pub struct Marking {
    store: Arc<dyn Store>,
    marks: Arc<Invalidation>,
}

impl Marking {
    /// Marks the changes of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            marks: Arc::default(),
        }
    }

    /// The marks.
    #[must_use]
    pub const fn invalidation(&self) -> &Arc<Invalidation> {
        &self.marks
    }

    /// Marks a change that begins.
    fn begin(&self, scopes: Vec<Scope>, at: Timestamp) -> Pending<'_> {
        let pending = Pending {
            marks: &self.marks,
            scopes,
            unsettled: Vec::new(),
            at,
        };
        pending.mark();
        pending
    }
}

/// A change that the store has not answered yet. Dropped unanswered it is left in doubt.
struct Pending<'m> {
    marks: &'m Invalidation,
    scopes: Vec<Scope>,
    /// What else it may be about, as long as the store has not said.
    unsettled: Vec<Scope>,
    at: Timestamp,
}

impl Pending<'_> {
    fn mark(&self) {
        for scope in &self.scopes {
            self.marks.change(scope, self.at);
        }
    }

    /// The store has answered: what was loaded until now is not believed.
    fn settle(mut self) {
        self.mark();
        self.scopes.clear();
        self.unsettled.clear();
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        for scope in self.scopes.iter().chain(&self.unsettled) {
            self.marks.doubt(scope, self.at);
        }
    }
}

fn session(tenant: &Tenant, id: SessionId) -> Vec<Scope> {
    vec![Scope::Session(tenant.clone(), id)]
}

#[async_trait]
impl SessionStore for Marking {
    async fn create(&self, new: NewSession, now: Timestamp) -> Result<Created, CreateError> {
        let tenant = new.tenant.clone();
        let (limited, retried) = (new.limit.is_some(), new.request.is_some());
        let mut scopes: Vec<Scope> = new
            .replaces
            .map(|replaced| Scope::Session(tenant.clone(), replaced))
            .into_iter()
            .collect();
        // The limit may end another session of the subject, and a retry replaces a token.
        let subject = new.identity.subject.clone().filter(|_| limited || retried);
        let anonymous_retry = retried && subject.is_none();
        scopes.extend(subject.map(|subject| Scope::Subject(tenant.clone(), subject)));
        let mut pending = self.begin(scopes, now);
        if anonymous_retry {
            pending.unsettled.push(Scope::Tenant(tenant.clone()));
        }
        let created = self.store.create(new, now).await;
        if let (true, Ok(created)) = (retried, &created) {
            let id = created.record.id;
            pending.scopes.push(Scope::Session(tenant, id));
        }
        pending.settle();
        created
    }

    async fn load(
        &self,
        tenant: &Tenant,
        kind: TokenKind,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Loaded, StoreError> {
        self.store.load(tenant, kind, token, now).await
    }

    async fn get(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Listed>, StoreError> {
        self.store.get(tenant, id, now).await
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
        let pending = self.begin(session(tenant, *id), now);
        let updated = self
            .store
            .update(tenant, id, expected_version, change, by, now)
            .await;
        pending.settle();
        updated
    }

    async fn touch(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        token: &TokenHash,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // What is cached of a session knows of touches by itself.
        self.store.touch(tenant, id, token, overlap, now).await
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
        let pending = self.begin(session(tenant, *id), now);
        let rotated = self
            .store
            .rotate(tenant, id, expected_version, token, rotation, by, now)
            .await;
        pending.settle();
        rotated
    }

    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let pending = self.begin(session(tenant, *id), now);
        let revoked = self.store.revoke(tenant, id, ending, now).await;
        pending.settle();
        revoked
    }

    async fn revoke_subject(
        &self,
        tenant: &Tenant,
        subject: &Principal,
        except: Option<&SessionId>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let pending = self.begin(vec![Scope::Subject(tenant.clone(), subject.clone())], now);
        let revoked = self
            .store
            .revoke_subject(tenant, subject, except, ending, now)
            .await;
        pending.settle();
        revoked
    }

    async fn revoke_all(
        &self,
        tenant: &Tenant,
        expected: Option<u64>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        let pending = self.begin(vec![Scope::Tenant(tenant.clone())], now);
        let revoked = self.store.revoke_all(tenant, expected, ending, now).await;
        pending.settle();
        revoked
    }

    async fn count(
        &self,
        tenant: &Tenant,
        subject: Option<&Principal>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.store.count(tenant, subject, now).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        self.store.list(tenant, filter, after, limit, now).await
    }

    async fn position(&self) -> Result<Position, StoreError> {
        self.store.position().await
    }

    async fn watch(
        &self,
        tenant: &Tenant,
        after: Position,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.store.watch(tenant, after, limit).await
    }

    async fn subject_revoked_at(
        &self,
        tenant: &Tenant,
        subject: &Principal,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.store.subject_revoked_at(tenant, subject).await
    }

    async fn sweep(&self, limit: usize, now: Timestamp) -> Result<Swept, StoreError> {
        self.store.sweep(limit, now).await
    }
}

#[async_trait]
impl ApiKeyStore for Marking {
    async fn create_key(&self, key: ApiKey) -> Result<(), CreateError> {
        self.store.create_key(key).await
    }

    async fn load_key(
        &self,
        tenant: &Tenant,
        hash: &TokenHash,
    ) -> Result<Option<Arc<ApiKey>>, StoreError> {
        self.store.load_key(tenant, hash).await
    }

    async fn list_keys(
        &self,
        tenant: &Tenant,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, StoreError> {
        self.store.list_keys(tenant, after, limit).await
    }

    async fn revoke_key(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let pending = self.begin(session(tenant, *id), now);
        let revoked = self.store.revoke_key(tenant, id, ending, now).await;
        pending.settle();
        revoked
    }
}

#[async_trait]
impl ForeignTokenStore for Marking {
    async fn revoke_foreign(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handle: ForeignHandle,
        until: Timestamp,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // A token is not found by its handle in the cache, so all of the tenant's are loaded anew.
        let pending = self.begin(vec![Scope::Tenant(tenant.clone())], now);
        let revoked = self
            .store
            .revoke_foreign(tenant, issuer, handle, until, ending, now)
            .await;
        pending.settle();
        revoked
    }

    async fn foreign_revocation(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handles: &[ForeignHandle],
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        self.store
            .foreign_revocation(tenant, issuer, handles, now)
            .await
    }

    async fn foreign_attributes(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), StoreError> {
        self.store.foreign_attributes(tenant, session, now).await
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
        let pending = self.begin(vec![Scope::Tenant(tenant.clone())], now);
        let updated = self
            .store
            .update_foreign(tenant, session, expected_version, change, until, now)
            .await;
        pending.settle();
        updated
    }
}
