//! Records as rows.

use std::{sync::LazyLock, time::Duration};

use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{Identity, Revocation, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{
        Death, Listed,
        rules::{self, Standing},
    },
};
use rusqlite::{Connection, OptionalExtension, Row, types::FromSql};
use serde::{Serialize, de::DeserializeOwned};

use super::error::damaged;

/// What [`Held::read`] reads, from `sessions` as `s`.
pub(super) const COLUMNS: &str = "s.row, s.tenant, s.id, s.kind, s.strategy, s.subject, s.actor, s.claims, \
    s.scopes, s.all_scopes, s.auth_time, s.acr, s.amr, s.attributes, s.created_at, s.expires_at, \
    s.idle, s.last_seen, s.token_issued_at, s.version, s.ended, one.place, one.revocation, \
    every.place, every.revocation";

/// The first revocation of a session's subject, and of everyone, since it was made.
pub(super) const EPOCHS: &str = "\
    LEFT JOIN epochs one ON one.tenant = s.tenant AND one.subject = s.subject \
    AND one.number = s.subject_epoch + 1 \
    LEFT JOIN epochs every ON every.tenant = s.tenant AND every.subject = '' \
    AND every.number = s.tenant_epoch + 1";

static BY_ID: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {COLUMNS} FROM sessions s {EPOCHS} WHERE s.tenant = ?1 AND s.id = ?2")
});

/// How many columns [`COLUMNS`] are.
pub(super) const WIDTH: usize = 25;

/// A session as the file holds it.
pub(super) struct Held {
    pub(super) row: i64,
    pub(super) record: SessionRecord,
    ended: Option<Death>,
    epoch: Option<Revocation>,
}

impl Held {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut fields = Fields { row, next: 0 };
        Ok(Self {
            row: fields.plain()?,
            record: record(&mut fields)?,
            ended: fields.optional_json()?,
            epoch: earlier(epoch(&mut fields)?, epoch(&mut fields)?),
        })
    }

    pub(super) fn death(&self, now: Timestamp) -> Option<Death> {
        let (ended, epoch) = (self.ended.as_ref(), self.epoch.as_ref());
        rules::death(&self.record, ended, epoch, now)
    }

    pub(super) fn into_listed(self, now: Timestamp) -> Listed {
        let death = self.death(now);
        let record = self.record;
        Listed { record, death }
    }
}

type Epoch = (Option<i64>, Option<Revocation>);

fn epoch(fields: &mut Fields<'_, '_>) -> rusqlite::Result<Epoch> {
    Ok((fields.plain()?, fields.optional_json()?))
}

/// The one that was written first; the clock may have gone back in between.
fn earlier(one: Epoch, every: Epoch) -> Option<Revocation> {
    match (one, every) {
        ((Some(one), revocation), (Some(every), _)) if one < every => revocation,
        ((_, revocation), (None, _)) | (_, (_, revocation)) => revocation,
    }
}

fn record(fields: &mut Fields<'_, '_>) -> rusqlite::Result<SessionRecord> {
    let tenant = fields.tenant()?;
    let id = fields.id()?;
    let kind = kind(&fields.plain::<String>()?)?;
    Ok(SessionRecord {
        id,
        tenant,
        kind,
        strategy: fields.plain::<Option<String>>()?.map(Into::into),
        identity: Identity {
            subject: fields.principal()?,
            actor: fields.principal()?,
            claims: fields.json()?,
            scopes: fields.json()?,
            all_scopes: fields.plain()?,
            auth_time: fields.plain::<Option<i64>>()?.map(Timestamp::from_micros),
            acr: fields.plain()?,
            amr: fields.json()?,
        },
        attributes: fields.json()?,
        created_at: fields.time()?,
        expires_at: fields.time()?,
        idle: Duration::from_micros(fields.plain()?),
        last_seen: fields.time()?,
        token_issued_at: fields.time()?,
        version: fields.plain()?,
    })
}

/// A session by its id.
pub(super) fn by_id(
    db: &Connection,
    tenant: &Tenant,
    id: &SessionId,
) -> rusqlite::Result<Option<Held>> {
    db.prepare_cached(&BY_ID)?
        .query_row((tenant.as_str(), id.as_bytes()), Held::read)
        .optional()
}

/// Reads the columns of a row in turn.
pub(super) struct Fields<'row, 'statement> {
    pub(super) row: &'row Row<'statement>,
    pub(super) next: usize,
}

impl Fields<'_, '_> {
    pub(super) fn plain<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    pub(super) fn time(&mut self) -> rusqlite::Result<Timestamp> {
        self.plain().map(Timestamp::from_micros)
    }

    pub(super) fn id(&mut self) -> rusqlite::Result<SessionId> {
        self.plain().map(SessionId::from_bytes)
    }

    pub(super) fn tenant(&mut self) -> rusqlite::Result<Tenant> {
        let name: String = self.plain()?;
        Tenant::new(&name).ok_or_else(|| damaged("tenant"))
    }

    pub(super) fn principal(&mut self) -> rusqlite::Result<Option<Principal>> {
        let text: Option<String> = self.plain()?;
        text.map(|text| text.parse().map_err(|_| damaged("principal")))
            .transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> rusqlite::Result<T> {
        self.optional_json()?.ok_or_else(|| damaged("null"))
    }

    pub(super) fn optional_json<T: DeserializeOwned>(&mut self) -> rusqlite::Result<Option<T>> {
        self.next += 1;
        let text = self.row.get_ref(self.next - 1)?.as_str_or_null();
        let text = text.map_err(|_| damaged("json"))?;
        text.map(|text| serde_json::from_str(text).map_err(|_| damaged("json")))
            .transpose()
    }

    pub(super) fn hash(&mut self) -> rusqlite::Result<TokenHash> {
        self.plain().map(TokenHash::from_bytes)
    }
}

fn kind(name: &str) -> rusqlite::Result<TokenKind> {
    [TokenKind::Cookie, TokenKind::Bearer]
        .into_iter()
        .find(|kind| kind.as_str() == name)
        .ok_or_else(|| damaged(name))
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A span as the file holds it.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A standing as the file holds it.
pub(super) fn standing_columns(standing: Standing) -> (&'static str, Option<i64>) {
    match standing {
        Standing::Current => ("current", None),
        Standing::Fresh => ("fresh", None),
        Standing::Predecessor { until } => ("predecessor", until.map(Timestamp::as_micros)),
        Standing::Superseded => ("superseded", None),
    }
}

/// Reads `standing, until`.
pub(super) fn standing(fields: &mut Fields<'_, '_>) -> rusqlite::Result<Standing> {
    let name: String = fields.plain()?;
    let until: Option<i64> = fields.plain()?;
    match name.as_str() {
        "current" => Ok(Standing::Current),
        "fresh" => Ok(Standing::Fresh),
        "predecessor" => Ok(Standing::Predecessor {
            until: until.map(Timestamp::from_micros),
        }),
        "superseded" => Ok(Standing::Superseded),
        other => Err(damaged(other)),
    }
}
