//! What is known about tokens that others issue, for one tenant.

use std::collections::BTreeMap;

use crate::{
    clock::Timestamp,
    session::{Identity, JsonObject, Revocation},
    store::{
        Change, Ending, EventKind, ForeignHandle, ForeignSession, UpdateError,
        rules::{changed, check_version},
    },
};

use super::{events::Entry, space::revocation};

#[derive(Debug, Default)]
pub(super) struct Foreign {
    revoked: BTreeMap<(String, ForeignHandle), (Revocation, Timestamp)>,
    attributes: BTreeMap<ForeignSession, (JsonObject, u64, Timestamp)>,
}

impl Foreign {
    pub(super) fn revoke(
        &mut self,
        issuer: &str,
        handle: ForeignHandle,
        until: Timestamp,
        ending: Ending,
        now: Timestamp,
    ) {
        self.revoked
            .entry((issuer.to_owned(), handle))
            .and_modify(|(_, end)| *end = until.max(*end))
            .or_insert_with(|| (revocation(ending, now), until));
    }

    pub(super) fn revocation(
        &self,
        issuer: &str,
        handles: &[ForeignHandle],
        now: Timestamp,
    ) -> Option<Revocation> {
        handles
            .iter()
            .filter_map(|handle| self.revoked.get(&(issuer.to_owned(), handle.clone())))
            .find(|(_, until)| now < *until)
            .map(|(revocation, _)| revocation.clone())
    }

    pub(super) fn attributes(&self, session: &ForeignSession, now: Timestamp) -> (JsonObject, u64) {
        match self.attributes.get(session) {
            Some((attributes, version, until)) if now < *until => (attributes.clone(), *version),
            _ => (JsonObject::new(), 0),
        }
    }

    pub(super) fn update(
        &mut self,
        session: &ForeignSession,
        expected: Option<u64>,
        change: Change,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), UpdateError> {
        let (attributes, version) = self.attributes(session, now);
        check_version(expected, version, Some(&change))?;
        let attributes = changed(&Identity::default(), &attributes, change)?;
        let kept = self.attributes.get(session).map(|(_, _, until)| *until);
        let until = kept.map_or(until, |kept| until.max(kept));
        let version = version + 1;
        let held = (attributes.clone(), version, until);
        self.attributes.insert(session.clone(), held);
        Ok((attributes, version))
    }

    pub(super) fn forget(&mut self, limit: usize, now: Timestamp) -> u64 {
        let mut removed = 0;
        let mut keep = |until: Timestamp| {
            let over = now >= until && removed < limit as u64;
            removed += u64::from(over);
            !over
        };
        self.revoked.retain(|_, (_, until)| keep(*until));
        self.attributes.retain(|_, (_, _, until)| keep(*until));
        removed
    }
}

pub(super) fn revoked(ending: &Ending, now: Timestamp) -> Entry {
    Entry {
        at: now,
        session: None,
        subject: None,
        kind: EventKind::SessionRevoked(ending.cause),
        by: ending.by.clone(),
        reason: ending.reason.clone(),
    }
}

pub(super) fn updated(now: Timestamp) -> Entry {
    Entry {
        at: now,
        session: None,
        subject: None,
        kind: EventKind::SessionUpdated,
        by: String::new(),
        reason: String::new(),
    }
}
