//! What is known about tokens that others issue.

use auth_core::{
    clock::Timestamp,
    session::{Identity, JsonObject, Revocation, Tenant},
    store::{
        Change, Ending, EventKind, ForeignHandle, ForeignSession, StoreError, UpdateError,
        rules::{changed, check_version},
    },
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    error::Halt,
    events::Entry,
    row::{Fields, json},
    sessions::revocation as made,
};

fn columns(handle: &ForeignHandle) -> (&'static str, &str) {
    match handle {
        ForeignHandle::Jti(value) => ("jti", value),
        ForeignHandle::Sid(value) => ("sid", value),
    }
}

pub(super) fn revoke(
    db: &Connection,
    tenant: &Tenant,
    issuer: &str,
    handle: &ForeignHandle,
    until: Timestamp,
    ending: Ending,
    now: Timestamp,
) -> Result<(), Halt<StoreError>> {
    let kind = EventKind::SessionRevoked(ending.cause);
    Entry::of_many(tenant, None, kind, &ending, now).append(db)?;
    let (claim, value) = columns(handle);
    let sql = "INSERT INTO foreign_revocations (tenant, issuer, claim, value, until, revocation) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
               ON CONFLICT DO UPDATE SET until = max(until, excluded.until)";
    db.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        issuer,
        claim,
        value,
        until.as_micros(),
        json(&made(ending, now))?,
    ])?;
    Ok(())
}

pub(super) fn revocation(
    db: &Connection,
    tenant: &Tenant,
    issuer: &str,
    handles: &[ForeignHandle],
    now: Timestamp,
) -> rusqlite::Result<Option<Revocation>> {
    let sql = "SELECT revocation FROM foreign_revocations \
               WHERE tenant = ?1 AND issuer = ?2 AND claim = ?3 AND value = ?4 AND until > ?5";
    let mut select = db.prepare_cached(sql)?;
    for handle in handles {
        let (claim, value) = columns(handle);
        let parameters = (tenant.as_str(), issuer, claim, value, now.as_micros());
        let found = select.query_row(parameters, |row| Fields { row, next: 0 }.json());
        if let Some(revocation) = found.optional()? {
            return Ok(Some(revocation));
        }
    }
    Ok(None)
}

pub(super) fn attributes(
    db: &Connection,
    tenant: &Tenant,
    session: &ForeignSession,
    now: Timestamp,
) -> rusqlite::Result<(JsonObject, u64)> {
    let sql = "SELECT attributes, version FROM foreign_attributes WHERE tenant = ?1 \
               AND issuer = ?2 AND subject = ?3 AND discriminator = ?4 AND until > ?5";
    let parameters = (
        tenant.as_str(),
        &session.issuer,
        &session.subject,
        &session.discriminator,
        now.as_micros(),
    );
    let mut select = db.prepare_cached(sql)?;
    let found = select.query_row(parameters, |row| {
        let mut fields = Fields { row, next: 0 };
        Ok((fields.json()?, fields.plain()?))
    });
    Ok(found.optional()?.unwrap_or_default())
}

pub(super) fn update(
    db: &Connection,
    tenant: &Tenant,
    session: &ForeignSession,
    expected: Option<u64>,
    change: Change,
    until: Timestamp,
    now: Timestamp,
) -> Result<(JsonObject, u64), Halt<UpdateError>> {
    let (before, version) = attributes(db, tenant, session, now)?;
    check_version(expected, version, Some(&change)).map_err(Halt::Refused)?;
    let after = changed(&Identity::default(), &before, change).map_err(Halt::Refused)?;
    let version = version + 1;
    let sql = "INSERT INTO foreign_attributes \
               (tenant, issuer, subject, discriminator, attributes, version, until) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET \
               attributes = excluded.attributes, version = excluded.version, \
               until = max(until, excluded.until)";
    db.prepare_cached(sql)?.execute(params![
        tenant.as_str(),
        session.issuer,
        session.subject,
        session.discriminator,
        json(&after)?,
        version,
        until.as_micros(),
    ])?;
    let entry = Entry {
        tenant,
        at: now,
        session: None,
        subject: None,
        kind: EventKind::SessionUpdated,
        by: "",
        reason: "",
    };
    entry.append(db)?;
    Ok((after, version))
}
