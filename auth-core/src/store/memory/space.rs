//! One tenant's sessions.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{
        MAX_RECORD_BYTES, Revocation, RevocationCause, SessionId, SessionRecord, Tenant, TokenHash,
        TokenKind,
    },
    store::{
        BeyondLimit, Change, CreateError, Created, Death, Ending, EventKind, Listed, Loaded,
        NewSession, Page, Position, Rotation, SessionFilter, UpdateError, record_bytes,
        rules::{self, REQUEST_WINDOW, Standing},
    },
};

use super::{
    events::{Entry, Log},
    foreign::Foreign,
    keys::Keys,
};

/// One session with what surrounds its record.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: Arc<SessionRecord>,
    pub(super) ended: Option<Death>,
    /// How often its subject had been revoked when it was made, or when it was spared.
    subject_epoch: usize,
    tenant_epoch: usize,
    pub(super) tokens: Vec<Token>,
}

#[derive(Debug)]
pub(super) struct Token {
    pub(super) hash: TokenHash,
    pub(super) standing: Standing,
    pub(super) since: Timestamp,
}

impl Row {
    pub(super) fn standing(&self, token: &TokenHash) -> Option<Standing> {
        let token = self.tokens.iter().find(|held| held.hash == *token)?;
        Some(token.standing)
    }
}

#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) sessions: BTreeMap<SessionId, Row>,
    pub(super) tokens: HashMap<(TokenKind, TokenHash), SessionId>,
    pub(super) subjects: HashMap<Principal, BTreeSet<SessionId>>,
    /// With their places in the order of writes, as the clock may go back.
    epochs: HashMap<Principal, Vec<(Position, Revocation)>>,
    tenant_epochs: Vec<(Position, Revocation)>,
    pub(super) requests: HashMap<TokenHash, (SessionId, Timestamp)>,
    pub(super) keys: Keys,
    pub(super) foreign: Foreign,
}

impl Space {
    pub(super) fn create(
        &mut self,
        new: NewSession,
        now: Timestamp,
        log: &mut Log,
    ) -> Result<Created, CreateError> {
        let bytes = record_bytes(&new.identity, &new.attributes);
        if bytes > MAX_RECORD_BYTES {
            return Err(CreateError::TooLarge(bytes));
        }
        if let Some(first) = self.first_try(&new, now) {
            return self.retry(&first, &new, now, log).map(Created::alone);
        }
        if self.sessions.contains_key(&new.id) || self.tokens.contains_key(&(new.kind, new.token)) {
            return Err(CreateError::Exists);
        }
        if let Some(old) = new.replaces {
            let current = self
                .live(&old, now)
                .ok_or(CreateError::Gone)?
                .record
                .version;
            if new.replaces_version.is_some_and(|read| read != current) {
                return Err(CreateError::Conflict { current });
            }
        }
        let evicted = self.beyond_limit(&new, now)?;
        if let Some(old) = new.replaces {
            self.end(&old, RevocationCause::Replaced, &new.by, now, log);
        }
        for old in &evicted {
            self.end(old, RevocationCause::Evicted, &new.by, now, log);
        }
        let record = self.insert(&new, now, log);
        Ok(Created { record, evicted })
    }

    fn first_try(&self, new: &NewSession, now: Timestamp) -> Option<SessionId> {
        let (first, until) = self.requests.get(&new.request?)?;
        (now < *until).then_some(*first)
    }

    fn retry(
        &mut self,
        first: &SessionId,
        new: &NewSession,
        now: Timestamp,
        log: &mut Log,
    ) -> Result<SessionRecord, CreateError> {
        let row = self.live(first, now).ok_or(CreateError::Exists)?;
        if !rules::is_retry_of(new, &row.record) {
            return Err(CreateError::Exists);
        }
        if row.standing(&new.token) == Some(Standing::Current) {
            return Ok(SessionRecord::clone(&row.record));
        }
        let rotation = Rotation::Immediate;
        self.rotate(first, None, new.token, rotation, &new.by, now, log)
            .map_err(|_| CreateError::Exists)
    }

