//! Strategies: what finds a credential on a wire, and in which order (R8).
//!
//! Finding is told apart from judging: here a credential is found and read, strictly; whether it is
//! good is for those who know the sessions, keys and issuers.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    cookie::Cookie,
    grammar::{
        ApiKey, ApiKeyText, Authorization, CookieName, Cookies, TokenText, api_key, api_key_values,
        authorization_values, cookie_values,
    },
    live::Session,
    policy::file::ScopesOf,
    principal::Principal,
    session::{JsonObject, TokenHash},
    target::Target,
    wire::{Call, CredentialSource, MAX_CREDENTIAL_BYTES},
};

pub mod issuers;
pub mod peer;

use peer::PeerStrategy;

/// A way to say who one is.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// `Authorization: Bearer`.
    Bearer(Bearer),
    /// An API key of ours.
    ApiKey(ApiKeyStrategy),
    /// A cookie.
    Cookie(CookieStrategy),
    /// The proven identity of the peer.
    Peer(PeerStrategy),
    /// One that a Rust program registered.
    Native {
        /// Its name.
        name: Arc<str>,
        /// What it does.
        strategy: Arc<dyn NativeStrategy>,
        /// What its sessions carry of scopes.
        scopes: ScopesOf,
    },
}

impl Strategy {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Bearer(_) => "bearer",
            Self::ApiKey(_) => "api_key",
            Self::Cookie(cookie) => &cookie.name,
            Self::Peer(_) => "peer",
            Self::Native { name, .. } => name,
        }
    }
}

/// The strategy `bearer`.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// Whether session tokens of ours are accepted.
    pub opaque: bool,
    /// Fixed tokens of services.
    pub tokens: Box<[StaticToken]>,
    /// The issuers whose JWTs are accepted.
    pub issuers: Option<Arc<issuers::Issuers>>,
    /// What its sessions carry of scopes.
    pub scopes: ScopesOf,
}

/// A fixed token of a service.
#[derive(Clone, Debug)]
pub struct StaticToken {
    /// The hash of the token.
    pub hash: TokenHash,
    /// For whom it stands.
    pub subject: Principal,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// Claims, as a sign-in would give.
    pub claims: JsonObject,
}

/// The strategy `api_key`.
#[derive(Clone, Debug)]
pub struct ApiKeyStrategy {
    /// The header, lower case.
    pub header: Box<str>,
    /// The query parameter that may hold the key.
    pub query: Option<Box<str>>,
    /// What its sessions carry of scopes.
    pub scopes: ScopesOf,
}

/// The strategy `cookie`.
#[derive(Clone, Debug)]
pub struct CookieStrategy {
    /// Its name: `cookie`, or `cookie.NAME` where there are several.
    pub name: Arc<str>,
    /// The cookie.
    pub cookie: Cookie,
    /// Its name, prepared for looking for it.
    pub(crate) sought: CookieName,
    /// What its sessions carry of scopes.
    pub scopes: ScopesOf,
    /// The token that a page must send back, where one is asked for.
    pub csrf: Option<Box<Csrf>>,
}

impl CookieStrategy {
    /// The strategy of this name for this cookie.
    #[must_use]
    pub fn new(name: Arc<str>, cookie: Cookie, scopes: ScopesOf) -> Self {
        Self {
            name,
            sought: CookieName::new(&cookie.name),
            cookie,
            scopes,
            csrf: None,
        }
    }
}

/// A token that pages send back ([`csrf`](crate::csrf)), in a cookie beside the session's.
#[derive(Clone, Debug)]
pub struct Csrf {
    /// The cookie that holds the token.
    pub cookie: Cookie,
    /// The header that must repeat it, in lower case.
    pub header: Box<str>,
    pub(crate) sought: CookieName,
}

impl Csrf {
    /// A token in this cookie, repeated in this header.
    #[must_use]
    pub fn new(cookie: Cookie, header: &str) -> Self {
        Self {
            sought: CookieName::new(&cookie.name),
            header: header.to_ascii_lowercase().into(),
            cookie,
        }
    }
}

/// A strategy that a Rust program registered by name. It counts as explicit and must not block.
pub trait NativeStrategy: fmt::Debug + Send + Sync + 'static {
    /// What it makes of a call.
    fn find(&self, call: &Call) -> NativeFound;
}

/// What a native strategy makes of a call.
#[derive(Debug)]
pub enum NativeFound {
    /// No credential of its kind.
    Absent,
    /// A credential that is not valid.
    Rejected(String),
    /// A valid one.
    Valid(Box<Session>),
    /// It could not judge.
    Undetermined(String),
}

/// A credential that a strategy found. Its `Debug` names the strategy alone, which may hold hashes
/// of tokens.
pub struct Found<'s, 'c> {
    /// The strategy.
    pub strategy: &'s Strategy,
    /// The credential.
    pub presented: Presented<'c>,
}

