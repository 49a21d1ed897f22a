//! The verbs on one session.

use std::{sync::Arc, time::Duration};

use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{
        MAX_RECORD_BYTES, Revocation, RevocationCause, SessionId, SessionRecord, Tenant, TokenHash,
        TokenKind,
    },
    store::{
        BeyondLimit, Change, CreateError, Death, Ending, EventKind, Loaded, NewSession, Rotation,
        StoreError, UpdateError, record_bytes,
        rules::{self, REQUEST_WINDOW, Standing},
    },
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    error::Halt,
    events::Entry,
    row::{self, COLUMNS, EPOCHS, Fields, Held, WIDTH, json, micros, standing_columns},
    subjects::{self, epoch},
};

pub(super) fn create(
    db: &Connection,
    new: NewSession,
    now: Timestamp,
) -> Result<SessionRecord, Halt<CreateError>> {
    let bytes = record_bytes(&new.identity, &new.attributes);
    if bytes > MAX_RECORD_BYTES {
        return Err(Halt::Refused(CreateError::TooLarge(bytes)));
    }
    if let Some(first) = first_try(db, &new, now)? {
        return retry(db, &first, &new, now);
    }
    if is_token_taken(db, &new.tenant, new.kind, &new.token)? {
        return Err(Halt::Refused(CreateError::Exists));
    }
    if let Some(old) = new.replaces {
        end(db, &new, &old, RevocationCause::Replaced, now)?;
    }
    make_room(db, &new, now)?;
    insert(db, new, now)
}

fn first_try(
    db: &Connection,
    new: &NewSession,
    now: Timestamp,
) -> rusqlite::Result<Option<SessionId>> {
    let Some(request) = &new.request else {
        return Ok(None);
    };
    let sql = "SELECT session FROM requests WHERE tenant = ?1 AND hash = ?2 AND until > ?3";
    let parameters = (new.tenant.as_str(), request.as_bytes(), now.as_micros());
    db.prepare_cached(sql)?
        .query_row(parameters, |row| row.get(0).map(SessionId::from_bytes))
        .optional()
}

fn retry(
    db: &Connection,
    first: &SessionId,
    new: &NewSession,
    now: Timestamp,
) -> Result<SessionRecord, Halt<CreateError>> {
    let held =
        live(db, &new.tenant, first, now)?.filter(|held| rules::is_retry_of(new, &held.record));
    let Some(held) = held else {
        return Err(Halt::Refused(CreateError::Exists));
    };
    if standing(db, &held, &new.token)? == Some(Standing::Current) {
        return Ok(held.record);
    }
    rotate(db, held, None, new.token, Rotation::Immediate, &new.by, now).map_err(
        |halt| match halt {
            Halt::Failed(error) => Halt::Failed(error),
            Halt::Refused(_) => Halt::Refused(CreateError::Exists),
        },
    )
}

/// Ends the oldest sessions of a subject that has too many.
fn make_room(db: &Connection, new: &NewSession, now: Timestamp) -> Result<(), Halt<CreateError>> {
    let (Some(limit), Some(subject)) = (new.limit, &new.identity.subject) else {
        return Ok(());
    };
    let max = limit.max.max(1);
    let live = subjects::oldest(db, &new.tenant, subject, now)?;
    let surplus = (live.len() + 1).saturating_sub(usize::try_from(max).unwrap_or(usize::MAX));
    if surplus > 0 && limit.beyond == BeyondLimit::Refuse {
        return Err(Halt::Refused(CreateError::LimitReached(max)));
    }
    for old in live.iter().take(surplus) {
        end(db, new, old, RevocationCause::Evicted, now)?;
    }
    Ok(())
}

fn end(
    db: &Connection,
    new: &NewSession,
    old: &SessionId,
    cause: RevocationCause,
    now: Timestamp,
) -> Result<(), Halt<CreateError>> {
    let ending = Ending {
        by: new.by.clone(),
        cause,
        reason: String::new(),
    };
    revoke(db, &new.tenant, old, ending, now)?;
    Ok(())
}

fn insert(
    db: &Connection,
    new: NewSession,
    now: Timestamp,
) -> Result<SessionRecord, Halt<CreateError>> {
    let record = rules::record(&new, now);
    let Some(row) = insert_session(db, &record)? else {
        return Err(Halt::Refused(CreateError::Exists));
    };
    insert_token(db, &record, row, &new.token, Standing::Current, now)?;
    if let Some(request) = &new.request {
        let sql = "INSERT OR REPLACE INTO requests (tenant, hash, session, until) \
                   VALUES (?1, ?2, ?3, ?4)";
        db.prepare_cached(sql)?.execute(params![
            new.tenant.as_str(),
            request.as_bytes(),
            new.id.as_bytes(),
            now.plus(REQUEST_WINDOW).as_micros(),
        ])?;
    }
    Entry::of(&record, EventKind::SessionCreated, &new.by, "", now).append(db)?;
    Ok(record)
}

/// Adds the row; `None` when the id is taken.
fn insert_session(db: &Connection, record: &SessionRecord) -> rusqlite::Result<Option<i64>> {
    let (tenant, identity) = (&record.tenant, &record.identity);
    let subject = identity.subject.as_ref();
    let subject_epoch = subject.map_or(Ok(0), |subject| epoch(db, tenant, Some(subject)))?;
    let sql = "INSERT INTO sessions (tenant, id, kind, subject, actor, claims, scopes, all_scopes, \
               auth_time, acr, amr, attributes, created_at, expires_at, idle, last_seen, ends_at, \
               token_issued_at, version, subject_epoch, tenant_epoch) VALUES (?1, ?2, ?3, ?4, ?5, \
               ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) \
               ON CONFLICT DO NOTHING";
    let added = db.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        record.id.as_bytes(),
        record.kind.as_str(),
        subject.map(Principal::to_string),
        identity.actor.as_ref().map(Principal::to_string),
        json(&identity.claims)?,
        json(&identity.scopes)?,
        identity.all_scopes,
        identity.auth_time.map(Timestamp::as_micros),
        identity.acr,
        json(&identity.amr)?,
        json(&record.attributes)?,
        record.created_at.as_micros(),
        record.expires_at.as_micros(),
        micros(record.idle),
        record.last_seen.as_micros(),
        record.ends_at().as_micros(),
        record.token_issued_at.as_micros(),
        record.version,
        subject_epoch,
        epoch(db, tenant, None)?,
    ])?;
    Ok((added > 0).then(|| db.last_insert_rowid()))
}

fn insert_token(
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

fn is_token_taken(
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
fn standing(db: &Connection, held: &Held, token: &TokenHash) -> rusqlite::Result<Option<Standing>> {
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
    let sql = row::const_format(&["SELECT ", COLUMNS, ", t.standing, t.until FROM tokens t "])
        + &row::const_format(&["JOIN sessions s ON s.row = t.session ", EPOCHS])
        + " WHERE t.tenant = ?1 AND t.kind = ?2 AND t.hash = ?3";
    let mut select = db.prepare_cached(&sql)?;
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
