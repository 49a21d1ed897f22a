//! From a found credential to a live session.

use std::sync::Arc;

use super::{
    Engine,
    cache::{Cached, Key},
};
use crate::{
    clock::Timestamp,
    decision::{CredentialState, ReasonCode},
    jwt::Confirmation,
    live::{Origin, Session},
    observe::Refusal,
    policy::file::ScopesOf,
    scope::ScopeMatching,
    session::{Identity, JsonObject, SessionId, TokenHash, TokenKind},
    store::{ApiKeyStore as _, Loaded, SessionStore as _},
    strategy::{Bearer, Found, NativeFound, Presented, Strategy},
    wire::{Call, Peer},
};

/// What a credential came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Authenticated {
    /// The live session.
    pub(super) session: Option<Arc<Session>>,
    /// The token that opened it, where it is stored with us.
    pub(super) token: Option<Token>,
    /// The hash of the API key that opened it.
    pub(super) key: Option<TokenHash>,
    /// When the certificate ends that the token is bound to, where that is known.
    pub(super) proven_until: Option<Timestamp>,
    /// The cookie strategy that found the credential, where one did.
    pub(super) cookie: Option<Arc<str>>,
    /// Why the credential was refused.
    pub(super) refusal: Option<Refusal>,
    /// Whose token it was, where that is known though it was refused.
    pub(super) presented: Option<SessionId>,
    /// What failed, when it could not be judged.
    pub(super) failure: Option<(ReasonCode, String)>,
}

/// The token that opened a stored session.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) hash: TokenHash,
    pub(super) kind: TokenKind,
    pub(super) cached: Arc<Cached>,
}

impl Authenticated {
    pub(super) const fn state(&self) -> CredentialState {
        match (&self.session, &self.refusal, &self.failure) {
            (Some(_), ..) => CredentialState::Valid,
            (None, Some(_), _) => CredentialState::Rejected,
            (None, None, Some(_)) => CredentialState::Undetermined,
            (None, None, None) => CredentialState::Absent,
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal),
            ..Self::default()
        }
    }

    pub(super) fn failed(code: ReasonCode, why: impl Into<String>) -> Self {
        Self {
            failure: Some((code, why.into())),
            ..Self::default()
        }
    }

    /// The same, of a token that only this sender may use.
    pub(super) fn proven_until(self, confirmation: Confirmation, sender: &Peer) -> Self {
        let is_bound = confirmation != Confirmation::Bearer;
        Self {
            proven_until: sender.not_after.filter(|_| is_bound),
            ..self
        }
    }

    fn valid(session: Session) -> Self {
        Self::of(Arc::new(session))
    }

    pub(super) fn of(session: Arc<Session>) -> Self {
        Self {
            session: Some(session),
            ..Self::default()
        }
    }
}

impl Engine {
    /// What a credential comes to. That it was refused is for the callers to count, since a call
    /// may be asked about twice.
    pub(super) async fn authenticate(
        &self,
        call: &Call,
        found: Found<'_, '_>,
        generation: u64,
        now: Timestamp,
    ) -> Authenticated {
        let strategy = found.strategy;
        let cookie = match strategy {
            Strategy::Cookie(cookie) => Some(Arc::clone(&cookie.name)),
            _ => None,
        };
        let authenticated = match found.presented {
            Presented::Malformed => Authenticated::refused(Refusal::Malformed),
            Presented::Token(hash) => {
                self.session_of_token(call, strategy, hash, generation, now)
                    .await
            }
            // What waits for others is kept apart in a box: a call whose session is cached, as most
            // are, does not carry its room about.
            Presented::Key(hash) => Box::pin(self.session_of_key(call, strategy, hash, now)).await,
            Presented::Foreign(token) => match strategy {
                Strategy::Bearer(bearer) => match (static_token(bearer, token), &bearer.issuers) {
                    (Some(session), _) => Authenticated::valid(session),
                    (None, Some(issuers)) => {
                        Box::pin(self.session_of_foreign(
                            call,
                            issuers,
                            token,
                            bearer.scopes,
                            generation,
                            now,
                        ))
                        .await
                    }
                    (None, None) if self.throttle.is_over(&call.peer.address, now) => {
                        Authenticated::refused(Refusal::Throttled)
                    }
                    (None, None) => Authenticated::refused(Refusal::Unknown),
                },
                _ => Authenticated::refused(Refusal::Malformed),
            },
            Presented::Peer(_) => match strategy {
                Strategy::Peer(peer) => {
                    Box::pin(self.session_of_peer(call, peer, generation, now)).await
                }
                _ => Authenticated::refused(Refusal::Malformed),
            },
            Presented::Native(found) => match strategy {
                Strategy::Native { name, scopes, .. } => native(found, name, *scopes),
                _ => Authenticated::refused(Refusal::Malformed),
            },
        };
        Authenticated {
            cookie,
            ..authenticated
        }
    }