impl fmt::Debug for Found<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("strategy", &self.strategy.name())
            .field("presented", &self.presented)
            .finish()
    }
}

/// A credential, read. Its `Debug` says of what kind it is and prints no part of it.
pub enum Presented<'c> {
    /// Not of the form that its kind has.
    Malformed,
    /// A session token of ours.
    Token(TokenHash),
    /// A bearer token of another kind.
    Foreign(&'c str),
    /// An API key of ours.
    Key(TokenHash),
    /// The proven identity of the peer.
    Peer(&'c str),
    /// What a native strategy found.
    Native(NativeFound),
}

impl<'c> Presented<'c> {
    /// Whether both are one credential, which then comes to the same.
    pub(crate) fn is_same(&self, other: &Presented<'_>) -> bool {
        match (self, other) {
            (Self::Malformed, Presented::Malformed) => true,
            (Self::Token(one), Presented::Token(other))
            | (Self::Key(one), Presented::Key(other)) => one == other,
            (Self::Foreign(one), Presented::Foreign(other))
            | (Self::Peer(one), Presented::Peer(other)) => one == other,
            _ => false,
        }
    }

    /// What it is known by; `None` for what a native strategy found, which is judged already.
    pub(crate) const fn named(&self) -> Option<Self> {
        match self {
            Self::Malformed => Some(Self::Malformed),
            Self::Token(hash) => Some(Self::Token(*hash)),
            Self::Foreign(text) => Some(Self::Foreign(text)),
            Self::Key(hash) => Some(Self::Key(*hash)),
            Self::Peer(identity) => Some(Self::Peer(identity)),
            Self::Native(_) => None,
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "Malformed",
            Self::Token(_) => "Token(..)",
            Self::Foreign(_) => "Foreign(..)",
            Self::Key(_) => "Key(..)",
            Self::Peer(_) => "Peer(..)",
            Self::Native(_) => "Native(..)",
        })
    }
}

/// Two credentials, or two values of one, were presented (R8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict;

/// The strategies of a policy, in declared order.
#[derive(Clone, Debug)]
pub struct Strategies {
    /// All of them.
    pub all: Box<[Strategy]>,
}

impl Strategies {
    /// Finds the one credential that decides; `None` when none was presented.
    ///
    /// # Errors
    ///
    /// Returns [`Conflict`] when two explicit credentials, or two values of one, were presented.
    pub fn find<'s, 'c>(
        &'s self,
        call: &'c Call,
        target: Option<&Target<'c>>,
    ) -> Result<Option<Found<'s, 'c>>, Conflict> {
        let mut explicit = None;
        for strategy in &self.all {
            if let Some(presented) = find_explicit(strategy, call, target)? {
                if explicit.is_some() {
                    return Err(Conflict);
                }
                explicit = Some(Found {
                    strategy,
                    presented,
                });
            }
        }
        if explicit.is_some() {
            return Ok(explicit);
        }
        for strategy in &self.all {
            if let Strategy::Cookie(cookie) = strategy
                && let Some(presented) = find_cookie(cookie, call)?
            {
                return Ok(Some(Found {
                    strategy,
                    presented,
                }));
            }
        }
        Ok(self.find_peer(call))
    }

    /// Who the connection has proven to be; asked last, since it goes with every call.
    fn find_peer<'s, 'c>(&'s self, call: &'c Call) -> Option<Found<'s, 'c>> {
        self.all.iter().find_map(|strategy| match strategy {
            Strategy::Peer(peer) => Some(Found {
                strategy,
                presented: Presented::Peer(peer.find(call)?),
            }),
            _ => None,
        })
    }

    /// Whether a header holds what a strategy reads, good or bad, and beside cookies.
    pub(crate) fn finds_explicit(&self, call: &Call) -> bool {
        let mut found = self
            .all
            .iter()
            .map(|strategy| find_explicit(strategy, call, None));
        found.any(|found| !matches!(found, Ok(None)))
    }

    /// The strategy that signs in peers.
    #[must_use]
    pub fn peer(&self) -> Option<&PeerStrategy> {
        self.all.iter().find_map(|strategy| match strategy {
            Strategy::Peer(peer) => Some(peer),
            _ => None,
        })
    }

    /// The first cookie strategy.
    #[must_use]
    pub fn cookie(&self) -> Option<&CookieStrategy> {
        self.cookies().next()
    }

    /// Whether any asks for a CSRF token.
    #[inline]
    #[must_use]
    pub fn ask_csrf(&self) -> bool {
        self.cookies().any(|strategy| strategy.csrf.is_some())
    }

    /// The cookie strategies.
    pub fn cookies(&self) -> impl Iterator<Item = &CookieStrategy> {
        self.all.iter().filter_map(|strategy| match strategy {
            Strategy::Cookie(cookie) => Some(cookie),
            _ => None,
        })
    }

