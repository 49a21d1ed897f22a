//! A session as somebody states it, in JSON: to ask what would be decided for it.

use std::sync::Arc;

use serde::Deserialize;

use crate::{
    clock::Timestamp,
    live::{Origin, Session},
    principal::Principal,
    scope::ScopeMatching,
    session::{Identity, JsonObject},
};

/// A stated session. Unknown keys are errors, so that a typo is never an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatedSession {
    /// Who is signed in, as `u1` or `idp/u1`.
    pub subject: Option<Principal>,
    /// Who acts on the subject's behalf.
    pub actor: Option<Principal>,
    /// Facts from sign-in or issuer.
    #[serde(default)]
    pub claims: JsonObject,
    /// The app's own data.
    #[serde(default)]
    pub attributes: JsonObject,
    /// The scopes granted.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    #[serde(default)]
    pub all_scopes: bool,
    /// When the subject proved who they are, as RFC 3339 has it.
    pub auth_time: Option<jiff::Timestamp>,
    /// How strongly.
    pub acr: Option<String>,
    /// By which methods.
    #[serde(default)]
    pub amr: Vec<String>,
}

impl StatedSession {
    /// The session of a subject with no claims.
    #[must_use]
    pub fn of(subject: Principal) -> Self {
        Self {
            subject: Some(subject),
            ..Self::default()
        }
    }

    /// The session as the rules see it.
    #[must_use]
    pub fn into_session(self) -> Session {
        let auth_time = self.auth_time.map(jiff::Timestamp::as_microsecond);
        let identity = Identity {
            subject: self.subject,
            actor: self.actor,
            claims: self.claims,
            scopes: self.scopes,
            all_scopes: self.all_scopes,
            auth_time: auth_time.map(Timestamp::from_micros),
            acr: self.acr,
            amr: self.amr,
        };
        Session::new(
            Origin::Stated,
            Arc::from("stated"),
            identity,
            self.attributes,
            ScopeMatching::Hierarchical,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_of_a_session_is_named() {
        let json = r#"{"subject":"u1","role":"admin"}"#;
        let err = serde_json::from_str::<StatedSession>(json).unwrap_err();
        assert!(err.to_string().contains("unknown field `role`"), "{err}");
    }

    #[test]
    fn a_stated_session_has_all_its_parts() {
        let session = serde_json::from_str::<StatedSession>(
            r#"{"subject":"idp/u1","auth_time":"2026-01-01T00:00:00Z","scopes":["a"],"amr":["pwd"]}"#,
        )
        .unwrap()
        .into_session();
        let identity = session.identity;
        assert_eq!(identity.subject, Principal::new("idp", "u1").ok());
        assert_eq!(
            identity.auth_time,
            Some(Timestamp::from_seconds(1_767_225_600))
        );
        assert_eq!(
            (identity.scopes, identity.amr),
            (vec!["a".to_owned()], vec!["pwd".to_owned()])
        );
    }
}
