//! From a JWT of an issuer to a live session (R18).

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Engine,
    authenticate::{Authenticated, with_scopes},
    cache::Cached,
};
use crate::{
    clock::Timestamp,
    decision::ReasonCode,
    jwt::{FetchError, JwksFetcher, Sent, VerifiedToken, VerifyError},
    live::{Origin, Session},
    observe::Refusal,
    policy::file::ScopesOf,
    session::{Tenant, TokenHash, TokenKind},
    store::{Death, ForeignTokenStore as _, SessionStore as _, StoreError, TokenRole},
    strategy::issuers::{ForeignIdentity, Issuers},
    wire::Call,
};

/// What fetches the keys of issuers.
#[derive(Clone, Debug)]
pub struct KeyFetchers {
    /// From public addresses only.
    pub public: Arc<dyn JwksFetcher>,
    /// From private addresses too, for issuers that the policy says so of.
    pub private: Arc<dyn JwksFetcher>,
}

/// Fetches nothing: issuers then need keys in files.
impl Default for KeyFetchers {
    fn default() -> Self {
        Self {
            public: Arc::new(NoFetch),
            private: Arc::new(NoFetch),
        }
    }
}

#[derive(Debug)]
struct NoFetch;

#[async_trait]
impl JwksFetcher for NoFetch {
    async fn fetch(&self, _: &str) -> Result<Vec<u8>, FetchError> {
        Err(FetchError("this program fetches no keys".into()))
    }
}

impl Engine {
    /// The session of a foreign token: from the cache, else verified and looked after in the store.
    pub(super) async fn session_of_foreign(
        &self,
        call: &Call,
        issuers: &Issuers,
        token: &str,
        scopes: ScopesOf,
        generation: u64,
        now: Timestamp,
    ) -> Authenticated {
        let key = (
            generation,
            Arc::from("bearer"),
            call.tenant.clone(),
            TokenKind::Bearer,
            TokenHash::of(token.as_bytes()),
        );
        let cached = self.cache.get(&key, now);
        self.observer.cache_looked_up(cached.is_some());
        if let Some(cached) = cached {
            // The certificate belongs to the connection, and this may be another one.
            return match cached.confirmation.check((&call.peer).into(), now) {
                Ok(()) => Authenticated::of(cached.session.clone())
                    .proven_until(cached.confirmation, &call.peer),
                Err(rejection) => Authenticated::refused(Refusal::of(&rejection)),
            };
        }
        // Signatures are dear: those who guess are turned away before one is checked (S-21).
        if self.throttle.is_over(&call.peer.address, now) {
            return Authenticated::refused(Refusal::Throttled);
        }
        let sent = Sent {
            token: token.as_bytes(),
            sender: (&call.peer).into(),
        };
        let verified = match self.verify(issuers, sent, now).await {
            Ok(verified) => verified,
            Err(VerifyError::Rejected(rejection)) => {
                return Authenticated::refused(Refusal::of(&rejection));
            }
            Err(VerifyError::KeysUnavailable { issuer }) => {
                let name = issuers.traits.get(issuer).map_or("", |traits| &traits.name);
                let why = format!("the keys of issuer `{name}` could not be had");
                return Authenticated::failed(ReasonCode::IssuerUnavailable, why);
            }
        };
        let foreign = match issuers.identity(&verified) {
            Ok(foreign) => foreign,
            Err(why) => return Authenticated::refused(Refusal::Foreign(why)),
        };
        let since = self.cache.moment();
        match self
            .foreign_session(&call.tenant, &verified, foreign, now)
            .await
        {
            Ok(Ok(session)) => {
                let session = Arc::new(with_scopes(session, scopes));
                let cached = Cached::new(session.clone(), TokenRole::Current, since, now)
                    .confirmed_by(verified.confirmation);
                self.cache.insert(key, Arc::new(cached));
                Authenticated::of(session).proven_until(verified.confirmation, &call.peer)
            }
            Ok(Err(refusal)) => Authenticated::refused(refusal),
            Err(err) => Authenticated::failed(ReasonCode::StoreUnavailable, err.to_string()),
        }
    }

    async fn verify(
        &self,
        issuers: &Issuers,
        sent: Sent<'_>,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, VerifyError> {
        use crate::jwt::Step;

        match issuers.verifier.verify(sent, now) {
            Step::Done(done) => done,
            Step::FetchKeys(wanted) => {
                let private = issuers
                    .traits
                    .get(wanted.issuer)
                    .is_some_and(|traits| traits.private_address);
                let fetcher = if private {
                    &self.fetchers.private
                } else {
                    &self.fetchers.public
                };
                issuers.verifier.fetch_keys(wanted, now, &**fetcher).await;
                issuers.verifier.verify_with_keys_at_hand(sent, now)
            }
        }
    }

    /// What we know of a verified token: revocations, and attributes set on its session.
    async fn foreign_session(
        &self,
        tenant: &Tenant,
        token: &VerifiedToken,
        foreign: ForeignIdentity,
        now: Timestamp,
    ) -> Result<Result<Session, Refusal>, StoreError> {
        let issuer = &foreign.session.issuer;
        let revoked = self
            .store
            .foreign_revocation(tenant, issuer, &foreign.handles, now)
            .await?;
        if let Some(revocation) = revoked {
            return Ok(Err(Refusal::Dead(Death::Revoked(revocation))));
        }
        if let Some(subject) = &foreign.identity.subject {
            let revoked_at = self.store.subject_revoked_at(tenant, subject).await?;
            // A token that does not say when it was issued may be as old as it likes.
            let issued_at = token.issued_at.unwrap_or(Timestamp::EPOCH);
            if revoked_at.is_some_and(|at| issued_at <= at) {
                return Ok(Err(Refusal::SubjectRevoked));
            }
        }
        let (attributes, version) = self
            .store
            .foreign_attributes(tenant, &foreign.session, now)
            .await?;
        let origin = Origin::External {
            session: foreign.session,
            token_id: token.jti.clone(),
            issued_at: token.issued_at,
            expires_at: token.usable_until(),
            version,
        };
        let matching = foreign.scope_matching;
        Ok(Ok(Session::new(
            origin,
            "bearer".into(),
            foreign.identity,
            attributes,
            matching,
        )))
    }
}
