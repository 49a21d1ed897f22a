//! From the proven identity of a peer to a live session (R8). Nothing of it is stored.

use std::sync::Arc;

use super::{
    Engine,
    authenticate::{Authenticated, session, with_scopes},
    cache::Cached,
};
use crate::{
    clock::Timestamp,
    decision::ReasonCode,
    live::Origin,
    observe::Refusal,
    principal::Principal,
    session::{Identity, TokenHash, TokenKind},
    store::{SessionStore as _, TokenRole},
    strategy::peer::PeerStrategy,
    wire::{Call, Peer},
};

/// The strategy, as sessions name it.
pub(super) const NAME: &str = "peer";

impl Engine {
    /// The session of a peer: from the cache, else made anew, once the store has said that its
    /// principal was not revoked. It ends with its certificate.
    pub(super) async fn session_of_peer(
        &self,
        call: &Call,
        strategy: &PeerStrategy,
        generation: u64,
        now: Timestamp,
    ) -> Authenticated {
        if call.peer.has_expired(now) {
            return Authenticated::refused(Refusal::CertificateExpired);
        }
        let kind = TokenKind::Bearer;
        let name = Arc::from(NAME);
        let key = (
            generation,
            name,
            call.tenant.clone(),
            kind,
            named(&call.peer),
        );
        let cached = self.cache.get(&key, now);
        self.observer.cache_looked_up(cached.is_some());
        if let Some(cached) = cached {
            return Authenticated::of(cached.session.clone());
        }
        let Ok(subject) = Principal::new(&strategy.namespace, &call.peer.identity) else {
            return Authenticated::refused(Refusal::Malformed);
        };
        let since = self.cache.moment();
        match self.store.subject_revoked_at(&call.tenant, &subject).await {
            // A certificate that does not say when it was issued may be as old as it likes.
            Ok(Some(at)) if call.peer.not_before.unwrap_or(Timestamp::EPOCH) <= at => {
                return Authenticated::refused(Refusal::SubjectRevoked);
            }
            Ok(_) => {}
            Err(err) => {
                return Authenticated::failed(ReasonCode::StoreUnavailable, err.to_string());
            }
        }
        let identity = Identity {
            subject: Some(subject),
            ..Identity::default()
        };
        let origin = Origin::Peer {
            expires_at: call.peer.not_after,
        };
        let session = session(origin, NAME, identity);
        let session = Arc::new(with_scopes(session, strategy.scopes));
        let cached = Cached::new(session.clone(), TokenRole::Current, since, now);
        self.cache.insert(key, Arc::new(cached));
        Authenticated::of(session)
    }
}

/// What a peer is remembered by: a revocation tells its old certificate from its new one, and so
/// does the end of its session.
fn named(peer: &Peer) -> TokenHash {
    let at = |time: Option<Timestamp>| time.map_or(i64::MIN, Timestamp::as_micros).to_be_bytes();
    let validity = [at(peer.not_before), at(peer.not_after)].concat();
    TokenHash::of(&[&validity, peer.identity.as_bytes()].concat())
}
