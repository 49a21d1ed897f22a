//! One line for each decision, and the security events that decisions are.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use auth_core::{
    decision::ReasonCode,
    observe::{DecisionEvent, Refusal},
    principal::Principal,
    session::Tenant,
    store::Death,
};

/// Text from outside, with control characters escaped, so that nobody writes lines or colours of
/// their own into a log.
#[derive(Clone, Copy, Debug)]
pub struct Clean<T>(pub T);

impl<T: fmt::Display> fmt::Display for Clean<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);

        impl fmt::Write for Escape<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                let mut rest = text;
                while let Some(at) = rest.find(is_unprintable) {
                    let (clean, tail) = rest.split_at(at);
                    self.0.write_str(clean)?;
                    let mut chars = tail.chars();
                    if let Some(bad) = chars.next() {
                        write!(self.0, "{}", bad.escape_unicode())?;
                    }
                    rest = chars.as_str();
                }
                self.0.write_str(rest)
            }
        }

        write!(Escape(f), "{}", self.0)
    }
}

/// Control characters, and those that make a terminal show text in another order.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A decision that was made, for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionSeen {
    /// Names the decision in logs.
    pub decision_id: String,
    /// The kind of wire.
    pub wire: String,
    /// The method and target as matched, without the query.
    pub target: String,
    /// The operation; empty when none was reached.
    pub operation: String,
    /// The outcome, as `deny`.
    pub outcome: &'static str,
    /// The reason, as `requirement_failed`.
    pub reason: &'static str,
    /// The first requirement that refused; empty when none did.
    pub requirement: String,
    /// The subject; empty when there is none.
    pub subject: String,
    /// Who asked.
    pub caller: String,
    /// How long it took.
    pub duration: Duration,
    /// Whose decision it is: only its own tenant may see it.
    pub tenant: Tenant,
}

impl DecisionSeen {
    /// What watchers may see of an event.
    #[must_use]
    pub fn of(event: &DecisionEvent<'_>) -> Self {
        let answer = event.answer;
        Self {
            decision_id: answer.decision_id.clone(),
            wire: event.call.kind.to_string(),
            target: Clean(Target(event)).to_string(),
            operation: answer.operation.as_deref().unwrap_or("").to_owned(),
            outcome: answer.outcome().as_str(),
            reason: answer.reason.code.as_str(),
            requirement: answer
                .reason
                .requirement
                .as_deref()
                .unwrap_or("")
                .to_owned(),
            subject: principal(event).map_or_else(String::new, ToString::to_string),
            caller: event.caller.to_owned(),
            duration: event.duration,
            tenant: event.call.tenant.clone(),
        }
    }
}

/// The method and target, as matched.
struct Target<'a>(&'a DecisionEvent<'a>);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = &self.0.call.method;
        if !method.is_empty() {
            // A method that no client sends by accident is cut, not believed.
            let end = method.floor_char_boundary(32);
            f.write_str(method.get(..end).unwrap_or_default())?;
            f.write_char(' ')?;
        }
        f.write_str(match self.0.target {
            "" => as_received(&self.0.call.target),
            matched => matched,
        })
    }
}

/// The longest part of a target that nothing matched which is shown, in bytes.
const MAX_SHOWN_TARGET: usize = 256;

/// What may be shown of a target that nothing matched: no query, and no authority, which could
/// hold a password.
fn as_received(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = match path.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => path,
    };
    let end = path.floor_char_boundary(MAX_SHOWN_TARGET);
    path.get(..end).unwrap_or_default()
}

fn principal<'a>(event: &DecisionEvent<'a>) -> Option<&'a Principal> {
    let session = event.answer.session.as_ref()?;
    session.identity.subject.as_ref()
}

