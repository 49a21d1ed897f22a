//! Answers.

use std::sync::Arc;

use auth_core::{
    decision::{Answer, CredentialState, Decision, Reason, ReasonCode},
    outcome::Outcome,
    principal::Principal,
    session::Tenant,
    wire::SessionView,
    wire_update::WireUpdate,
};

use super::{ConvertError, session, unspecified, wire};
use crate::v1;

/// The answer as a message, with as much of the session as `view` says; `tenant` is whose the
/// session is.
#[must_use]
pub fn response(answer: Answer, view: SessionView, tenant: &Tenant) -> v1::AuthorizeResponse {
    let outcome = answer.outcome();
    let shown = answer.session.as_deref();
    v1::AuthorizeResponse {
        decision: v1::Decision::from(outcome.decision()).into(),
        session: shown.and_then(|shown| session::view(shown, view)),
        reason: Some(answer.reason.into()),
        operation: answer.operation.as_deref().unwrap_or("").to_owned(),
        workload: answer.workload.as_ref().map(Into::into),
        updates: answer
            .updates
            .into_iter()
            .map(|update| wire::update_to_message(update, tenant))
            .collect(),
        call: answer.call.unwrap_or_default(),
        decision_id: answer.decision_id,
        policy_version: answer.policy_version.as_ref().to_owned(),
        credential_state: v1::CredentialState::from(answer.credential).into(),
        outcome: v1::Outcome::from(outcome).into(),
        challenges: answer.challenges,
        response_headers: answer
            .response_headers
            .into_iter()
            .map(|(name, value)| v1::ResponseHeader { name, value })
            .collect(),
    }
}

/// Reads what [`response`] wrote. The session holds as much as the view showed.
impl TryFrom<v1::AuthorizeResponse> for Answer {
    type Error = ConvertError;

    fn try_from(message: v1::AuthorizeResponse) -> Result<Self, ConvertError> {
        let reason = reason(&message)?;
        // Whatever the parts say, only an allow that all of them agree on is one.
        let decision = decision(message.decision)?;
        if decision != Outcome::from(reason.code).decision() {
            let problem = "does not agree with the reason";
            return Err(ConvertError::new("decision", problem));
        }
        let workload = message.workload.as_ref().map(Principal::try_from);
        let updates = message.updates.into_iter().map(WireUpdate::try_from);
        Ok(Self {
            reason,
            operation: (!message.operation.is_empty()).then(|| message.operation.into()),
            session: message
                .session
                .map(session::from_message)
                .transpose()
                .map_err(|error| error.under("session"))?
                .map(Arc::new),
            workload: workload
                .transpose()
                .map_err(|error| error.under("workload"))?,
            updates: updates
                .collect::<Result<_, _>>()
                .map_err(|error| error.under("updates"))?,
            call: (!message.call.is_empty()).then_some(message.call),
            decision_id: message.decision_id,
            policy_version: message.policy_version.into(),
            credential: credential_state(message.credential_state)?,
            challenges: message.challenges,
            response_headers: message
                .response_headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect(),
        })
    }
}

fn decision(number: i32) -> Result<Decision, ConvertError> {
    match v1::Decision::try_from(number) {
        Ok(v1::Decision::Allow) => Ok(Decision::Allow),
        Ok(v1::Decision::Deny) => Ok(Decision::Deny),
        Ok(v1::Decision::Undetermined) => Ok(Decision::Undetermined),
        Ok(v1::Decision::Unspecified) | Err(_) => Err(unspecified("decision", number)),
    }
}

fn credential_state(number: i32) -> Result<CredentialState, ConvertError> {
    match v1::CredentialState::try_from(number) {
        Ok(v1::CredentialState::Absent) => Ok(CredentialState::Absent),
        Ok(v1::CredentialState::Rejected) => Ok(CredentialState::Rejected),
        Ok(v1::CredentialState::Valid) => Ok(CredentialState::Valid),
        Ok(v1::CredentialState::Undetermined) => Ok(CredentialState::Undetermined),
        Ok(v1::CredentialState::Unspecified) | Err(_) => {
            Err(unspecified("credential_state", number))
        }
    }
}