    /// The bearer strategy, where it takes session tokens of ours.
    #[must_use]
    pub fn opaque_bearer(&self) -> Option<&Bearer> {
        self.all.iter().find_map(|strategy| match strategy {
            Strategy::Bearer(bearer) if bearer.opaque => Some(bearer),
            _ => None,
        })
    }
}

fn values<'c>(
    call: &'c Call,
    source: CredentialSource,
    name: &str,
) -> impl Iterator<Item = &'c [u8]> {
    call.credentials
        .iter()
        .filter(move |credential| credential.source == source && credential.name == name)
        .map(|credential| &*credential.value)
}

fn find_explicit<'c>(
    strategy: &Strategy,
    call: &'c Call,
    target: Option<&Target<'c>>,
) -> Result<Option<Presented<'c>>, Conflict> {
    match strategy {
        Strategy::Bearer(_) => find_bearer(call),
        Strategy::ApiKey(strategy) => find_key(strategy, call, target),
        Strategy::Native { strategy, .. } => Ok(match strategy.find(call) {
            NativeFound::Absent => None,
            found => Some(Presented::Native(found)),
        }),
        Strategy::Cookie(_) | Strategy::Peer(_) => Ok(None),
    }
}

fn find_bearer(call: &Call) -> Result<Option<Presented<'_>>, Conflict> {
    let found = authorization_values(values(call, CredentialSource::Authorization, ""));
    Ok(match found {
        Authorization::Absent | Authorization::Other => None,
        Authorization::Joined => return Err(Conflict),
        Authorization::Malformed => Some(Presented::Malformed),
        Authorization::Bearer(token) if token.len() > MAX_CREDENTIAL_BYTES => {
            Some(Presented::Malformed)
        }
        Authorization::Bearer(token) => Some(match TokenText::parse(token) {
            Some(bytes) => Presented::Token(TokenHash::of(&bytes)),
            None => Presented::Foreign(token),
        }),
    })
}

fn find_key<'c>(
    strategy: &ApiKeyStrategy,
    call: &'c Call,
    target: Option<&Target<'c>>,
) -> Result<Option<Presented<'c>>, Conflict> {
    let in_header = api_key_values(values(call, CredentialSource::Header, &strategy.header));
    let in_header = read_key(in_header)?;
    let Some((name, target)) = strategy.query.as_deref().zip(target) else {
        return Ok(in_header);
    };
    let mut in_query = target.query_values(name);
    let value = in_query.next();
    if in_query.next().is_some() || (value.is_some() && in_header.is_some()) {
        return Err(Conflict);
    }
    match value {
        None => Ok(in_header),
        Some(Err(_)) => Ok(Some(Presented::Malformed)),
        Some(Ok(value)) => read_key(api_key(Cow::as_ref(&value).as_bytes())),
    }
}

fn read_key<'c>(found: ApiKey<'_>) -> Result<Option<Presented<'c>>, Conflict> {
    Ok(match found {
        ApiKey::Absent => None,
        ApiKey::Joined => return Err(Conflict),
        ApiKey::Malformed => Some(Presented::Malformed),
        ApiKey::One(text) => Some(match ApiKeyText::parse(text) {
            Some(bytes) => Presented::Key(TokenHash::of(&bytes)),
            None => Presented::Malformed,
        }),
    })
}

fn find_cookie<'c>(
    strategy: &CookieStrategy,
    call: &'c Call,
) -> Result<Option<Presented<'c>>, Conflict> {
    let lines = values(call, CredentialSource::Cookie, "");
    Ok(match cookie_values(lines, &strategy.sought) {
        Cookies::Absent => None,
        Cookies::Many => return Err(Conflict),
        Cookies::Malformed => Some(Presented::Malformed),
        Cookies::One(value) => Some(match TokenText::parse(value) {
            Some(bytes) => Presented::Token(TokenHash::of(&bytes)),
            None => Presented::Malformed,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_was_found_prints_its_kind_only() {
        const CANARY: &str = "canary-4711";
        let hash = TokenHash::from_bytes([7; 32]);
        let strategy = Strategy::Bearer(Bearer {
            opaque: true,
            tokens: Box::default(),
            issuers: None,
            scopes: ScopesOf::FromSession,
        });
        let rejected = NativeFound::Rejected(CANARY.to_owned());
        for (presented, kind) in [
            (Presented::Malformed, "Malformed"),
            (Presented::Token(hash), "Token(..)"),
            (Presented::Foreign(CANARY), "Foreign(..)"),
            (Presented::Key(hash), "Key(..)"),
            (Presented::Peer(CANARY), "Peer(..)"),
            (Presented::Native(rejected), "Native(..)"),
        ] {
            let strategy = &strategy;
            let found = Found {
                strategy,
                presented,
            };
            let printed = format!("{found:?}");
            assert!(printed.contains("bearer") && printed.contains(kind));
            assert!(!printed.contains(CANARY), "{printed}");
        }
    }
}
