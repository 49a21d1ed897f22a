//! The stream of events.

use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{SessionId, SessionRecord, Tenant},
    store::{Changes, Ending, Event, EventKind, Position},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    error::damaged,
    row::{Fields, json},
};

/// What an event says besides its place.
pub(super) struct Entry<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) at: Timestamp,
    pub(super) session: Option<&'a SessionId>,
    pub(super) subject: Option<&'a Principal>,
    pub(super) kind: EventKind,
    pub(super) by: &'a str,
    pub(super) reason: &'a str,
}

impl<'a> Entry<'a> {
    pub(super) fn of(
        record: &'a SessionRecord,
        kind: EventKind,
        by: &'a str,
        reason: &'a str,
        at: Timestamp,
    ) -> Self {
        Self {
            tenant: &record.tenant,
            at,
            session: Some(&record.id),
            subject: record.identity.subject.as_ref(),
            kind,
            by,
            reason,
        }
    }

    pub(super) fn of_many(
        tenant: &'a Tenant,
        subject: Option<&'a Principal>,
        kind: EventKind,
        ending: &'a Ending,
        at: Timestamp,
    ) -> Self {
        Self {
            tenant,
            at,
            session: None,
            subject,
            kind,
            by: &ending.by,
            reason: &ending.reason,
        }
    }

    /// Appends the event to the stream.
    pub(super) fn append(self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO events (tenant, at, session, subject, kind, by, reason) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let mut insert = db.prepare_cached(sql)?;
        insert.execute(params![
            self.tenant.as_str(),
            self.at.as_micros(),
            self.session.map(SessionId::as_bytes),
            self.subject.map(Principal::to_string),
            json(&self.kind)?,
            self.by,
            self.reason,
        ])?;
        Ok(())
    }
}

/// The end of the stream.
pub(super) fn end(db: &Connection) -> rusqlite::Result<Position> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let end: Option<u64> = db
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(Position(end.unwrap_or(0)))
}

/// A tenant's events after a position, `None` when there are none yet, and the end of the stream.
pub(super) fn after(
    db: &Connection,
    tenant: &Tenant,
    after: Position,
    limit: usize,
) -> rusqlite::Result<(Option<Changes>, Position)> {
    let snapshot = db.unchecked_transaction()?;
    let end = end(&snapshot)?;
    let first: Option<u64> = snapshot
        .prepare_cached("SELECT min(position) FROM events")?
        .query_row([], |row| row.get(0))?;
    let dropped = first.map_or(end.0, |first| first - 1);
    if after.0 < dropped || after.0 > end.0 {
        return Ok((Some(Changes::Reset(end)), end));
    }
    let sql = "SELECT position, at, session, subject, kind, by, reason FROM events \
               WHERE tenant = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
    let mut select = snapshot.prepare_cached(sql)?;
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let events = select
        .query_map((tenant.as_str(), after.0, limit), read)?
        .collect::<rusqlite::Result<Vec<Event>>>()?;
    let changes = (!events.is_empty()).then_some(Changes::Events(events));
    Ok((changes, end))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    let mut fields = Fields { row, next: 0 };
    let position = Position(fields.plain()?);
    let at = fields.time()?;
    let session: Option<[u8; 16]> = fields.plain()?;
    Ok(Event {
        position,
        at,
        session: session.map(SessionId::from_bytes),
        subject: fields.principal()?,
        kind: fields.json().map_err(|_| damaged("event"))?,
        by: fields.plain()?,
        reason: fields.plain()?,
    })
}