    /// The session of one of our tokens: from the cache, else from the store.
    async fn session_of_token(
        &self,
        call: &Call,
        strategy: &Strategy,
        hash: TokenHash,
        generation: u64,
        now: Timestamp,
    ) -> Authenticated {
        let (kind, name, scopes) = match strategy {
            Strategy::Cookie(cookie) => (TokenKind::Cookie, cookie.name.clone(), cookie.scopes),
            Strategy::Bearer(bearer) if bearer.opaque => {
                (TokenKind::Bearer, "bearer".into(), bearer.scopes)
            }
            _ => return Authenticated::refused(Refusal::Unknown),
        };
        let key = (generation, name, call.tenant.clone(), kind, hash);
        let cached = self.cache.get(&key, now);
        self.observer.cache_looked_up(cached.is_some());
        match cached {
            Some(cached) => opened(hash, kind, cached),
            None => Box::pin(self.load_session(call, key, scopes, now)).await,
        }
    }

    /// The session of one of our tokens, from the store.
    async fn load_session(
        &self,
        call: &Call,
        key: Key,
        scopes: ScopesOf,
        now: Timestamp,
    ) -> Authenticated {
        let (_, name, _, kind, hash) = &key;
        let (name, kind, hash) = (name.clone(), *kind, *hash);
        // Guessers are slowed down here: what is cached is no guess.
        if self.throttle.is_over(&call.peer.address, now) {
            return Authenticated::refused(Refusal::Throttled);
        }
        let since = self.cache.moment();
        match self.store.load(&call.tenant, kind, &hash, now).await {
            // A token of one strategy is no credential of another (R12).
            Ok(Loaded::Live { record, .. }) if !record.is_of(&name) => Authenticated {
                presented: Some(record.id),
                ..Authenticated::refused(Refusal::Unknown)
            },
            Ok(Loaded::Live { record, role }) => {
                let session = with_scopes(Session::stored(record, name), scopes);
                let cached = Arc::new(Cached::new(Arc::new(session), role, since, now));
                self.cache.insert(key, cached.clone());
                opened(hash, kind, cached)
            }
            Ok(Loaded::Dead { id, death }) => Authenticated {
                presented: Some(id),
                ..Authenticated::refused(Refusal::Dead(death))
            },
            Ok(Loaded::Unknown) => Authenticated::refused(Refusal::Unknown),
            Err(err) => Authenticated::failed(ReasonCode::StoreUnavailable, err.to_string()),
        }
    }

