//! The issuers whose JWTs are accepted, and what their tokens say of a session (R18, R23).

use crate::{
    jwt::{VerifiedToken, Verifier},
    principal::Principal,
    scope::ScopeMatching,
    session::Identity,
    store::{ForeignHandle, ForeignSession},
};

/// The issuers of a policy.
#[derive(Debug)]
pub struct Issuers {
    /// What verifies their tokens.
    pub verifier: Verifier,
    /// What else the policy says of each, in the verifier's order.
    pub traits: Box<[IssuerTraits]>,
}

/// What a policy says of an issuer beside its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerTraits {
    /// Its name (`iss`).
    pub name: String,
    /// The namespace of its principals.
    pub namespace: String,
    /// How its scopes are read.
    pub scope_matching: ScopeMatching,
    /// Whether its keys may be fetched from a private address.
    pub private_address: bool,
}

/// A token's session, as the issuer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignIdentity {
    /// Who it is for.
    pub identity: Identity,
    /// The session at the issuer.
    pub session: ForeignSession,
    /// What names the token, or the login behind it, for revocation.
    pub handles: Vec<ForeignHandle>,
    /// How its scopes are read.
    pub scope_matching: ScopeMatching,
}

impl Issuers {
    /// What a token says of a session.
    ///
    /// # Errors
    ///
    /// Returns why it cannot be one: a subject or actor that is no principal here.
    pub fn identity(&self, token: &VerifiedToken) -> Result<ForeignIdentity, String> {
        let traits = self.traits.get(token.issuer).ok_or("unknown issuer")?;
        let subject = token.subject.as_deref().ok_or("the token has no subject")?;
        let principal =
            Principal::new(&traits.namespace, subject).map_err(|err| err.to_string())?;
        let identity = Identity {
            subject: Some(principal),
            actor: self.actor(token, traits)?,
            claims: token.claims.clone(),
            scopes: token.scopes.clone(),
            all_scopes: false,
            auth_time: token.auth_time,
            acr: token.acr.clone(),
            amr: token.amr.clone(),
        };
        let sid = token.sid.as_ref().map(|sid| format!("sid:{sid}"));
        let client = token
            .client_id
            .as_ref()
            .map(|client| format!("client:{client}"));
        let jti = token.jti.clone().map(ForeignHandle::Jti);
        let login = token.sid.clone().map(ForeignHandle::Sid);
        Ok(ForeignIdentity {
            identity,
            session: ForeignSession {
                issuer: traits.name.clone(),
                subject: subject.to_owned(),
                discriminator: sid.or(client).unwrap_or_default(),
            },
            handles: jti.into_iter().chain(login).collect(),
            scope_matching: traits.scope_matching,
        })
    }

    /// Who acts on the subject's behalf; known only by an issuer that is configured.
    fn actor(
        &self,
        token: &VerifiedToken,
        traits: &IssuerTraits,
    ) -> Result<Option<Principal>, String> {
        let Some(actor) = &token.actor else {
            return Ok(None);
        };
        let namespace = match &actor.issuer {
            None => &traits.namespace,
            Some(issuer) => {
                let known = self.traits.iter().find(|traits| traits.name == *issuer);
                &known.ok_or("the actor's issuer is not known")?.namespace
            }
        };
        Principal::new(namespace, &actor.subject)
            .map(Some)
            .map_err(|err| err.to_string())
    }
}
