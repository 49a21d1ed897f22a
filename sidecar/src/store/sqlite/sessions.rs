//! The verbs on one session that is there.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use auth_core::{
    clock::Timestamp,
    session::{Revocation, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{
        Change, Death, Ending, EventKind, Loaded, Rotation, StoreError, UpdateError,
        rules::{self, Standing},
    },
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    error::Halt,
    events::Entry,
    row::{self, COLUMNS, EPOCHS, Fields, Held, WIDTH, json, standing_columns},
};

/// Finds the session of a token, with where the token stands.
static LOAD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS}, t.standing, t.until FROM tokens t JOIN sessions s ON s.row = t.session \
         {EPOCHS} WHERE t.tenant = ?1 AND t.kind = ?2 AND t.hash = ?3"
    )
});

pub(super) fn insert_token(
    db: &Connection,
    record: &SessionRecord,
    row: i64,
    token: &TokenHash,
    standing: Standing,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO tokens (tenant, kind, hash, session, standing, since) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    db.prepare_cached(sql)?.execute(params![
        record.tenant.as_str(),
        record.kind.as_str(),
        token.as_bytes(),
        row,
        standing_columns(standing).0,
        now.as_micros(),
    ])?;
    Ok(())
}

pub(super) fn is_token_taken(
    db: &Connection,
    tenant: &Tenant,
    kind: TokenKind,
    token: &TokenHash,
) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM tokens WHERE tenant = ?1 AND kind = ?2 AND hash = ?3";
    db.prepare_cached(sql)?
        .exists((tenant.as_str(), kind.as_str(), token.as_bytes()))
}

/// Where a token stands; `None` when it is none of this session's.
pub(super) fn standing(
    db: &Connection,
    held: &Held,
    token: &TokenHash,
) -> rusqlite::Result<Option<Standing>> {
    let sql = "SELECT standing, until FROM tokens \
               WHERE tenant = ?1 AND kind = ?2 AND hash = ?3 AND session = ?4";
    let (tenant, kind) = (held.record.tenant.as_str(), held.record.kind.as_str());
    db.prepare_cached(sql)?
        .query_row((tenant, kind, token.as_bytes(), held.row), |row| {
            row::standing(&mut Fields { row, next: 0 })
        })
        .optional()
}

pub(super) fn load(
    db: &Connection,
    tenant: &Tenant,
    kind: TokenKind,
    token: &TokenHash,
    now: Timestamp,
) -> rusqlite::Result<Loaded> {
    let mut select = db.prepare_cached(&LOAD)?;
    let parameters = (tenant.as_str(), kind.as_str(), token.as_bytes());
    let found = select.query_row(parameters, |row| {
        let mut rest = Fields { row, next: WIDTH };
        Ok((Held::read(row)?, row::standing(&mut rest)?))
    });
    Ok(match found.optional()? {
        None => Loaded::Unknown,
        Some((held, standing)) => loaded(held, standing, now),
    })
}

fn loaded(held: Held, standing: Standing, now: Timestamp) -> Loaded {
    let id = held.record.id;
    match (held.death(now), standing.role(now)) {
        (Some(death), _) => Loaded::Dead { id, death },
        (None, None) => {
            let death = Death::Superseded;
            Loaded::Dead { id, death }
        }
        (None, Some(role)) => {
            let record = Arc::new(held.record);
            Loaded::Live { record, role }
        }
    }
}

/// A session by its id, if it lives.
pub(super) fn live(
    db: &Connection,
    tenant: &Tenant,
    id: &SessionId,
    now: Timestamp,
) -> rusqlite::Result<Option<Held>> {
    let held = row::by_id(db, tenant, id)?;
    Ok(held.filter(|held| held.death(now).is_none()))
}

pub(super) fn update(
    db: &Connection,
    tenant: &Tenant,
    id: &SessionId,
    expected: Option<u64>,
    change: Change,
    by: &str,
    now: Timestamp,
) -> Result<SessionRecord, Halt<UpdateError>> {
    let held = live(db, tenant, id, now)?.ok_or(Halt::Refused(UpdateError::Gone))?;
    let mut record = held.record;
    rules::check_version(expected, record.version, Some(&change)).map_err(Halt::Refused)?;
    record.attributes =
        rules::changed(&record.identity, &record.attributes, change).map_err(Halt::Refused)?;
    record.version += 1;
    let sql = "UPDATE sessions SET attributes = ?1, version = ?2 WHERE row = ?3";
    let attributes = json(&record.attributes)?;
    db.prepare_cached(sql)?
        .execute((attributes, record.version, held.row))?;
    Entry::of(&record, EventKind::SessionUpdated, by, "", now).append(db)?;
    Ok(record)
}