    async fn session_of_key(
        &self,
        call: &Call,
        strategy: &Strategy,
        hash: TokenHash,
        now: Timestamp,
    ) -> Authenticated {
        let Strategy::ApiKey(strategy) = strategy else {
            return Authenticated::refused(Refusal::Unknown);
        };
        if self.throttle.is_over(&call.peer.address, now) {
            return Authenticated::refused(Refusal::Throttled);
        }
        let key = match self.store.load_key(&call.tenant, &hash).await {
            Ok(Some(key)) => key,
            Ok(None) => return Authenticated::refused(Refusal::Unknown),
            Err(err) => {
                return Authenticated::failed(ReasonCode::StoreUnavailable, err.to_string());
            }
        };
        if let Some(death) = key.death(now) {
            return Authenticated {
                presented: Some(key.id),
                ..Authenticated::refused(Refusal::Dead(death))
            };
        }
        // Revoking a subject ends its keys' use as well: they were made before.
        match self
            .store
            .subject_revoked_at(&call.tenant, &key.subject)
            .await
        {
            Ok(Some(at)) if at >= key.created_at => Authenticated {
                presented: Some(key.id),
                ..Authenticated::refused(Refusal::SubjectRevoked)
            },
            Ok(_) => {
                let origin = Origin::ApiKey {
                    id: key.id,
                    expires_at: key.expires_at,
                };
                let identity = Identity {
                    subject: Some(key.subject.clone()),
                    claims: key.claims.clone(),
                    scopes: key.scopes.clone(),
                    all_scopes: key.all_scopes,
                    ..Identity::default()
                };
                let session = session(origin, "api_key", identity);
                Authenticated {
                    key: Some(hash),
                    ..Authenticated::valid(with_scopes(session, strategy.scopes))
                }
            }
            Err(err) => Authenticated::failed(ReasonCode::StoreUnavailable, err.to_string()),
        }
    }
}

fn opened(hash: TokenHash, kind: TokenKind, cached: Arc<Cached>) -> Authenticated {
    Authenticated {
        session: Some(cached.session.clone()),
        token: Some(Token { hash, kind, cached }),
        ..Authenticated::default()
    }
}

/// A fixed token of the configuration. Hashes are compared, so that timing tells nothing of the
/// token (F-23).
fn static_token(bearer: &Bearer, token: &str) -> Option<Session> {
    if bearer.tokens.is_empty() {
        return None;
    }
    let hash = TokenHash::of(token.as_bytes());
    let known = bearer.tokens.iter().find(|known| known.hash == hash)?;
    let identity = Identity {
        subject: Some(known.subject.clone()),
        claims: known.claims.clone(),
        scopes: known.scopes.clone(),
        ..Identity::default()
    };
    Some(with_scopes(
        session(Origin::Static, "bearer", identity),
        bearer.scopes,
    ))
}

fn native(found: NativeFound, name: &Arc<str>, scopes: ScopesOf) -> Authenticated {
    match found {
        NativeFound::Absent => Authenticated::default(),
        NativeFound::Rejected(why) => Authenticated::refused(Refusal::Foreign(why)),
        NativeFound::Valid(session) => {
            let mut session = *session;
            session.strategy = name.clone();
            Authenticated::valid(with_scopes(session, scopes))
        }
        NativeFound::Undetermined(why) => Authenticated::failed(ReasonCode::IssuerUnavailable, why),
    }
}

pub(super) fn session(origin: Origin, strategy: &str, identity: Identity) -> Session {
    let matching = ScopeMatching::Hierarchical;
    Session::new(
        origin,
        strategy.into(),
        identity,
        JsonObject::new(),
        matching,
    )
}

/// What a strategy says of its sessions' scopes goes before what the session was given (R21).
pub(super) fn with_scopes(session: Session, scopes: ScopesOf) -> Session {
    let identity = match scopes {
        ScopesOf::FromSession => return session,
        ScopesOf::All => Identity {
            all_scopes: true,
            ..session.identity
        },
        ScopesOf::None => Identity {
            all_scopes: false,
            scopes: Vec::new(),
            ..session.identity
        },
    };
    Session::new(
        session.origin,
        session.strategy,
        identity,
        session.attributes,
        session.scope_matching,
    )
}
