//! Sweeping, in small steps.

use auth_core::{
    clock::Timestamp,
    store::{Death, EventKind, Expired, StoreError, Swept, rules::TOMBSTONE_RETENTION},
};
use rusqlite::Connection;

use super::{
    error::Halt,
    events::Entry,
    row::{COLUMNS, EPOCHS, Held},
    sessions::write_end,
};

/// How often one step goes on when all it met had been revoked through their subject.
const ROUNDS: usize = 16;

pub(super) fn sweep(
    db: &Connection,
    limit: usize,
    events: u64,
    now: Timestamp,
) -> Result<Swept, Halt<StoreError>> {
    let mut swept = Swept::default();
    for _ in 0..ROUNDS {
        let (met, expired) = expire(db, limit, now)?;
        swept.expired = expired;
        if met < limit || !swept.expired.is_empty() {
            break;
        }
    }
    swept.removed = forget(db, limit, events, now)?;
    Ok(swept)
}

/// Writes their end on sessions whose time is over, counts those met, and tells which expired: some
/// had been revoked through their subject before.
fn expire(
    db: &Connection,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<(usize, Vec<Expired>)> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions s {EPOCHS} WHERE s.ended IS NULL AND s.ends_at <= ?1 \
         ORDER BY s.ends_at LIMIT ?2"
    );
    let over: Vec<Held> = db
        .prepare_cached(&sql)?
        .query_map((now.as_micros(), rows(limit)), Held::read)?
        .collect::<rusqlite::Result<_>>()?;
    let mut expired = Vec::new();
    for held in &over {
        let Some(death) = held.death(now) else {
            continue;
        };
        write_end(db, held.row, &death)?;
        if let Death::Expired { limit } = death {
            expired.push(Expired::of(&held.record, limit));
            Entry::of(&held.record, EventKind::SessionExpired, "", "", now).append(db)?;
        }
    }
    Ok((over.len(), expired))
}

fn forget(db: &Connection, limit: usize, events: u64, now: Timestamp) -> rusqlite::Result<u64> {
    let ended = now.minus(TOMBSTONE_RETENTION).as_micros();
    let kept_from = super::events::end(db)?.0.saturating_sub(events);
    let kept_from = i64::try_from(kept_from).unwrap_or(i64::MAX);
    let steps = [
        ("sessions", "row", "expires_at <= ?1", ended),
        (
            "tokens",
            "(tenant, kind, hash)",
            "standing = 'superseded' AND since <= ?1",
            ended,
        ),
        ("requests", "(tenant, hash)", "until <= ?1", now.as_micros()),
        (
            "foreign_revocations",
            "(tenant, issuer, claim, value)",
            "until <= ?1",
            now.as_micros(),
        ),
        ("foreign_attributes", "row", "until <= ?1", now.as_micros()),
        ("events", "position", "position <= ?1", kept_from),
    ];
    let mut removed = 0;
    for (table, key, over, bound) in steps {
        let columns = key.trim_matches(['(', ')']);
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN (SELECT {columns} FROM {table} WHERE {over} \
             LIMIT ?2)"
        );
        let room = limit.saturating_sub(removed);
        removed += db.prepare_cached(&sql)?.execute((bound, rows(room)))?;
    }
    Ok(removed as u64)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
