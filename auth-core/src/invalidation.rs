//! What a cache of sessions must not believe any more.
//!
//! Every change leaves a mark before it is acknowledged. A cached record is good only if nothing
//! about it was marked since its load began, so a load that races a revoke loses (SECURITY 5.5).

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{SessionId, Tenant},
};

/// How long marks are kept. What was loaded longer ago is not believed anyway.
pub const MARK_LIFETIME: Duration = Duration::from_secs(30);

/// A place in the order of loads and changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// The marks that changes leave.
#[derive(Debug, Default)]
pub struct Invalidation {
    clock: AtomicU64,
    marked: AtomicUsize,
    floor: AtomicU64,
    marks: RwLock<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    sessions: HashMap<(Tenant, SessionId), Mark>,
    subjects: HashMap<(Tenant, Principal), Mark>,
    tenants: HashMap<Tenant, Mark>,
    swept_at: Timestamp,
    /// The newest mark that was ever forgotten: what was loaded before it is not believed, however
    /// the clock has jumped.
    floor: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    moment: Moment,
    at: Timestamp,
}

impl Invalidation {
    /// The present moment; take it before a load.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(self.clock.load(Ordering::SeqCst))
    }

    /// Marks a session as changed.
    pub fn session(&self, tenant: &Tenant, id: SessionId, at: Timestamp) {
        self.mark(at, |marks, mark| {
            marks.sessions.insert((tenant.clone(), id), mark);
        });
    }

    /// Marks all sessions of a subject as changed.
    pub fn subject(&self, tenant: &Tenant, subject: &Principal, at: Timestamp) {
        self.mark(at, |marks, mark| {
            marks
                .subjects
                .insert((tenant.clone(), subject.clone()), mark);
        });
    }

    /// Marks all sessions of a tenant as changed.
    pub fn tenant(&self, tenant: &Tenant, at: Timestamp) {
        self.mark(at, |marks, mark| {
            marks.tenants.insert(tenant.clone(), mark);
        });
    }

    /// Whether a record that was loaded at `since` may still be believed.
    #[must_use]
    pub fn is_good(
        &self,
        since: Moment,
        tenant: &Tenant,
        id: Option<SessionId>,
        subject: Option<&Principal>,
    ) -> bool {
        if self.marked.load(Ordering::SeqCst) == 0 && since.0 >= self.floor.load(Ordering::SeqCst) {
            return true;
        }
        let Ok(marks) = self.marks.read() else {
            return false;
        };
        if since < marks.floor {
            return false;
        }
        let unmarked = |mark: Option<&Mark>| mark.is_none_or(|mark| mark.moment <= since);
        unmarked(marks.tenants.get(tenant))
            && id.is_none_or(|id| unmarked(marks.sessions.get(&(tenant.clone(), id))))
            && subject.is_none_or(|subject| {
                unmarked(marks.subjects.get(&(tenant.clone(), subject.clone())))
            })
    }

    fn mark(&self, at: Timestamp, insert: impl FnOnce(&mut Marks, Mark)) {
        let mut marks = self
            .marks
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Counted first: a load that begins after this change has been written carries a moment
        // that is not before the mark's.
        let moment = Moment(self.clock.fetch_add(1, Ordering::SeqCst) + 1);
        insert(&mut marks, Mark { moment, at });
        marks.sweep(at);
        self.floor.store(marks.floor.0, Ordering::SeqCst);
        self.marked.store(marks.len(), Ordering::SeqCst);
    }
}

impl Marks {
    fn len(&self) -> usize {
        self.sessions.len() + self.subjects.len() + self.tenants.len()
    }

    /// Forgets old marks, now and then. A clock that jumps back keeps marks longer, never shorter.
    fn sweep(&mut self, now: Timestamp) {
        if now < self.swept_at.plus(MARK_LIFETIME / 2) {
            return;
        }
        fn keep<K: Eq + Hash>(marks: &mut HashMap<K, Mark>, floor: &mut Moment, now: Timestamp) {
            marks.retain(|_, mark| {
                let kept = now < mark.at.plus(MARK_LIFETIME);
                if !kept {
                    *floor = mark.moment.max(*floor);
                }
                kept
            });
        }
        keep(&mut self.sessions, &mut self.floor, now);
        keep(&mut self.subjects, &mut self.floor, now);
        keep(&mut self.tenants, &mut self.floor, now);
        self.swept_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn alice() -> Principal {
        Principal::local("alice").unwrap()
    }

    #[test]
    fn a_load_that_began_before_a_change_is_not_believed() {
        let (tenant, id) = (Tenant::default(), SessionId::from_bytes([1; 16]));
        let other = SessionId::from_bytes([2; 16]);
        let marks = Invalidation::default();
        let before = marks.now();
        marks.session(&tenant, id, NOW);
        assert!(!marks.is_good(before, &tenant, Some(id), None));
        assert!(marks.is_good(before, &tenant, Some(other), None));
        assert!(marks.is_good(marks.now(), &tenant, Some(id), None));
    }

    #[test]
    fn a_change_of_a_subject_or_tenant_covers_their_sessions() {
        let (tenant, id) = (Tenant::default(), SessionId::from_bytes([1; 16]));
        let marks = Invalidation::default();
        let before = marks.now();
        marks.subject(&tenant, &alice(), NOW);
        assert!(!marks.is_good(before, &tenant, Some(id), Some(&alice())));
        let between = marks.now();
        marks.tenant(&tenant, NOW);
        assert!(!marks.is_good(between, &tenant, Some(id), Some(&alice())));
        assert!(marks.is_good(
            between,
            &Tenant::new("other").unwrap(),
            Some(id),
            Some(&alice())
        ));
    }

    #[test]
    fn marks_are_forgotten_after_their_time() {
        let tenant = Tenant::default();
        let marks = Invalidation::default();
        marks.session(&tenant, SessionId::from_bytes([1; 16]), NOW);
        marks.session(
            &tenant,
            SessionId::from_bytes([2; 16]),
            NOW.plus(2 * MARK_LIFETIME),
        );
        assert_eq!(marks.marked.load(Ordering::SeqCst), 1);
    }
}
