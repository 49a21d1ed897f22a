//! The embedded store: one SQLite file, for one node.
//!
//! Writes go to one thread that commits what is queued together (group commit) and acknowledges
//! after the commit, which is synced to disk: an acknowledged write survives process kill and power
//! cut. Reads of one record are made where they are asked for, since they take microseconds;
//! whatever scans is read on a thread of its own. Checkpoints are no part of any commit.
//!
//! The store keeps the highest time it has seen, on disk as well (to the second, with the next
//! write), and does not follow the clock back.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{JsonObject, Revocation, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{
        ApiKey, ApiKeyStore, Change, Changes, CreateError, Created, Ending, ForeignHandle,
        ForeignSession, ForeignTokenStore, Listed, Loaded, NewSession, Page, Position, Rotation,
        SessionFilter, SessionStore, StoreError, Swept, UpdateError, rules::TimeGuard,
    },
};
use rusqlite::Connection;

mod checkpoint;
mod create;
mod error;
mod events;
mod foreign;
mod keys;
mod open;
mod reader;
mod row;
mod schema;
mod sessions;
mod subjects;
mod sweep;
mod writer;

pub use open::OpenError;
pub use schema::SCHEMA_VERSION;

use checkpoint::Checkpointer;
use error::Halt;
use open::Files;
use reader::{Pool, Scanner};
use writer::Writer;

/// What may be chosen about the store.
#[derive(Clone, Copy, Debug)]
pub struct SqliteOptions {
    /// How many writes may wait for the writer before callers have to wait to be queued.
    pub queue: usize,
    /// How many writes one commit takes at most.
    pub batch: usize,
    /// How many events are kept, at least.
    pub events: u64,
    /// The largest size of the file, in pages of 4 KiB; `None` is as large as the disk allows.
    pub max_pages: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            queue: 1024,
            batch: 256,
            events: 100_000,
            max_pages: None,
        }
    }
}

/// A store in one SQLite file. Dropping it waits for the last commit.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped in this order: the lock on the directory goes last.
    writer: Writer,
    scanner: Scanner,
    _checkpointer: Checkpointer,
    pool: Pool,
    time: Arc<TimeGuard>,
    events: u64,
    _files: Files,
}

impl SqliteStore {
    /// Opens the store in `directory`, which is made when it is missing, as is the store.
    ///
    /// # Errors
    ///
    /// Returns [`OpenError`] when the directory cannot be made or written or belongs to another
    /// process, and when its file is no store of this version or an earlier one.
    pub fn open(directory: &Path, options: SqliteOptions) -> Result<Self, OpenError> {
        let files = Files::lock(directory)?;
        let connection = open::writer(&files, options.max_pages)?;
        let failed = |source| OpenError::unusable(&files, source);
        let time = Arc::new(TimeGuard::new(
            schema::highest_time(&connection).map_err(failed)?,
        ));
        let position = events::end(&connection).map_err(failed)?;
        let scans = open::reader(files.database()).map_err(failed)?;
        let checkpoints = open::checkpointer(files.database()).map_err(failed)?;
        Ok(Self {
            writer: Writer::start(connection, position, Arc::clone(&time), options)?,
            scanner: Scanner::start(scans)?,
            _checkpointer: Checkpointer::start(checkpoints, files.database())?,
            pool: Pool::new(files.database()),
            time,
            events: options.events,
            _files: files,
        })
    }