impl From<Decision> for v1::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow => Self::Allow,
            Decision::Deny => Self::Deny,
            Decision::Undetermined => Self::Undetermined,
        }
    }
}

impl From<Outcome> for v1::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Allow => Self::Allow,
            Outcome::Deny => Self::Deny,
            Outcome::Unauthenticated => Self::Unauthenticated,
            Outcome::Invalid => Self::Invalid,
            Outcome::Limited => Self::Limited,
            Outcome::Undetermined => Self::Undetermined,
        }
    }
}

impl From<CredentialState> for v1::CredentialState {
    fn from(state: CredentialState) -> Self {
        match state {
            CredentialState::Absent => Self::Absent,
            CredentialState::Rejected => Self::Rejected,
            CredentialState::Valid => Self::Valid,
            CredentialState::Undetermined => Self::Undetermined,
        }
    }
}

impl From<ReasonCode> for v1::ReasonCode {
    fn from(code: ReasonCode) -> Self {
        match code {
            ReasonCode::Allowed => Self::Allowed,
            ReasonCode::UnknownOperation => Self::UnknownOperation,
            ReasonCode::RequirementFailed => Self::RequirementFailed,
            ReasonCode::InsufficientScope => Self::InsufficientScope,
            ReasonCode::ActorRefused => Self::ActorRefused,
            ReasonCode::SessionRequired => Self::SessionRequired,
            ReasonCode::CredentialRejected => Self::CredentialRejected,
            ReasonCode::CredentialConflict => Self::CredentialConflict,
            ReasonCode::TargetInvalid => Self::TargetInvalid,
            ReasonCode::DataInvalid => Self::DataInvalid,
            ReasonCode::TooManyRejected => Self::TooManyRejected,
            ReasonCode::StoreUnavailable => Self::StoreUnavailable,
            ReasonCode::LookupFailed => Self::LookupFailed,
            ReasonCode::IssuerUnavailable => Self::IssuerUnavailable,
            ReasonCode::DeadlineExceeded => Self::DeadlineExceeded,
            ReasonCode::DataNeeded => Self::DataNeeded,
            ReasonCode::CrossSite => Self::CrossSite,
            ReasonCode::Preflight => Self::Preflight,
        }
    }
}

/// The code of this number; `None` when it is unspecified or of a newer version.
#[must_use]
pub fn reason_code(number: i32) -> Option<ReasonCode> {
    Some(match v1::ReasonCode::try_from(number).ok()? {
        v1::ReasonCode::Unspecified => return None,
        v1::ReasonCode::Allowed => ReasonCode::Allowed,
        v1::ReasonCode::UnknownOperation => ReasonCode::UnknownOperation,
        v1::ReasonCode::RequirementFailed => ReasonCode::RequirementFailed,
        v1::ReasonCode::InsufficientScope => ReasonCode::InsufficientScope,
        v1::ReasonCode::ActorRefused => ReasonCode::ActorRefused,
        v1::ReasonCode::SessionRequired => ReasonCode::SessionRequired,
        v1::ReasonCode::CredentialRejected => ReasonCode::CredentialRejected,
        v1::ReasonCode::CredentialConflict => ReasonCode::CredentialConflict,
        v1::ReasonCode::TargetInvalid => ReasonCode::TargetInvalid,
        v1::ReasonCode::DataInvalid => ReasonCode::DataInvalid,
        v1::ReasonCode::TooManyRejected => ReasonCode::TooManyRejected,
        v1::ReasonCode::StoreUnavailable => ReasonCode::StoreUnavailable,
        v1::ReasonCode::LookupFailed => ReasonCode::LookupFailed,
        v1::ReasonCode::IssuerUnavailable => ReasonCode::IssuerUnavailable,
        v1::ReasonCode::DeadlineExceeded => ReasonCode::DeadlineExceeded,
        v1::ReasonCode::DataNeeded => ReasonCode::DataNeeded,
        v1::ReasonCode::CrossSite => ReasonCode::CrossSite,
        v1::ReasonCode::Preflight => ReasonCode::Preflight,
    })
}

