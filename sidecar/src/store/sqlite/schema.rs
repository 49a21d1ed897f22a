//! The tables. Times and spans are microseconds; a principal is `namespace/id`.

use auth_core::clock::Timestamp;
use rusqlite::Connection;

/// The version of the schema that this build writes.
pub const SCHEMA_VERSION: i32 = 1;

/// Says in the file's header whose it is: `SGat`.
pub(super) const APPLICATION_ID: i32 = 0x5347_6174;

/// What takes the schema from each version to the next, the first from nothing.
pub(super) const STEPS: [&str; 1] = ["
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('highest_time', -9223372036854775808);

-- `ended` is how the session ended, as JSON; NULL while nobody has written that it did. A session
-- with a lower epoch than its subject's or tenant's is dead nevertheless.
CREATE TABLE sessions (
    row INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    strategy TEXT,
    subject TEXT,
    actor TEXT,
    claims TEXT NOT NULL,
    scopes TEXT NOT NULL,
    all_scopes INTEGER NOT NULL,
    auth_time INTEGER,
    acr TEXT,
    amr TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    idle INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    token_issued_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    subject_epoch INTEGER NOT NULL,
    tenant_epoch INTEGER NOT NULL,
    ended TEXT,
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX sessions_by_subject ON sessions (tenant, subject, id) WHERE subject IS NOT NULL;
CREATE INDEX sessions_by_end ON sessions (ends_at) WHERE ended IS NULL;
CREATE INDEX sessions_by_lifetime ON sessions (expires_at);

CREATE TABLE tokens (
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    hash BLOB NOT NULL,
    session INTEGER NOT NULL REFERENCES sessions (row) ON DELETE CASCADE,
    standing TEXT NOT NULL,
    until INTEGER,
    since INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_session ON tokens (session);
CREATE INDEX tokens_superseded ON tokens (since) WHERE standing = 'superseded';

-- The subject '' stands for everyone of the tenant. None is ever removed: each ends the sessions
-- with a lower number. `place` is the position of its event, and orders all of them.
CREATE TABLE epochs (
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    at INTEGER NOT NULL,
    revocation TEXT NOT NULL,
    PRIMARY KEY (tenant, subject, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    tenant TEXT NOT NULL,
    hash BLOB NOT NULL,
    session BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (tenant, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_end ON requests (until);

CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    at INTEGER NOT NULL,
    session BLOB,
    subject TEXT,
    kind TEXT NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_tenant ON events (tenant, position);

CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    id BLOB NOT NULL,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    claims TEXT NOT NULL,
    scopes TEXT NOT NULL,
    all_scopes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    revoked TEXT,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, hash)
) STRICT;

CREATE TABLE foreign_revocations (
    tenant TEXT NOT NULL,
    issuer TEXT NOT NULL,
    claim TEXT NOT NULL,
    value TEXT NOT NULL,
    until INTEGER NOT NULL,
    revocation TEXT NOT NULL,
    PRIMARY KEY (tenant, issuer, claim, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX foreign_revocations_by_end ON foreign_revocations (until);

CREATE TABLE foreign_attributes (
    row INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    discriminator TEXT NOT NULL,
    attributes TEXT NOT NULL,
    version INTEGER NOT NULL,
    until INTEGER NOT NULL,
    UNIQUE (tenant, issuer, subject, discriminator)
) STRICT;
CREATE INDEX foreign_attributes_by_end ON foreign_attributes (until);
"];

/// The highest time that was seen when the store was last written.
pub(super) fn highest_time(db: &Connection) -> rusqlite::Result<Timestamp> {
    let sql = "SELECT value FROM meta WHERE name = 'highest_time'";
    let micros = db.query_row(sql, [], |row| row.get(0))?;
    Ok(Timestamp::from_micros(micros))
}

/// Keeps the highest time seen.
pub(super) fn keep_highest_time(db: &Connection, time: Timestamp) -> rusqlite::Result<()> {
    let sql = "UPDATE meta SET value = ?1 WHERE name = 'highest_time' AND value < ?1";
    db.prepare_cached(sql)?
        .execute([time.as_micros()])
        .map(drop)
}
