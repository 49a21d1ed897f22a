//! Sessions as those see them who manage them, and what happens to them.

use auth_core::{
    session::{Expiry, Revocation, RevocationCause, SessionRecord, Tenant, TokenKind},
    store::{Death, Event, EventKind, Listed},
};

use super::{ConvertError, json, known, name, session, text, time, unspecified};
use crate::v1;

/// The most characters of words for the record.
pub const MAX_REASON_CHARS: usize = 200;

impl From<&SessionRecord> for v1::Session {
    fn from(record: &SessionRecord) -> Self {
        Self {
            name: name::session(&record.tenant, &record.id),
            origin: v1::SessionOrigin::Stored.into(),
            claims_json: json::bytes(&record.identity.claims),
            attributes_json: json::bytes(&record.attributes),
            etag: record.etag(),
            expire_time: Some(time::to_message(record.expires_at)),
            idle_expire_time: Some(time::to_message(record.ends_at())),
            ..session::identity_to_message(&record.identity)
        }
    }
}

impl From<&Listed> for v1::ManagedSession {
    fn from(listed: &Listed) -> Self {
        let record = &listed.record;
        let revocation = match &listed.death {
            Some(Death::Revoked(revocation)) => Some(revocation.into()),
            Some(Death::Expired { .. } | Death::Superseded) | None => None,
        };
        Self {
            session: Some(record.into()),
            state: state(listed.death.as_ref()).into(),
            create_time: Some(time::to_message(record.created_at)),
            last_seen_time: Some(time::to_message(record.last_seen)),
            kind: record.kind.as_str().to_owned(),
            revocation,
        }
    }
}

/// A live session.
impl From<SessionRecord> for v1::ManagedSession {
    fn from(record: SessionRecord) -> Self {
        Self::from(&Listed {
            record,
            death: None,
        })
    }
}

fn state(death: Option<&Death>) -> v1::SessionState {
    match death {
        // What is superseded is a token; the session lives on.
        None | Some(Death::Superseded) => v1::SessionState::Live,
        Some(Death::Expired {
            limit: Expiry::Idle,
        }) => v1::SessionState::IdleExpired,
        Some(Death::Expired {
            limit: Expiry::Lifetime,
        }) => v1::SessionState::LifetimeExpired,
        Some(Death::Revoked(_)) => v1::SessionState::Revoked,
    }
}

impl From<&Revocation> for v1::Revocation {
    fn from(revocation: &Revocation) -> Self {
        Self {
            revoke_time: Some(time::to_message(revocation.at)),
            by: revocation.by.clone(),
            cause: revocation.cause.as_str().to_owned(),
            reason: revocation.reason.clone(),
        }
    }
}

/// The kind of this number.
///
/// # Errors
///
/// Returns [`ConvertError`] when it is unspecified or not known here.
pub fn token_kind(number: i32) -> Result<TokenKind, ConvertError> {
    match known::<v1::TokenKind>(number) {
        Some(v1::TokenKind::Cookie) => Ok(TokenKind::Cookie),
        Some(v1::TokenKind::Bearer) => Ok(TokenKind::Bearer),
        Some(v1::TokenKind::Unspecified) | None => Err(unspecified("kind", number)),
    }
}

impl From<TokenKind> for v1::TokenKind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Cookie => Self::Cookie,
            TokenKind::Bearer => Self::Bearer,
        }
    }
}

/// Checks words for the record.
///
/// # Errors
///
/// Returns [`ConvertError`] when they have more than [`MAX_REASON_CHARS`] characters or hold a
/// control character, which could forge lines of a log.
pub fn reason(words: String) -> Result<String, ConvertError> {
    let count = words.chars().count();
    if count > MAX_REASON_CHARS {
        let problem = format!("has {count} characters, the limit is {MAX_REASON_CHARS}");
        return Err(ConvertError::new("reason", problem));
    }
    text("reason", words, usize::MAX)
}