/// The code that a reason of a newer version comes nearest to, by the row it is rendered as. An
/// allow for a reason that is not known here is no allow.
fn nearest(outcome: i32) -> Option<ReasonCode> {
    match v1::Outcome::try_from(outcome).ok()? {
        v1::Outcome::Unspecified | v1::Outcome::Allow => None,
        v1::Outcome::Deny => Some(ReasonCode::RequirementFailed),
        v1::Outcome::Unauthenticated => Some(ReasonCode::SessionRequired),
        v1::Outcome::Invalid => Some(ReasonCode::TargetInvalid),
        v1::Outcome::Limited => Some(ReasonCode::TooManyRejected),
        v1::Outcome::Undetermined => Some(ReasonCode::LookupFailed),
    }
}

fn reason(message: &v1::AuthorizeResponse) -> Result<Reason, ConvertError> {
    let Some(reason) = &message.reason else {
        return Err(ConvertError::new("reason", "is required"));
    };
    let code = reason_code(reason.code)
        .or_else(|| nearest(message.outcome))
        .ok_or_else(|| unspecified("reason.code", reason.code))?;
    Ok(Reason {
        code,
        requirement: (!reason.requirement.is_empty()).then(|| reason.requirement.as_str().into()),
        checks: reason
            .checks
            .iter()
            .map(|check| check.as_str().into())
            .collect(),
        required_scopes: reason.required_scopes.clone().into(),
        detail: reason.detail.clone(),
    })
}

impl From<Reason> for v1::Reason {
    fn from(reason: Reason) -> Self {
        Self {
            code: v1::ReasonCode::from(reason.code).into(),
            requirement: reason.requirement.as_deref().unwrap_or("").to_owned(),
            checks: reason.checks.iter().map(ToString::to_string).collect(),
            required_scopes: reason.required_scopes.to_vec(),
            max_age: None,
            acr_values: Vec::new(),
            detail: reason.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: ReasonCode) -> Answer {
        Answer {
            reason: Reason {
                code,
                requirement: Some("operation delete_book".into()),
                checks: vec!["is_owner".into()],
                required_scopes: vec!["books".to_owned()].into(),
                detail: "why".into(),
            },
            operation: Some("delete_book".into()),
            session: None,
            workload: Some(Principal::new("spiffe", "app").unwrap()),
            updates: vec![WireUpdate::ExpireCookie {
                name: "s".into(),
                header_value: "s=".into(),
            }],
            call: Some("sealed".into()),
            decision_id: "d1".into(),
            policy_version: "p1".into(),
            credential: CredentialState::Valid,
            challenges: vec!["Bearer".into()],
            response_headers: vec![("vary".into(), "Origin".into())],
        }
    }

    #[test]
    fn an_answer_comes_back_as_it_was_for_every_reason() {
        for code in ReasonCode::ALL {
            let original = answer(code);
            let message = response(original.clone(), SessionView::Full, &Tenant::default());
            let back = Answer::try_from(message).unwrap();
            assert_eq!(back.reason, original.reason);
            assert_eq!(back.decision(), original.decision());
            assert_eq!(back.workload, original.workload);
            assert_eq!(back.updates, original.updates);
            assert_eq!(back.call, original.call);
            assert_eq!(back.response_headers, original.response_headers);
            assert_eq!(format!("{back:?}"), format!("{original:?}"));
        }
    }

    #[test]
    fn an_allow_that_its_parts_do_not_agree_on_is_none() {
        let message = |code| response(answer(code), SessionView::None, &Tenant::default());
        let forged = v1::AuthorizeResponse {
            decision: v1::Decision::Allow.into(),
            ..message(ReasonCode::RequirementFailed)
        };
        assert_eq!(Answer::try_from(forged).unwrap_err().field, "decision");
        let mut unknown = message(ReasonCode::Allowed);
        unknown.reason.as_mut().unwrap().code = 99;
        assert_eq!(Answer::try_from(unknown).unwrap_err().field, "reason.code");
    }

    #[test]
    fn a_refusal_for_a_newer_reason_keeps_its_row() {
        for code in ReasonCode::ALL.into_iter().skip(1) {
            let mut message = response(answer(code), SessionView::None, &Tenant::default());
            message.reason.as_mut().unwrap().code = 99;
            let back = Answer::try_from(message).unwrap();
            assert_eq!(back.outcome(), Outcome::from(code), "{code:?}");
        }
    }
}
