//! The verbs on many sessions: of a subject, of everyone.

use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{SessionId, Tenant},
    store::{Ending, EventKind, Listed, Page, SessionFilter, StoreError},
};
use rusqlite::{Connection, params};

use super::{
    error::Halt,
    events::{self, Entry},
    row::{COLUMNS, EPOCHS, Held, json},
    sessions::{live, revocation},
};

/// Holds for the sessions that live at `?1`, with [`EPOCHS`] joined.
const LIVE: &str = "s.ended IS NULL AND s.ends_at > ?1 AND one.number IS NULL \
                    AND every.number IS NULL";

/// How often a subject, or everyone, has been revoked.
pub(super) fn epoch(
    db: &Connection,
    tenant: &Tenant,
    subject: Option<&Principal>,
) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(max(number), 0) FROM epochs WHERE tenant = ?1 AND subject = ?2";
    db.prepare_cached(sql)?
        .query_row((tenant.as_str(), name(subject)), |row| row.get(0))
}

/// A subject's name among the epochs.
fn name(subject: Option<&Principal>) -> String {
    subject.map(Principal::to_string).unwrap_or_default()
}

/// Ends an epoch; its event has been appended already.
fn end_epoch(
    db: &Connection,
    tenant: &Tenant,
    subject: Option<&Principal>,
    ending: Ending,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let number = epoch(db, tenant, subject)? + 1;
    let sql = "INSERT INTO epochs (tenant, subject, number, at, revocation, place) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        name(subject),
        number,
        now.as_micros(),
        json(&revocation(ending, now))?,
        events::end(db)?.0,
    ])?;
    Ok(number)
}

pub(super) fn revoke(
    db: &Connection,
    tenant: &Tenant,
    subject: &Principal,
    except: Option<SessionId>,
    ending: Ending,
    now: Timestamp,
) -> Result<u64, Halt<StoreError>> {
    let spared = match except {
        Some(id) => live(db, tenant, &id, now)?,
        None => None,
    };
    let spared = spared.filter(|held| held.record.identity.subject.as_ref() == Some(subject));
    let lived = count(db, tenant, Some(subject), now)?;
    Entry::of_many(
        tenant,
        Some(subject),
        EventKind::SubjectRevoked,
        &ending,
        now,
    )
    .append(db)?;
    let number = end_epoch(db, tenant, Some(subject), ending, now)?;
    let Some(held) = spared else {
        return Ok(lived);
    };
    db.prepare_cached("UPDATE sessions SET subject_epoch = ?1 WHERE row = ?2")?
        .execute((number, held.row))?;
    Ok(lived - 1)
}

pub(super) fn revoke_all(
    db: &Connection,
    tenant: &Tenant,
    expected: Option<u64>,
    ending: Ending,
    now: Timestamp,
) -> Result<Result<u64, u64>, Halt<StoreError>> {
    let live = count(db, tenant, None, now)?;
    if expected.is_some_and(|expected| expected != live) {
        return Ok(Err(live));
    }
    Entry::of_many(tenant, None, EventKind::AllRevoked, &ending, now).append(db)?;
    end_epoch(db, tenant, None, ending, now)?;
    Ok(Ok(live))
}

pub(super) fn count(
    db: &Connection,
    tenant: &Tenant,
    subject: Option<&Principal>,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let whose = match subject {
        Some(_) => "s.subject = ?3",
        None => "?3 = ''",
    };
    let sql = format!(
        "SELECT count(*) FROM sessions s {EPOCHS} WHERE s.tenant = ?2 AND {whose} AND {LIVE}"
    );
    db.prepare_cached(&sql)?
        .query_row((now.as_micros(), tenant.as_str(), name(subject)), |row| {
            row.get(0)
        })
}

/// The live sessions of a subject, oldest first.
pub(super) fn oldest(
    db: &Connection,
    tenant: &Tenant,
    subject: &Principal,
    now: Timestamp,
) -> rusqlite::Result<Vec<SessionId>> {
    let sql = format!(
        "SELECT s.id FROM sessions s {EPOCHS} WHERE s.tenant = ?2 AND s.subject = ?3 AND {LIVE} \
         ORDER BY s.created_at, s.id"
    );
    db.prepare_cached(&sql)?
        .query_map(
            (now.as_micros(), tenant.as_str(), subject.to_string()),
            |row| row.get(0).map(SessionId::from_bytes),
        )?
        .collect()
}

pub(super) fn list(
    db: &Connection,
    tenant: &Tenant,
    filter: &SessionFilter,
    after: Option<SessionId>,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Page> {
    let whose = match filter.subject {
        Some(_) => "s.subject = ?4",
        None => "?4 = ''",
    };
    let which = if filter.include_ended {
        "?1 IS NOT NULL"
    } else {
        LIVE
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions s {EPOCHS} WHERE s.tenant = ?2 AND s.id > ?3 AND {whose} \
         AND {which} ORDER BY s.id LIMIT ?5"
    );
    let limit = limit.max(1);
    let start: &[u8] = after.as_ref().map_or(&[], |id| id.as_bytes());
    let mut select = db.prepare_cached(&sql)?;
    let rows = select.query_map(
        params![
            now.as_micros(),
            tenant.as_str(),
            start,
            name(filter.subject.as_ref()),
            i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX),
        ],
        |row| Held::read(row).map(|held| held.into_listed(now)),
    )?;
    let mut sessions = rows.collect::<rusqlite::Result<Vec<Listed>>>()?;
    let more = sessions.len() > limit;
    sessions.truncate(limit);
    let last = sessions.last().map(|listed| listed.record.id);
    Ok(Page {
        sessions,
        next: last.filter(|_| more),
    })
}

pub(super) fn revoked_at(
    db: &Connection,
    tenant: &Tenant,
    subject: &Principal,
) -> rusqlite::Result<Option<Timestamp>> {
    let last = |subject: Option<&Principal>| -> rusqlite::Result<Option<Timestamp>> {
        let sql = "SELECT max(at) FROM (SELECT at FROM epochs WHERE tenant = ?1 AND subject = ?2 \
                   ORDER BY number DESC LIMIT 1)";
        let micros: Option<i64> = db
            .prepare_cached(sql)?
            .query_row((tenant.as_str(), name(subject)), |row| row.get(0))?;
        Ok(micros.map(Timestamp::from_micros))
    };
    Ok(last(Some(subject))?.max(last(None)?))
}
