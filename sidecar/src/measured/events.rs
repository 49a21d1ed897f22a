//! What the audit log has of the changes of a store.

use auth_core::{
    principal::Principal,
    session::{RevocationCause, SessionId, SessionRecord},
    store::{Created, Ending, Expired, NewSession},
};

use super::Measured;
use crate::telemetry::decision::Clean;

/// Whose session ended.
#[derive(Default)]
pub(super) struct Ended<'a> {
    pub(super) session: Option<&'a SessionId>,
    pub(super) subject: Option<&'a Principal>,
}

/// Writes that a session was made, changed or got a new token.
pub(super) fn note(event: &'static str, record: &SessionRecord, by: &str) {
    let subject = record.identity.subject.as_ref();
    tracing::info!(
        target: "audit",
        event,
        session = %record.id,
        principal = subject.map(|subject| tracing::field::display(Clean(subject))),
        by = %Clean(by),
        "security event"
    );
}

/// Writes that something happened to an API key.
pub(super) fn note_key(event: &'static str, id: &SessionId, by: &str) {
    tracing::info!(
        target: "audit",
        event,
        api_key = %id,
        by = %Clean(by),
        "security event"
    );
}

/// What the making of a session was asked with, as far as the audit log tells it.
pub(super) struct Asked {
    id: SessionId,
    subject: Option<Principal>,
    replaces: Option<SessionId>,
    by: String,
}

impl Asked {
    pub(super) fn of(new: &NewSession) -> Self {
        Self {
            id: new.id,
            subject: new.identity.subject.clone(),
            replaces: new.replaces,
            by: new.by.clone(),
        }
    }

    /// Writes that the subject has as many sessions as it may have.
    pub(super) fn note_limit(&self, max: u32) {
        let subject = self.subject.as_ref();
        tracing::warn!(
            target: "audit",
            event = "excess_rate_limit_exceeded",
            principal = subject.map(|subject| tracing::field::display(Clean(subject))),
            max,
            why = "too_many_sessions",
            by = %Clean(&self.by),
            "security event"
        );
    }
}

impl Measured {
    /// Counts and notes a session that was made, and those whose place it took.
    pub(super) fn created(&self, asked: &Asked, created: &Created) {
        let record = &created.record;
        if record.id != asked.id {
            // A retry was given what its first try made, with a new token.
            note("session_renewed", record, &asked.by);
            return;
        }
        self.metrics.session_created();
        if record.identity.subject.is_some() {
            note("authn_login_success", record, &asked.by);
        }
        note("session_created", record, &asked.by);
        if let Some(replaced) = &asked.replaces {
            // It may have been nobody's: only the new one is known to be the subject's.
            self.made_way(asked, replaced, None, RevocationCause::Replaced);
        }
        for evicted in &created.evicted {
            let subject = asked.subject.as_ref();
            self.made_way(asked, evicted, subject, RevocationCause::Evicted);
        }
    }

    /// Counts and notes a session that ended for the one that was made.
    fn made_way(
        &self,
        asked: &Asked,
        session: &SessionId,
        subject: Option<&Principal>,
        cause: RevocationCause,
    ) {
        let what = Ended {
            session: Some(session),
            subject,
        };
        let ending = Ending {
            by: asked.by.clone(),
            cause,
            reason: String::new(),
        };
        self.ended(&what, &ending, 1);
    }

    /// Counts and notes a session that reached a limit.
    pub(super) fn expired(&self, ended: &Expired) {
        let cause = ended.limit.as_str();
        let subject = ended.subject.as_ref();
        self.metrics.sessions_ended(cause, 1);
        tracing::info!(
            target: "audit",
            event = "session_expired",
            tenant = %Clean(&ended.tenant),
            session = %ended.id,
            principal = subject.map(|subject| tracing::field::display(Clean(subject))),
            cause,
            "security event"
        );
    }

    /// Counts and notes that sessions ended.
    pub(super) fn ended(&self, what: &Ended<'_>, ending: &Ending, count: u64) {
        if count == 0 {
            return;
        }
        let cause = ending.cause.as_str();
        self.metrics.sessions_ended(cause, count);
        tracing::info!(
            target: "audit",
            event = "session_revoked",
            session = what.session.map(tracing::field::display),
            principal = what.subject.map(|subject| tracing::field::display(Clean(subject))),
            cause,
            count,
            reason = %Clean(&ending.reason),
            by = %Clean(&ending.by),
            "security event"
        );
    }
}
