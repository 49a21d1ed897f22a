//! A store in memory, for tests and for rules without a server. It survives nothing.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{JsonObject, Revocation, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{
        ApiKey, ApiKeyStore, Change, Changes, CreateError, Created, Ending, ForeignHandle,
        ForeignSession, ForeignTokenStore, Listed, Loaded, NewSession, Page, Position, Rotation,
        SessionFilter, SessionStore, StoreError, Swept, UpdateError, rules::TimeGuard,
    },
};

mod events;
mod foreign;
mod keys;
mod space;
mod sweep;

use events::Log;
use space::Space;

/// How many events are kept unless told otherwise.
pub const DEFAULT_EVENTS: usize = 4096;

/// A store in memory. Each verb holds one lock and never waits with it.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    time: TimeGuard,
}

#[derive(Debug)]
struct State {
    spaces: BTreeMap<Tenant, Space>,
    log: Log,
}

impl MemoryStore {
    /// An empty store that keeps the last [`DEFAULT_EVENTS`] events.
    #[must_use]
    pub fn new() -> Self {
        Self::with_events(DEFAULT_EVENTS)
    }

    /// An empty store that keeps the last `capacity` events, at least one.
    #[must_use]
    pub fn with_events(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                spaces: BTreeMap::new(),
                log: Log::new(capacity),
            }),
            time: TimeGuard::default(),
        }
    }

    fn read<T: Default>(&self, tenant: &Tenant, ask: impl FnOnce(&Space) -> T) -> T {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.spaces.get(tenant).map(ask).unwrap_or_default()
    }

    fn write<T>(&self, tenant: &Tenant, act: impl FnOnce(&mut Space, &mut Log) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { spaces, log } = &mut *state;
        let answer = act(spaces.entry(tenant.clone()).or_default(), log);
        let waiting = log.woken();
        drop(state);
        waiting.into_iter().for_each(std::task::Waker::wake);
        answer
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create(&self, new: NewSession, now: Timestamp) -> Result<Created, CreateError> {
        let now = self.time.see(now);
        let tenant = new.tenant.clone();
        self.write(&tenant, |space, log| space.create(new, now, log))
    }

    async fn load(
        &self,
        tenant: &Tenant,
        kind: TokenKind,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Loaded, StoreError> {
        let now = self.time.see(now);
        Ok(self
            .read(tenant, |space| space.load(kind, token, now))
            .unwrap_or(Loaded::Unknown))
    }

    async fn get(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Listed>, StoreError> {
        let now = self.time.see(now);
        Ok(self.read(tenant, |space| space.get(id, now)))
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
        let now = self.time.see(now);
        self.write(tenant, |space, log| {
            space.update(id, expected_version, change, by, now, log)
        })
    }

    async fn touch(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        token: &TokenHash,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.time.see(now);
        self.write(tenant, |space, _| space.touch(id, token, overlap, now));
        Ok(())
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
        let now = self.time.see(now);
        self.write(tenant, |space, log| {
            space.rotate(id, expected_version, token, rotation, by, now, log)
        })
    }

    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let now = self.time.see(now);
        Ok(self.write(tenant, |space, log| space.revoke(id, ending, now, log)))
    }

    async fn revoke_subject(
        &self,
        tenant: &Tenant,
        subject: &Principal,
        except: Option<&SessionId>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let now = self.time.see(now);
        Ok(self.write(tenant, |space, log| {
            space.revoke_subject(tenant, subject, except, ending, now, log)
        }))
    }

    async fn revoke_all(
        &self,
        tenant: &Tenant,
        expected: Option<u64>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        let now = self.time.see(now);
        Ok(self.write(tenant, |space, log| {
            space.revoke_all(tenant, expected, ending, now, log)
        }))
    }

    async fn count(
        &self,
        tenant: &Tenant,
        subject: Option<&Principal>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let now = self.time.see(now);
        Ok(self.read(tenant, |space| space.count(subject, now)))
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let now = self.time.see(now);
        Ok(self.read(tenant, |space| space.list(filter, after, limit, now)))
    }

    async fn position(&self) -> Result<Position, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.log.end())
    }

    async fn watch(
        &self,
        tenant: &Tenant,
        after: Position,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        let mut after = after;
        poll_fn(|context| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match state.log.after(tenant, after, limit) {
                Some(changes) => Poll::Ready(Ok(changes)),
                None => {
                    // All up to here was looked at: a quiet tenant misses nothing while it waits.
                    after = state.log.end();
                    state.log.wait(context.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn subject_revoked_at(
        &self,
        tenant: &Tenant,
        subject: &Principal,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.read(tenant, |space| space.revoked_at(subject)))
    }

    async fn sweep(&self, limit: usize, now: Timestamp) -> Result<Swept, StoreError> {
        let now = self.time.see(now);
        let tenants: Vec<Tenant> = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.spaces.keys().cloned().collect()
        };
        let mut swept = Swept::default();
        for tenant in tenants {
            self.write(&tenant, |space, log| {
                space.sweep(limit, now, &mut swept, log)
            });
        }
        Ok(swept)
    }
}

#[async_trait]
impl ApiKeyStore for MemoryStore {
    async fn create_key(&self, key: ApiKey) -> Result<(), CreateError> {
        let tenant = key.tenant.clone();
        self.write(&tenant, |space, log| space.keys.create(key, log))
    }

    async fn load_key(
        &self,
        tenant: &Tenant,
        hash: &TokenHash,
    ) -> Result<Option<Arc<ApiKey>>, StoreError> {
        Ok(self.read(tenant, |space| space.keys.load(hash)))
    }

    async fn list_keys(
        &self,
        tenant: &Tenant,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self.read(tenant, |space| space.keys.list(after, limit)))
    }

    async fn revoke_key(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let now = self.time.see(now);
        Ok(self.write(tenant, |space, log| space.keys.revoke(id, ending, now, log)))
    }
}

#[async_trait]
impl ForeignTokenStore for MemoryStore {
    async fn revoke_foreign(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handle: ForeignHandle,
        until: Timestamp,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.time.see(now);
        self.write(tenant, |space, log| {
            log.append(tenant, foreign::revoked(&ending, now));
            space.foreign.revoke(issuer, handle, until, ending, now);
        });
        Ok(())
    }

    async fn foreign_revocation(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handles: &[ForeignHandle],
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        let now = self.time.see(now);
        Ok(self.read(tenant, |space| {
            space.foreign.revocation(issuer, handles, now)
        }))
    }

    async fn foreign_attributes(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), StoreError> {
        let now = self.time.see(now);
        Ok(self.read(tenant, |space| space.foreign.attributes(session, now)))
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
        let now = self.time.see(now);
        self.write(tenant, |space, log| {
            let answer = space
                .foreign
                .update(session, expected_version, change, until, now)?;
            log.append(tenant, foreign::updated(now));
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::Bench;

    crate::session_store_contract!(|| Bench::new(MemoryStore::new()));

    #[test]
    fn a_ring_that_ran_over_says_reset() {
        let bench = Bench::new(MemoryStore::with_events(2));
        bench.run(async |bench| {
            let start = bench.store.position().await.unwrap();
            for _ in 0..3 {
                bench.sign_in("u1").await;
            }
            let end = bench.store.position().await.unwrap();
            let changes = bench.store.watch(&bench.tenant, start, 9).await.unwrap();
            assert_eq!(changes, Changes::Reset(end));
        });
    }
}
