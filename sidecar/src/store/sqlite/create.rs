//! Making a session.

use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{MAX_RECORD_BYTES, RevocationCause, SessionId, SessionRecord},
    store::{
        BeyondLimit, CreateError, Created, Ending, EventKind, NewSession, Rotation, record_bytes,
        rules::{self, REQUEST_WINDOW, Standing},
    },
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    error::Halt,
    events::Entry,
    row::{json, micros},
    sessions::{insert_token, is_token_taken, live, revoke, rotate, standing},
    subjects::{self, epoch},
};

pub(super) fn create(
    db: &Connection,
    new: NewSession,
    now: Timestamp,
) -> Result<Created, Halt<CreateError>> {
    let bytes = record_bytes(&new.identity, &new.attributes);
    if bytes > MAX_RECORD_BYTES {
        return Err(Halt::Refused(CreateError::TooLarge(bytes)));
    }
    if let Some(first) = first_try(db, &new, now)? {
        return retry(db, &first, &new, now).map(Created::alone);
    }
    if is_token_taken(db, &new.tenant, new.kind, &new.token)? {
        return Err(Halt::Refused(CreateError::Exists));
    }
    if let Some(old) = new.replaces {
        refuse_stale(db, &new, &old, now)?;
        if !end(db, &new, &old, RevocationCause::Replaced, now)? {
            return Err(Halt::Refused(CreateError::Gone));
        }
    }
    let evicted = make_room(db, &new, now)?;
    let record = insert(db, new, now)?;
    Ok(Created { record, evicted })
}

/// A session that was read before it changed is not replaced (R16).
fn refuse_stale(
    db: &Connection,
    new: &NewSession,
    old: &SessionId,
    now: Timestamp,
) -> Result<(), Halt<CreateError>> {
    let Some(read) = new.replaces_version else {
        return Ok(());
    };
    match live(db, &new.tenant, old, now)? {
        Some(held) if held.record.version != read => {
            let current = held.record.version;
            Err(Halt::Refused(CreateError::Conflict { current }))
        }
        _ => Ok(()),
    }
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

/// Ends the oldest sessions of a subject that has too many; answers with them.
fn make_room(
    db: &Connection,
    new: &NewSession,
    now: Timestamp,
) -> Result<Vec<SessionId>, Halt<CreateError>> {
    let (Some(limit), Some(subject)) = (new.limit, &new.identity.subject) else {
        return Ok(Vec::new());
    };
    let max = limit.max.max(1);
    let mut live = subjects::oldest(db, &new.tenant, subject, now)?;
    let surplus = (live.len() + 1).saturating_sub(usize::try_from(max).unwrap_or(usize::MAX));
    if surplus > 0 && limit.beyond == BeyondLimit::Refuse {
        return Err(Halt::Refused(CreateError::LimitReached(max)));
    }
    live.truncate(surplus);
    for old in &live {
        end(db, new, old, RevocationCause::Evicted, now)?;
    }
    Ok(live)
}

/// Ends a session; answers whether it lived.
fn end(
    db: &Connection,
    new: &NewSession,
    old: &SessionId,
    cause: RevocationCause,
    now: Timestamp,
) -> Result<bool, Halt<CreateError>> {
    let ending = Ending {
        by: new.by.clone(),
        cause,
        reason: String::new(),
    };
    Ok(revoke(db, &new.tenant, old, ending, now)? == Some(true))
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
    let sql = "INSERT INTO sessions (tenant, id, kind, strategy, subject, actor, claims, scopes, all_scopes, \
               auth_time, acr, amr, attributes, created_at, expires_at, idle, last_seen, ends_at, \
               token_issued_at, version, subject_epoch, tenant_epoch) VALUES (?1, ?2, ?3, ?4, ?5, \
               ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) \
               ON CONFLICT DO NOTHING";
    let added = db.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        record.id.as_bytes(),
        record.kind.as_str(),
        record.strategy.as_deref(),
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