/// Writes the decision's one line.
pub(super) fn log(event: &DecisionEvent<'_>) {
    let answer = event.answer;
    let session = answer.session.as_ref().and_then(|session| session.id());
    tracing::info!(
        target: "decision",
        decision_id = answer.decision_id,
        wire = event.call.kind.as_str(),
        // Not `target`, which in JSON is the name of this log.
        call = %Clean(Target(event)),
        operation = answer.operation.as_deref(),
        outcome = answer.outcome().as_str(),
        reason = answer.reason.code.as_str(),
        requirement = answer.reason.requirement.as_deref(),
        principal = principal(event).map(|who| tracing::field::display(Clean(who))),
        session = session.or(event.presented).map(tracing::field::display),
        credential = answer.credential.as_str(),
        refusal = event.refusal.map(|why| tracing::field::display(Clean(why))),
        failure = event.failure.map(|why| tracing::field::display(Clean(why))),
        caller = event.caller,
        duration_us = u64::try_from(event.duration.as_micros()).unwrap_or(u64::MAX),
        "decided"
    );
}

/// Writes the security events that this decision is.
pub(super) fn audit(event: &DecisionEvent<'_>) {
    if let Some(refusal) = event.refusal {
        note(event, credential_event(refusal));
    }
    match event.answer.reason.code {
        ReasonCode::TooManyRejected => note(event, "excess_rate_limit_exceeded"),
        ReasonCode::RequirementFailed
        | ReasonCode::InsufficientScope
        | ReasonCode::ActorRefused
        | ReasonCode::CrossSite
        | ReasonCode::UnknownOperation => note(event, "authz_fail"),
        ReasonCode::Allowed
        | ReasonCode::SessionRequired
        | ReasonCode::CredentialRejected
        | ReasonCode::CredentialConflict
        | ReasonCode::TargetInvalid
        | ReasonCode::DataInvalid
        | ReasonCode::StoreUnavailable
        | ReasonCode::LookupFailed
        | ReasonCode::IssuerUnavailable
        | ReasonCode::DeadlineExceeded
        | ReasonCode::DataNeeded
        | ReasonCode::Preflight => {}
    }
}

/// The name of the event that a refused credential is.
const fn credential_event(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Dead(Death::Expired { .. }) | Refusal::CertificateExpired => {
            "session_use_after_expire"
        }
        Refusal::Dead(Death::Revoked(_) | Death::Superseded) | Refusal::SubjectRevoked => {
            "authn_token_reuse"
        }
        Refusal::Malformed
        | Refusal::Unknown
        | Refusal::Foreign(_)
        | Refusal::Unconfirmed(_)
        | Refusal::Throttled => "authn_login_fail",
    }
}

/// Which limit ended the session of a refused credential.
const fn limit(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::Dead(Death::Expired { limit }) => Some(limit.as_str()),
        _ => None,
    }
}

fn note(event: &DecisionEvent<'_>, name: &'static str) {
    let peer = &event.call.peer.address;
    let answer = event.answer;
    let session = answer.session.as_ref().and_then(|session| session.id());
    tracing::warn!(
        target: "audit",
        event = name,
        decision_id = answer.decision_id,
        operation = answer.operation.as_deref(),
        principal = principal(event).map(|who| tracing::field::display(Clean(who))),
        session = session.or(event.presented).map(tracing::field::display),
        peer = %Clean(peer),
        caller = event.caller,
        why = event.refusal.map(Refusal::label),
        limit = event.refusal.and_then(limit),
        "security event"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_shown_without_query_and_password() {
        for (target, expected) in [
            ("/a?token=secret", "/a"),
            ("/a#secret", "/a"),
            ("http://user:secret@host/a?b", "/a"),
            ("http://user:secret@host", "/"),
            ("books.delete", "books.delete"),
        ] {
            assert_eq!(as_received(target), expected);
        }
    }

    #[test]
    fn text_from_outside_writes_no_lines_or_colours() {
        for (text, expected) in [
            ("DELETE /books/b1", "DELETE /books/b1"),
            ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("ä", "ä"),
        ] {
            assert_eq!(Clean(text).to_string(), expected);
        }
    }
}