pub(super) fn touch(
    db: &Connection,
    tenant: &Tenant,
    id: &SessionId,
    token: &TokenHash,
    overlap: Duration,
    now: Timestamp,
) -> Result<(), Halt<StoreError>> {
    let Some(mut held) = live(db, tenant, id, now)? else {
        return Ok(());
    };
    let standing = standing(db, &held, token)?.filter(|held| held.role(now).is_some());
    let Some(standing) = standing else {
        return Ok(());
    };
    if now > held.record.last_seen {
        held.record.last_seen = now;
        let ends_at = held.record.ends_at().as_micros();
        db.prepare_cached("UPDATE sessions SET last_seen = ?1, ends_at = ?2 WHERE row = ?3")?
            .execute((now.as_micros(), ends_at, held.row))?;
    }
    if standing == Standing::Fresh {
        let end = now.plus(overlap).as_micros();
        let sql = "UPDATE tokens SET until = CASE standing WHEN 'fresh' THEN NULL ELSE ?1 END, \
                   standing = CASE standing WHEN 'fresh' THEN 'current' ELSE standing END \
                   WHERE session = ?2 AND (standing = 'fresh' \
                   OR (standing = 'predecessor' AND until IS NULL))";
        db.prepare_cached(sql)?.execute((end, held.row))?;
    }
    Ok(())
}

pub(super) fn rotate(
    db: &Connection,
    held: Held,
    expected: Option<u64>,
    token: TokenHash,
    rotation: Rotation,
    by: &str,
    now: Timestamp,
) -> Result<SessionRecord, Halt<UpdateError>> {
    let version = held.record.version;
    rules::check_version(expected, version, None).map_err(Halt::Refused)?;
    let presented = match rotation {
        Rotation::Renewal { presented } => standing(db, &held, &presented)?,
        Rotation::Immediate => None,
    };
    let survivor = rules::survivor(rotation, presented, version, now).map_err(Halt::Refused)?;
    if is_token_taken(db, &held.record.tenant, held.record.kind, &token)? {
        return Err(Halt::Refused(UpdateError::Exists));
    }
    take_over(db, &held, &token, survivor, now)?;
    let mut record = held.record;
    record.version += 1;
    record.token_issued_at = now;
    db.prepare_cached("UPDATE sessions SET version = ?1, token_issued_at = ?2 WHERE row = ?3")?
        .execute((record.version, now.as_micros(), held.row))?;
    Entry::of(&record, EventKind::SessionRotated, by, "", now).append(db)?;
    Ok(record)
}

fn take_over(
    db: &Connection,
    held: &Held,
    token: &TokenHash,
    survivor: Option<TokenHash>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let kept = survivor.as_ref().map(TokenHash::as_bytes);
    let sql = "UPDATE tokens SET standing = 'superseded', until = NULL, since = ?1 \
               WHERE session = ?2 AND standing <> 'superseded' AND hash IS NOT ?3";
    db.prepare_cached(sql)?
        .execute((now.as_micros(), held.row, kept))?;
    let sql = "UPDATE tokens SET standing = 'predecessor', until = NULL \
               WHERE session = ?1 AND hash = ?2";
    if kept.is_some() {
        db.prepare_cached(sql)?.execute((held.row, kept))?;
    }
    let standing = match kept {
        Some(_) => Standing::Fresh,
        None => Standing::Current,
    };
    insert_token(db, &held.record, held.row, token, standing, now)
}

pub(super) fn revoke<E>(
    db: &Connection,
    tenant: &Tenant,
    id: &SessionId,
    ending: Ending,
    now: Timestamp,
) -> Result<Option<bool>, Halt<E>> {
    let Some(held) = row::by_id(db, tenant, id)? else {
        return Ok(None);
    };
    if held.death(now).is_some() {
        return Ok(Some(false));
    }
    let kind = EventKind::SessionRevoked(ending.cause);
    Entry::of(&held.record, kind, &ending.by, &ending.reason, now).append(db)?;
    let death = Death::Revoked(revocation(ending, now));
    write_end(db, held.row, &death)?;
    Ok(Some(true))
}

/// Writes on a session how it ended.
pub(super) fn write_end(db: &Connection, row: i64, death: &Death) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE sessions SET ended = ?1 WHERE row = ?2")?
        .execute((json(death)?, row))?;
    Ok(())
}

pub(super) fn revocation(ending: Ending, now: Timestamp) -> Revocation {
    Revocation {
        at: now,
        by: ending.by,
        cause: ending.cause,
        reason: ending.reason,
    }
}
