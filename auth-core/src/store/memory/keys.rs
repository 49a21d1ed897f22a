//! One tenant's API keys.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    session::{Identity, JsonObject, MAX_RECORD_BYTES, SessionId, TokenHash},
    store::{ApiKey, CreateError, Ending, EventKind, record_bytes},
};

use super::{
    events::{Entry, Log},
    space::revocation,
};

#[derive(Debug, Default)]
pub(super) struct Keys {
    keys: BTreeMap<SessionId, Arc<ApiKey>>,
    hashes: HashMap<TokenHash, SessionId>,
}

impl Keys {
    pub(super) fn create(&mut self, key: ApiKey, log: &mut Log) -> Result<(), CreateError> {
        let claims = Identity {
            claims: key.claims.clone(),
            ..Identity::default()
        };
        let bytes = record_bytes(&claims, &JsonObject::new());
        if bytes > MAX_RECORD_BYTES {
            return Err(CreateError::TooLarge(bytes));
        }
        if self.keys.contains_key(&key.id) || self.hashes.contains_key(&key.hash) {
            return Err(CreateError::Exists);
        }
        let (by, at) = (key.created_by.clone(), key.created_at);
        log.append(&key.tenant, of_key(&key, EventKind::KeyCreated, by, at));
        self.hashes.insert(key.hash, key.id);
        self.keys.insert(key.id, Arc::new(key));
        Ok(())
    }

    pub(super) fn load(&self, hash: &TokenHash) -> Option<Arc<ApiKey>> {
        self.keys.get(self.hashes.get(hash)?).cloned()
    }

    pub(super) fn list(&self, after: Option<&SessionId>, limit: usize) -> Vec<ApiKey> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.keys.range((start, Bound::Unbounded));
        keys.take(limit)
            .map(|(_, key)| ApiKey::clone(key))
            .collect()
    }

    pub(super) fn revoke(
        &mut self,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
        log: &mut Log,
    ) -> Option<bool> {
        let key = self.keys.get_mut(id)?;
        if key.death(now).is_some() {
            return Some(false);
        }
        let mut entry = of_key(key, EventKind::KeyRevoked, ending.by.clone(), now);
        entry.reason.clone_from(&ending.reason);
        log.append(&key.tenant, entry);
        Arc::make_mut(key).revoked = Some(revocation(ending, now));
        Some(true)
    }
}

fn of_key(key: &ApiKey, kind: EventKind, by: String, at: Timestamp) -> Entry {
    Entry {
        at,
        session: Some(key.id),
        subject: Some(key.subject.clone()),
        kind,
        by,
        reason: String::new(),
    }
}