    async fn write<T, E>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, Halt<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.run(verb).await
    }

    fn see(&self, now: Timestamp) -> Timestamp {
        self.time.see(now)
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn create(&self, new: NewSession, now: Timestamp) -> Result<Created, CreateError> {
        let now = self.see(now);
        self.write(move |db| create::create(db, new, now)).await
    }

    async fn load(
        &self,
        tenant: &Tenant,
        kind: TokenKind,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Loaded, StoreError> {
        let now = self.see(now);
        self.pool
            .read(|db| sessions::load(db, tenant, kind, token, now))
    }

    async fn get(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Listed>, StoreError> {
        let now = self.see(now);
        let held = self.pool.read(|db| row::by_id(db, tenant, id))?;
        Ok(held.map(|held| held.into_listed(now)))
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
        let (now, tenant, id, by) = (self.see(now), tenant.clone(), *id, by.to_owned());
        self.write(move |db| sessions::update(db, &tenant, &id, expected_version, change, &by, now))
            .await
    }

    async fn touch(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        token: &TokenHash,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (now, tenant, id, token) = (self.see(now), tenant.clone(), *id, *token);
        self.write(move |db| sessions::touch(db, &tenant, &id, &token, overlap, now))
            .await
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
        let (now, tenant, id, by) = (self.see(now), tenant.clone(), *id, by.to_owned());
        self.write(move |db| {
            let held = sessions::live(db, &tenant, &id, now)?;
            let held = held.ok_or(Halt::Refused(UpdateError::Gone))?;
            sessions::rotate(db, held, expected_version, token, rotation, &by, now)
        })
        .await
    }

    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let (now, tenant, id) = (self.see(now), tenant.clone(), *id);
        self.write(move |db| sessions::revoke(db, &tenant, &id, ending, now))
            .await
    }

    async fn revoke_subject(
        &self,
        tenant: &Tenant,
        subject: &Principal,
        except: Option<&SessionId>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (now, tenant, subject) = (self.see(now), tenant.clone(), subject.clone());
        let except = except.copied();
        self.write(move |db| subjects::revoke(db, &tenant, &subject, except, ending, now))
            .await
    }

    async fn revoke_all(
        &self,
        tenant: &Tenant,
        expected: Option<u64>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        let (now, tenant) = (self.see(now), tenant.clone());
        self.write(move |db| subjects::revoke_all(db, &tenant, expected, ending, now))
            .await
    }

    async fn count(
        &self,
        tenant: &Tenant,
        subject: Option<&Principal>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (now, tenant, subject) = (self.see(now), tenant.clone(), subject.cloned());
        self.scanner
            .run(move |db| subjects::count(db, &tenant, subject.as_ref(), now))
            .await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, StoreError> {
        let (now, tenant, filter) = (self.see(now), tenant.clone(), filter.clone());
        let after = after.copied();
        self.scanner
            .run(move |db| subjects::list(db, &tenant, &filter, after, limit, now))
            .await
    }

    async fn position(&self) -> Result<Position, StoreError> {
        Ok(Position(*self.writer.position().borrow()))
    }

    async fn watch(
        &self,
        tenant: &Tenant,
        after: Position,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        let mut news = self.writer.position();
        let mut after = after;
        loop {
            news.mark_unchanged();
            let tenant = tenant.clone();
            let scan = move |db: &Connection| events::after(db, &tenant, after, limit);
            let (changes, end) = self.scanner.run(scan).await?;
            if let Some(changes) = changes {
                return Ok(changes);
            }
            // All up to here was looked at: a quiet tenant misses nothing while it waits.
            after = end;
            if news.changed().await.is_err() {
                return Err(error::stopped());
            }
        }
    }

    async fn subject_revoked_at(
        &self,
        tenant: &Tenant,
        subject: &Principal,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.pool
            .read(|db| subjects::revoked_at(db, tenant, subject))
    }

    async fn sweep(&self, limit: usize, now: Timestamp) -> Result<Swept, StoreError> {
        let (now, events) = (self.see(now), self.events);
        self.write(move |db| sweep::sweep(db, limit, events, now))
            .await
    }
}

#[async_trait]
impl ApiKeyStore for SqliteStore {
    async fn create_key(&self, key: ApiKey) -> Result<(), CreateError> {
        self.write(move |db| keys::create(db, &key)).await
    }

    async fn load_key(
        &self,
        tenant: &Tenant,
        hash: &TokenHash,
    ) -> Result<Option<Arc<ApiKey>>, StoreError> {
        let key = self.pool.read(|db| keys::by_hash(db, tenant, hash))?;
        Ok(key.map(Arc::new))
    }

    async fn list_keys(
        &self,
        tenant: &Tenant,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let (tenant, after) = (tenant.clone(), after.copied());
        self.scanner
            .run(move |db| keys::list(db, &tenant, after, limit))
            .await
    }

    async fn revoke_key(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let (now, tenant, id) = (self.see(now), tenant.clone(), *id);
        self.write(move |db| keys::revoke(db, &tenant, &id, ending, now))
            .await
    }
}

#[async_trait]
impl ForeignTokenStore for SqliteStore {
    async fn revoke_foreign(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handle: ForeignHandle,
        until: Timestamp,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (now, tenant, issuer) = (self.see(now), tenant.clone(), issuer.to_owned());
        self.write(move |db| foreign::revoke(db, &tenant, &issuer, &handle, until, ending, now))
            .await
    }

    async fn foreign_revocation(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handles: &[ForeignHandle],
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        let now = self.see(now);
        self.pool
            .read(|db| foreign::revocation(db, tenant, issuer, handles, now))
    }

    async fn foreign_attributes(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), StoreError> {
        let now = self.see(now);
        self.pool
            .read(|db| foreign::attributes(db, tenant, session, now))
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
        let (now, tenant, session) = (self.see(now), tenant.clone(), session.clone());
        self.write(move |db| {
            foreign::update(db, &tenant, &session, expected_version, change, until, now)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use auth_core::store::contract::Bench;

    use super::*;

    fn bench() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path(), SqliteOptions::default()).unwrap();
        Bench::new(store).keeping(directory)
    }

    auth_core::session_store_contract!(bench);
}
