//! API keys.

use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{Identity, JsonObject, MAX_RECORD_BYTES, SessionId, Tenant, TokenHash},
    store::{ApiKey, CreateError, Ending, EventKind, StoreError, record_bytes},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    error::{Halt, damaged},
    events::Entry,
    row::{Fields, json},
    sessions::revocation,
};

const SELECT: &str = "SELECT tenant, id, hash, name, subject, claims, scopes, all_scopes, \
                      created_at, created_by, expires_at, revoked FROM api_keys WHERE tenant = ?1";

pub(super) fn create(db: &Connection, key: &ApiKey) -> Result<(), Halt<CreateError>> {
    let claims = Identity {
        claims: key.claims.clone(),
        ..Identity::default()
    };
    let bytes = record_bytes(&claims, &JsonObject::new());
    if bytes > MAX_RECORD_BYTES {
        return Err(Halt::Refused(CreateError::TooLarge(bytes)));
    }
    let sql = "INSERT INTO api_keys (tenant, id, hash, name, subject, claims, scopes, all_scopes, \
               created_at, created_by, expires_at, revoked) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING";
    let added = db.prepare_cached(sql)?.execute(params![
        key.tenant.as_str(),
        key.id.as_bytes(),
        key.hash.as_bytes(),
        key.name,
        key.subject.to_string(),
        json(&key.claims)?,
        json(&key.scopes)?,
        key.all_scopes,
        key.created_at.as_micros(),
        key.created_by,
        key.expires_at.map(Timestamp::as_micros),
        key.revoked.as_ref().map(json).transpose()?,
    ])?;
    if added == 0 {
        return Err(Halt::Refused(CreateError::Exists));
    }
    let (by, at) = (key.created_by.as_str(), key.created_at);
    event(key, EventKind::KeyCreated, by, "", at).append(db)?;
    Ok(())
}

fn event<'a>(
    key: &'a ApiKey,
    kind: EventKind,
    by: &'a str,
    reason: &'a str,
    at: Timestamp,
) -> Entry<'a> {
    Entry {
        tenant: &key.tenant,
        at,
        session: Some(&key.id),
        subject: Some(&key.subject),
        kind,
        by,
        reason,
    }
}

pub(super) fn by_hash(
    db: &Connection,
    tenant: &Tenant,
    hash: &TokenHash,
) -> rusqlite::Result<Option<ApiKey>> {
    let sql = [SELECT, " AND hash = ?2"].concat();
    let mut select = db.prepare_cached(&sql)?;
    let found = select.query_row((tenant.as_str(), hash.as_bytes()), read);
    found.optional()
}

pub(super) fn list(
    db: &Connection,
    tenant: &Tenant,
    after: Option<SessionId>,
    limit: usize,
) -> rusqlite::Result<Vec<ApiKey>> {
    let sql = [SELECT, " AND id > ?2 ORDER BY id LIMIT ?3"].concat();
    let start: &[u8] = after.as_ref().map_or(&[], |id| id.as_bytes());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.prepare_cached(&sql)?
        .query_map((tenant.as_str(), start, limit), read)?
        .collect()
}

pub(super) fn revoke(
    db: &Connection,
    tenant: &Tenant,
    id: &SessionId,
    ending: Ending,
    now: Timestamp,
) -> Result<Option<bool>, Halt<StoreError>> {
    let sql = [SELECT, " AND id = ?2"].concat();
    let parameters = (tenant.as_str(), id.as_bytes());
    let found = db.prepare_cached(&sql)?.query_row(parameters, read);
    let Some(key) = found.optional()? else {
        return Ok(None);
    };
    if key.death(now).is_some() {
        return Ok(Some(false));
    }
    event(&key, EventKind::KeyRevoked, &ending.by, &ending.reason, now).append(db)?;
    let revoked = json(&revocation(ending, now))?;
    let sql = "UPDATE api_keys SET revoked = ?3 WHERE tenant = ?1 AND id = ?2";
    db.prepare_cached(sql)?
        .execute((tenant.as_str(), id.as_bytes(), revoked))?;
    Ok(Some(true))
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let mut fields = Fields { row, next: 0 };
    let tenant = fields.tenant()?;
    let id = fields.id()?;
    let hash = fields.hash()?;
    let name = fields.plain()?;
    let subject: Option<Principal> = fields.principal()?;
    Ok(ApiKey {
        id,
        tenant,
        hash,
        name,
        subject: subject.ok_or_else(|| damaged("subject"))?,
        claims: fields.json()?,
        scopes: fields.json()?,
        all_scopes: fields.plain()?,
        created_at: fields.time()?,
        created_by: fields.plain()?,
        expires_at: fields.plain::<Option<i64>>()?.map(Timestamp::from_micros),
        revoked: fields.optional_json()?,
    })
}