/// The event as a message; `tenant` is whose the session is.
#[must_use]
pub fn event_to_message(event: Event, tenant: &Tenant) -> v1::SessionEvent {
    let (kind, cause) = event_names(event.kind);
    v1::SessionEvent {
        event_time: Some(time::to_message(event.at)),
        r#type: kind.to_owned(),
        session: event
            .session
            .map_or_else(String::new, |id| name::session(tenant, &id)),
        subject: event.subject.as_ref().map(Into::into),
        by: event.by,
        cause: cause.map_or("", RevocationCause::as_str).to_owned(),
        reason: event.reason,
    }
}

/// The name of what happened and, for an end, of the act.
#[must_use]
pub const fn event_names(kind: EventKind) -> (&'static str, Option<RevocationCause>) {
    match kind {
        EventKind::SessionCreated => ("session_created", None),
        EventKind::SessionUpdated => ("session_updated", None),
        EventKind::SessionRotated => ("session_rotated", None),
        EventKind::SessionRevoked(cause) => ("session_revoked", Some(cause)),
        EventKind::SessionExpired => ("session_expired", None),
        EventKind::SubjectRevoked => ("subject_revoked", None),
        EventKind::AllRevoked => ("all_revoked", None),
        EventKind::KeyCreated => ("key_created", None),
        EventKind::KeyRevoked => ("key_revoked", None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use auth_core::{
        clock::Timestamp,
        session::{Identity, JsonObject, SessionId},
        store::Position,
    };

    use super::*;

    fn record() -> SessionRecord {
        SessionRecord {
            id: SessionId::from_bytes([3; 16]),
            tenant: Tenant::default(),
            identity: Identity::default(),
            attributes: JsonObject::new(),
            kind: TokenKind::Cookie,
            strategy: None,
            created_at: Timestamp::from_seconds(1),
            expires_at: Timestamp::from_seconds(900),
            idle: Duration::from_secs(60),
            last_seen: Timestamp::from_seconds(2),
            token_issued_at: Timestamp::from_seconds(1),
            version: 1,
        }
    }

    #[test]
    fn a_managed_session_says_how_it_ended() {
        let revoked = Death::Revoked(Revocation {
            at: Timestamp::from_seconds(5),
            by: "ops".into(),
            cause: RevocationCause::Revoked,
            reason: "stolen".into(),
        });
        let expired = |limit| Death::Expired { limit };
        for (death, state, has_revocation) in [
            (None, v1::SessionState::Live, false),
            (Some(Death::Superseded), v1::SessionState::Live, false),
            (
                Some(expired(Expiry::Idle)),
                v1::SessionState::IdleExpired,
                false,
            ),
            (
                Some(expired(Expiry::Lifetime)),
                v1::SessionState::LifetimeExpired,
                false,
            ),
            (Some(revoked), v1::SessionState::Revoked, true),
        ] {
            let record = record();
            let managed = v1::ManagedSession::from(&Listed { record, death });
            assert_eq!(managed.state(), state);
            assert_eq!(managed.revocation.is_some(), has_revocation, "{state:?}");
        }
    }

    #[test]
    fn an_event_names_its_session_and_cause() {
        let event = Event {
            position: Position(4),
            at: Timestamp::from_seconds(5),
            session: Some(SessionId::from_bytes([3; 16])),
            subject: None,
            kind: EventKind::SessionRevoked(RevocationCause::Logout),
            by: "shop".into(),
            reason: String::new(),
        };
        let message = event_to_message(event, &Tenant::default());
        assert_eq!(
            (&*message.r#type, &*message.cause),
            ("session_revoked", "logout")
        );
        assert!(message.session.starts_with("tenants/default/sessions/0303"));
    }

    #[test]
    fn words_for_the_record_are_short_and_one_line() {
        assert!(reason("ö".repeat(200)).is_ok());
        for words in ["x".repeat(201), "a\nb".into(), "a\u{1b}[31mb".into()] {
            assert!(reason(words).is_err());
        }
    }
}
