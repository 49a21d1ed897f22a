//! What a step of sweeping tells.

use crate::{
    principal::Principal,
    session::{Expiry, SessionId, SessionRecord, Tenant},
};

/// What one step of sweeping did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that had expired and are tombstones now: no more than the limit of the step.
    pub expired: Vec<Expired>,
    /// Tombstones, tokens and events removed for good.
    pub removed: u64,
}

impl Swept {
    /// Whether there was nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.expired.is_empty() && self.removed == 0
    }
}

/// A session whose end a step of sweeping wrote down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its public handle.
    pub id: SessionId,
    /// Whose it was.
    pub tenant: Tenant,
    /// Who was signed in; `None` for an anonymous session.
    pub subject: Option<Principal>,
    /// Which limit ended it.
    pub limit: Expiry,
}

impl Expired {
    /// What is told of this session, which this limit ended.
    #[must_use]
    pub fn of(record: &SessionRecord, limit: Expiry) -> Self {
        Self {
            id: record.id,
            tenant: record.tenant.clone(),
            subject: record.identity.subject.clone(),
            limit,
        }
    }
}
