//! A session as `can` and case files state it, in JSON.

use std::sync::Arc;

use auth_core::{
    clock::Timestamp,
    live::{Origin, Session},
    principal::Principal,
    scope::ScopeMatching,
    session::{Identity, JsonObject},
};
use serde::Deserialize;

use crate::failure::Failure;

/// A session stated by who asks. Unknown keys are errors, so that a typo is never an answer.
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
    /// Reads the JSON of `--session`.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when it is not a session.
    pub fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|err| {
            Failure::usage(format!("`--session` is no session: {err}")).next(
                "write it as `{\"subject\": \"u1\", \"claims\": {\"role\": \"user\"}, \"scopes\": []}`",
            )
        })
    }

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
        let identity = Identity {
            subject: self.subject,
            actor: self.actor,
            claims: self.claims,
            scopes: self.scopes,
            all_scopes: self.all_scopes,
            auth_time: self
                .auth_time
                .map(|at| Timestamp::from_micros(at.as_microsecond())),
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
        let failure = StatedSession::parse(r#"{"subject":"u1","role":"admin"}"#).unwrap_err();
        assert!(
            failure.message.contains("unknown field `role`"),
            "{failure:?}"
        );
    }

    #[test]
    fn a_stated_session_has_all_its_parts() {
        let session = StatedSession::parse(
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