    fn beyond_limit(
        &self,
        new: &NewSession,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, CreateError> {
        let (Some(limit), Some(subject)) = (new.limit, &new.identity.subject) else {
            return Ok(Vec::new());
        };
        let max = usize::try_from(limit.max.max(1)).unwrap_or(usize::MAX);
        let mut live: Vec<&Arc<SessionRecord>> = self
            .of_subject(subject)
            .filter(|row| self.death(row, now).is_none())
            .map(|row| &row.record)
            .filter(|record| Some(record.id) != new.replaces)
            .collect();
        if live.len() < max {
            return Ok(Vec::new());
        }
        if limit.beyond == BeyondLimit::Refuse {
            return Err(CreateError::LimitReached(limit.max.max(1)));
        }
        live.sort_by_key(|record| (record.created_at, record.id));
        let surplus = live.len() + 1 - max;
        Ok(live.iter().take(surplus).map(|record| record.id).collect())
    }

    fn insert(&mut self, new: &NewSession, now: Timestamp, log: &mut Log) -> SessionRecord {
        let record = Arc::new(rules::record(new, now));
        let subject = &record.identity.subject;
        self.sessions.insert(
            new.id,
            Row {
                record: Arc::clone(&record),
                ended: None,
                subject_epoch: subject
                    .as_ref()
                    .map_or(0, |subject| self.epochs.get(subject).map_or(0, Vec::len)),
                tenant_epoch: self.tenant_epochs.len(),
                tokens: vec![Token {
                    hash: new.token,
                    standing: Standing::Current,
                    since: now,
                }],
            },
        );
        self.tokens.insert((new.kind, new.token), new.id);
        if let Some(subject) = subject {
            self.subjects
                .entry(subject.clone())
                .or_default()
                .insert(new.id);
        }
        if let Some(request) = new.request {
            self.requests
                .insert(request, (new.id, now.plus(REQUEST_WINDOW)));
        }
        let entry = of_session(&record, EventKind::SessionCreated, &new.by, "", now);
        log.append(&new.tenant, entry);
        SessionRecord::clone(&record)
    }

    pub(super) fn load(
        &self,
        kind: TokenKind,
        token: &TokenHash,
        now: Timestamp,
    ) -> Option<Loaded> {
        let id = *self.tokens.get(&(kind, *token))?;
        let row = self.sessions.get(&id)?;
        if let Some(death) = self.death(row, now) {
            return Some(Loaded::Dead { id, death });
        }
        Some(match row.standing(token)?.role(now) {
            Some(role) => Loaded::Live {
                record: Arc::clone(&row.record),
                role,
            },
            None => Loaded::Dead {
                id,
                death: Death::Superseded,
            },
        })
    }

    pub(super) fn get(&self, id: &SessionId, now: Timestamp) -> Option<Listed> {
        self.sessions.get(id).map(|row| self.listed(row, now))
    }

    pub(super) fn update(
        &mut self,
        id: &SessionId,
        expected: Option<u64>,
        change: Change,
        by: &str,
        now: Timestamp,
        log: &mut Log,
    ) -> Result<SessionRecord, UpdateError> {
        let row = self.live_mut(id, now).ok_or(UpdateError::Gone)?;
        rules::check_version(expected, row.record.version, Some(&change))?;
        let attributes = rules::changed(&row.record.identity, &row.record.attributes, change)?;
        let record = Arc::make_mut(&mut row.record);
        record.attributes = attributes;
        record.version += 1;
        let entry = of_session(record, EventKind::SessionUpdated, by, "", now);
        log.append(&record.tenant, entry);
        Ok(record.clone())
    }

    pub(super) fn touch(
        &mut self,
        id: &SessionId,
        token: &TokenHash,
        overlap: Duration,
        now: Timestamp,
    ) {
        let Some(row) = self.live_mut(id, now) else {
            return;
        };
        let Some(standing) = row.standing(token).filter(|held| held.role(now).is_some()) else {
            return;
        };
        if now > row.record.last_seen {
            Arc::make_mut(&mut row.record).last_seen = now;
        }
        if standing == Standing::Fresh {
            for held in &mut row.tokens {
                held.standing = match held.standing {
                    Standing::Fresh => Standing::Current,
                    Standing::Predecessor { until: None } => Standing::Predecessor {
                        until: Some(now.plus(overlap)),
                    },
                    other => other,
                };
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "as the trait's verb")]
    pub(super) fn rotate(
        &mut self,
        id: &SessionId,
        expected: Option<u64>,
        token: TokenHash,
        rotation: Rotation,
        by: &str,
        now: Timestamp,
        log: &mut Log,
    ) -> Result<SessionRecord, UpdateError> {
        let row = self.live(id, now).ok_or(UpdateError::Gone)?;
        let version = row.record.version;
        rules::check_version(expected, version, None)?;
        let presented = match rotation {
            Rotation::Renewal { presented } => row.standing(&presented),
            Rotation::Immediate => None,
        };
        let survivor = rules::survivor(rotation, presented, version, now)?;
        let key = (row.record.kind, token);
        if self.tokens.contains_key(&key) {
            return Err(UpdateError::Exists);
        }
        self.tokens.insert(key, *id);
        let row = self.sessions.get_mut(id).ok_or(UpdateError::Gone)?;
        take_over(row, token, survivor, now);
        let record = Arc::make_mut(&mut row.record);
        record.token_issued_at = now;
        record.version += 1;
        let entry = of_session(record, EventKind::SessionRotated, by, "", now);
        log.append(&record.tenant, entry);
        Ok(record.clone())
    }

    pub(super) fn revoke(
        &mut self,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
        log: &mut Log,
    ) -> Option<bool> {
        self.sessions.get(id)?;
        let Some(row) = self.live_mut(id, now) else {
            return Some(false);
        };
        let kind = EventKind::SessionRevoked(ending.cause);
        let entry = of_session(&row.record, kind, &ending.by, &ending.reason, now);
        log.append(&row.record.tenant, entry);
        row.ended = Some(Death::Revoked(revocation(ending, now)));
        Some(true)
    }

    fn end(
        &mut self,
        id: &SessionId,
        cause: RevocationCause,
        by: &str,
        now: Timestamp,
        log: &mut Log,
    ) {
        let ending = Ending {
            by: by.to_owned(),
            cause,
            reason: String::new(),
        };
        self.revoke(id, ending, now, log);
    }

    pub(super) fn revoke_subject(
        &mut self,
        tenant: &Tenant,
        subject: &Principal,
        except: Option<&SessionId>,
        ending: Ending,
        now: Timestamp,
        log: &mut Log,
    ) -> u64 {
        let spared = except.copied().filter(|id| {
            self.live(id, now)
                .is_some_and(|row| row.record.identity.subject.as_ref() == Some(subject))
        });
        let lived = self.count(Some(subject), now) - u64::from(spared.is_some());
        log.append(
            tenant,
            of_many(Some(subject), EventKind::SubjectRevoked, &ending, now),
        );
        let epochs = self.epochs.entry(subject.clone()).or_default();
        epochs.push((log.end(), revocation(ending, now)));
        let epoch = epochs.len();
        if let Some(row) = spared.and_then(|id| self.sessions.get_mut(&id)) {
            row.subject_epoch = epoch;
        }
        lived
    }

    pub(super) fn revoke_all(
        &mut self,
        tenant: &Tenant,
        expected: Option<u64>,
        ending: Ending,
        now: Timestamp,
        log: &mut Log,
    ) -> Result<u64, u64> {
        let live = self.count(None, now);
        if expected.is_some_and(|expected| expected != live) {
            return Err(live);
        }
        log.append(tenant, of_many(None, EventKind::AllRevoked, &ending, now));
        let epoch = (log.end(), revocation(ending, now));
        self.tenant_epochs.push(epoch);
        Ok(live)
    }

    pub(super) fn count(&self, subject: Option<&Principal>, now: Timestamp) -> u64 {
        let lives = |row: &&Row| self.death(row, now).is_none();
        match subject {
            Some(subject) => self.of_subject(subject).filter(lives).count() as u64,
            None => self.sessions.values().filter(lives).count() as u64,
        }
    }

    pub(super) fn list(
        &self,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Page {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let limit = limit.max(1);
        let mut sessions: Vec<Listed> = self
            .sessions
            .range((start, Bound::Unbounded))
            .map(|(_, row)| row)
            .filter(|row| {
                let subject = row.record.identity.subject.as_ref();
                filter.subject.is_none() || filter.subject.as_ref() == subject
            })
            .map(|row| self.listed(row, now))
            .filter(|listed| filter.include_ended || listed.death.is_none())
            .take(limit.saturating_add(1))
            .collect();
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        let last = sessions.last().map(|listed| listed.record.id);
        Page {
            sessions,
            next: last.filter(|_| more),
        }
    }

    pub(super) fn revoked_at(&self, subject: &Principal) -> Option<Timestamp> {
        let subject = self.epochs.get(subject).and_then(|epochs| epochs.last());
        let last = subject.into_iter().chain(self.tenant_epochs.last());
        last.map(|(_, revocation)| revocation.at).max()
    }

    pub(super) fn death(&self, row: &Row, now: Timestamp) -> Option<Death> {
        rules::death(&row.record, row.ended.as_ref(), self.epoch(row), now)
    }

    /// The first revocation of everyone's or the subject's sessions since this one was made.
    pub(super) fn epoch(&self, row: &Row) -> Option<&Revocation> {
        let subject = row.record.identity.subject.as_ref();
        let subject = subject
            .and_then(|subject| self.epochs.get(subject))
            .and_then(|epochs| epochs.get(row.subject_epoch));
        let tenant = self.tenant_epochs.get(row.tenant_epoch);
        subject
            .into_iter()
            .chain(tenant)
            .min_by_key(|(place, _)| *place)
            .map(|(_, revocation)| revocation)
    }

    fn listed(&self, row: &Row, now: Timestamp) -> Listed {
        Listed {
            record: SessionRecord::clone(&row.record),
            death: self.death(row, now),
        }
    }

    fn live(&self, id: &SessionId, now: Timestamp) -> Option<&Row> {
        let row = self.sessions.get(id)?;
        self.death(row, now).is_none().then_some(row)
    }

    fn live_mut(&mut self, id: &SessionId, now: Timestamp) -> Option<&mut Row> {
        self.live(id, now)?;
        self.sessions.get_mut(id)
    }

    fn of_subject(&self, subject: &Principal) -> impl Iterator<Item = &Row> {
        let ids = self.subjects.get(subject).into_iter().flatten();
        ids.filter_map(|id| self.sessions.get(id))
    }
}

fn take_over(row: &mut Row, token: TokenHash, survivor: Option<TokenHash>, now: Timestamp) {
    for held in &mut row.tokens {
        if Some(held.hash) == survivor {
            held.standing = Standing::Predecessor { until: None };
        } else if held.standing != Standing::Superseded {
            held.standing = Standing::Superseded;
            held.since = now;
        }
    }
    let standing = match survivor {
        Some(_) => Standing::Fresh,
        None => Standing::Current,
    };
    row.tokens.push(Token {
        hash: token,
        standing,
        since: now,
    });
}

pub(super) fn revocation(ending: Ending, now: Timestamp) -> Revocation {
    Revocation {
        at: now,
        by: ending.by,
        cause: ending.cause,
        reason: ending.reason,
    }
}

pub(super) fn of_session(
    record: &SessionRecord,
    kind: EventKind,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Entry {
    Entry {
        at: now,
        session: Some(record.id),
        subject: record.identity.subject.clone(),
        kind,
        by: by.to_owned(),
        reason: reason.to_owned(),
    }
}

fn of_many(subject: Option<&Principal>, kind: EventKind, ending: &Ending, now: Timestamp) -> Entry {
    Entry {
        at: now,
        session: None,
        subject: subject.cloned(),
        kind,
        by: ending.by.clone(),
        reason: ending.reason.clone(),
    }
}
