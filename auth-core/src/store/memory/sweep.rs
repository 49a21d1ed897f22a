//! Sweeping, in small steps.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    session::SessionRecord,
    store::{
        Death, EventKind, Expired, Swept,
        rules::{Standing, TOMBSTONE_RETENTION},
    },
};

use super::{
    events::Log,
    space::{Space, of_session},
};

impl Space {
    /// Sweeps until `swept` has reached `limit` in each respect.
    pub(super) fn sweep(&mut self, limit: usize, now: Timestamp, swept: &mut Swept, log: &mut Log) {
        let room = |used: u64| limit.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX));
        let left = limit.saturating_sub(swept.expired.len());
        swept.expired.extend(self.expire(left, now, log));
        swept.removed += self.forget_sessions(room(swept.removed), now);
        swept.removed += self.forget_tokens(room(swept.removed), now);
        let requests = self.requests.iter();
        let over = requests.filter(|(_, (_, until))| now >= *until);
        let over: Vec<_> = over
            .map(|(key, _)| *key)
            .take(room(swept.removed))
            .collect();
        swept.removed += over.len() as u64;
        over.iter().for_each(|key| {
            self.requests.remove(key);
        });
        swept.removed += self.foreign.forget(room(swept.removed), now);
    }

    fn expire(&mut self, limit: usize, now: Timestamp, log: &mut Log) -> Vec<Expired> {
        let expired: Vec<Expired> = self
            .sessions
            .values()
            .filter(|row| row.ended.is_none())
            .filter_map(|row| match self.death(row, now)? {
                Death::Expired { limit } => Some(Expired::of(&row.record, limit)),
                Death::Revoked(_) | Death::Superseded => None,
            })
            .take(limit)
            .collect();
        for Expired { id, limit, .. } in &expired {
            if let Some(row) = self.sessions.get_mut(id) {
                row.ended = Some(Death::Expired { limit: *limit });
                let entry = of_session(&row.record, EventKind::SessionExpired, "", "", now);
                log.append(&row.record.tenant, entry);
            }
        }
        expired
    }

    fn forget_sessions(&mut self, limit: usize, now: Timestamp) -> u64 {
        let over: Vec<Arc<SessionRecord>> = self
            .sessions
            .values()
            .map(|row| &row.record)
            .filter(|record| now >= record.expires_at.plus(TOMBSTONE_RETENTION))
            .take(limit)
            .cloned()
            .collect();
        for record in &over {
            self.forget_session(record);
        }
        over.len() as u64
    }

    fn forget_session(&mut self, record: &SessionRecord) {
        if let Some(row) = self.sessions.remove(&record.id) {
            for token in row.tokens {
                self.tokens.remove(&(record.kind, token.hash));
            }
        }
        if let Some(subject) = &record.identity.subject
            && let Some(ids) = self.subjects.get_mut(subject)
        {
            ids.remove(&record.id);
            if ids.is_empty() {
                self.subjects.remove(subject);
            }
        }
    }

    fn forget_tokens(&mut self, limit: usize, now: Timestamp) -> u64 {
        let mut removed = 0;
        for row in self.sessions.values_mut() {
            let (kind, tokens) = (row.record.kind, &mut self.tokens);
            row.tokens.retain(|token| {
                let over = token.standing == Standing::Superseded
                    && now >= token.since.plus(TOMBSTONE_RETENTION)
                    && removed < limit as u64;
                if over {
                    tokens.remove(&(kind, token.hash));
                    removed += 1;
                }
                !over
            });
        }
        removed
    }
}
