//! Verifies the tokens of several issuers: from bytes to claims, in an order that believes nothing early.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;

use super::{
    FetchReason, Issuer, IssuerError, JsonFault, JwksFetcher, KeySet, KeysStatus, MAX_TOKEN_BYTES,
    Part, Rejection, Sent, SignedPayload, VerifiedToken,
    cache::{Entry, TokenCache, TokenDigest},
    claims,
    compact::Compact,
    header::Header,
    install_crypto_provider,
    issuer::IssuerKeys,
};
use crate::clock::Timestamp;

/// How many verified tokens are remembered unless the configuration says otherwise.
pub const DEFAULT_CACHE_CAPACITY: usize = 10_000;

/// Why there is no verified token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The token is not acceptable.
    #[error("the token is refused")]
    Rejected(#[from] Rejection),
    /// The keys of this issuer could not be had, so nothing can be said: *undetermined* (R4).
    #[error("the keys of the token's issuer are not at hand")]
    KeysUnavailable {
        /// Position of the issuer.
        issuer: usize,
    },
}

/// The outcome of a verification.
pub type Verification = Result<Arc<VerifiedToken>, VerifyError>;

/// What is to happen next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing; this is the outcome.
    Done(Verification),
    /// Keys should be fetched first ([`Verifier::fetch_keys`]), then the token verified with
    /// [`Verifier::verify_with_keys_at_hand`].
    FetchKeys(KeysWanted),
}

/// Whose keys should be fetched, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysWanted {
    /// Position of the issuer.
    pub issuer: usize,
    /// Why.
    pub reason: FetchReason,
}

/// Verifies tokens of the issuers it was built with.
///
/// One verifier serves one configuration: its cache knows a token by its text alone, which is right
/// only as long as issuers, audiences and rules stay the same. A reload builds a new one.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<Issuer>,
    cache: TokenCache,
}

/// Whether keys may be fetched before an answer is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetching {
    Allowed,
    Over,
}

impl Verifier {
    /// A verifier of these issuers that remembers up to `cache_capacity` tokens.
    ///
    /// # Errors
    ///
    /// When two issuers have one name: which one's rules hold would be a guess.
    pub fn new(issuers: Vec<Issuer>, cache_capacity: usize) -> Result<Self, IssuerError> {
        install_crypto_provider();
        for (position, issuer) in issuers.iter().enumerate() {
            if issuers
                .iter()
                .take(position)
                .any(|other| other.name == issuer.name)
            {
                return Err(IssuerError::Duplicate(issuer.name.clone()));
            }
        }
        Ok(Self {
            issuers,
            cache: TokenCache::new(cache_capacity),
        })
    }

    /// The issuers, in the order of their positions.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// How many verified tokens are remembered.
    #[must_use]
    pub fn cached_tokens(&self) -> usize {
        self.cache.len()
    }

    /// Verifies a token, unless keys should be fetched first.
    #[must_use]
    pub fn verify<'t>(&self, token: impl Into<Sent<'t>>, now: Timestamp) -> Step {
        self.step(token.into(), now, Fetching::Allowed)
    }

    /// Verifies a token with what keys there are.
    ///
    /// # Errors
    ///
    /// When the token is refused, or no keys of its issuer are at hand.
    pub fn verify_with_keys_at_hand<'t>(
        &self,
        token: impl Into<Sent<'t>>,
        now: Timestamp,
    ) -> Verification {
        match self.step(token.into(), now, Fetching::Over) {
            Step::Done(verification) => verification,
            // Not reached: `Over` asks for nothing. Said this way, it fails closed.
            Step::FetchKeys(wanted) => Err(VerifyError::KeysUnavailable {
                issuer: wanted.issuer,
            }),
        }
    }

    /// Verifies a token and fetches keys where that is due: at most one fetch for one call.
    ///
    /// # Errors
    ///
    /// When the token is refused, or the keys of its issuer could not be had.
    pub async fn verify_with_fetch<'t>(
        &self,
        token: impl Into<Sent<'t>>,
        now: Timestamp,
        fetcher: &dyn JwksFetcher,
    ) -> Verification {
        let token = token.into();
        match self.verify(token, now) {
            Step::Done(verification) => verification,
            Step::FetchKeys(wanted) => {
                self.fetch_keys(wanted, now, fetcher).await;
                self.verify_with_keys_at_hand(token, now)
            }
        }
    }

    /// Fetches keys, unless someone else just did. The outcome shows in the next verification and
    /// in [`Self::keys_status`].
    pub async fn fetch_keys(&self, wanted: KeysWanted, now: Timestamp, fetcher: &dyn JwksFetcher) {
        if let Some(IssuerKeys::Remote(keys)) = self.issuers.get(wanted.issuer).map(|i| &i.keys) {
            keys.refresh(wanted.reason, now, fetcher).await;
        }
    }

    /// Whose keys are due to be fetched, for a task that does so ahead of the calls.
    #[must_use]
    pub fn keys_due(&self, now: Timestamp) -> Vec<KeysWanted> {
        let due = |(issuer, it): (usize, &Issuer)| match &it.keys {
            IssuerKeys::Static(_) => None,
            IssuerKeys::Remote(keys) => keys
                .due(now, false)
                .map(|reason| KeysWanted { issuer, reason }),
        };
        self.issuers.iter().enumerate().filter_map(due).collect()
    }

    /// What is known of an issuer's published keys; `None` for static keys and unknown positions.
    #[must_use]
    pub fn keys_status(&self, issuer: usize) -> Option<KeysStatus> {
        match &self.issuers.get(issuer)?.keys {
            IssuerKeys::Static(_) => None,
            IssuerKeys::Remote(keys) => Some(keys.status()),
        }
    }

    fn step(&self, sent: Sent<'_>, now: Timestamp, fetching: Fetching) -> Step {
        let token = sent.token;
        if token.len() > MAX_TOKEN_BYTES {
            return Step::Done(Err(Rejection::TokenTooLong.into()));
        }
        let digest = TokenCache::digest(token);
        if let Some(entry) = self.cache.get(&digest)
            && let Some(step) = self.recall(&digest, entry, sent, now, fetching)
        {
            return step;
        }
        self.verify_anew(sent, digest, now, fetching)
            .unwrap_or_else(|rejection| Step::Done(Err(rejection.into())))
    }

    /// Uses a remembered token, if it still holds: the same keys, its time, and who sent it.
    fn recall(
        &self,
        digest: &TokenDigest,
        entry: Entry,
        sent: Sent<'_>,
        now: Timestamp,
        fetching: Fetching,
    ) -> Option<Step> {
        if let IssuerKeys::Remote(keys) = &self.issuers.get(entry.token.issuer)?.keys {
            if let (Fetching::Allowed, Some(reason)) = (fetching, keys.due(now, false)) {
                return Some(Step::FetchKeys(KeysWanted {
                    issuer: entry.token.issuer,
                    reason,
                }));
            }
            if keys.generation(now) != Some(entry.generation) {
                self.cache.remove(digest);
                return None;
            }
        }
        Some(Step::Done(match entry.token.check_time(now) {
            Ok(()) => match entry.token.confirmation.check(sent.sender, now) {
                Ok(()) => Ok(entry.token),
                Err(rejection) => Err(rejection.into()),
            },
            Err(rejection) => {
                self.cache.remove(digest);
                Err(rejection.into())
            }
        }))
    }

    fn verify_anew(
        &self,
        sent: Sent<'_>,
        digest: TokenDigest,
        now: Timestamp,
        fetching: Fetching,
    ) -> Result<Step, Rejection> {
        let compact = Compact::split(sent.token)?;
        let header = Header::read(&compact.header)?;
        let name = unverified_issuer(&compact.payload)?;
        let position = self.issuers.iter().position(|issuer| issuer.name == name);
        let position = position.ok_or(Rejection::Issuer)?;
        let issuer = self.issuers.get(position).ok_or(Rejection::Issuer)?;
        issuer.check_header(&header)?;
        let keys = match Self::keys(issuer, position, &header, now, fetching) {
            Ok(keys) => keys,
            Err(step) => return Ok(step),
        };
        let key = keys.0.find(header.key_id.as_deref(), header.algorithm)?;
        let payload = SignedPayload::verify(compact, key)?;
        let token = Arc::new(claims::read(&payload, issuer, position, now)?);
        token.confirmation.check(sent.sender, now)?;
        self.cache.insert(
            digest,
            Entry {
                token: Arc::clone(&token),
                generation: keys.1,
            },
        );
        Ok(Step::Done(Ok(token)))
    }

    /// The issuer's keys and their generation, or the step that has to come first.
    fn keys(
        issuer: &Issuer,
        position: usize,
        header: &Header,
        now: Timestamp,
        fetching: Fetching,
    ) -> Result<(Arc<KeySet>, u64), Step> {
        let remote = match &issuer.keys {
            IssuerKeys::Static(set) => return Ok((Arc::clone(set), 0)),
            IssuerKeys::Remote(remote) => remote,
        };
        let keys = remote.usable(now);
        let is_unknown = |set: &KeySet| {
            set.find(header.key_id.as_deref(), header.algorithm).err()
                == Some(Rejection::UnknownKey)
        };
        let unknown = keys.as_ref().is_some_and(|(set, _)| is_unknown(set));
        if let (Fetching::Allowed, Some(reason)) = (fetching, remote.due(now, unknown)) {
            return Err(Step::FetchKeys(KeysWanted {
                issuer: position,
                reason,
            }));
        }
        let unavailable = VerifyError::KeysUnavailable { issuer: position };
        keys.ok_or(Step::Done(Err(unavailable)))
    }
}

/// `iss` as the payload has it, to choose keys by and nothing else: the signature must then be one
/// of that issuer's keys (T-06), and the claim is read again from what was signed.
fn unverified_issuer(payload: &[u8]) -> Result<Cow<'_, str>, Rejection> {
    #[derive(Deserialize)]
    struct Peek<'a> {
        #[serde(borrow)]
        iss: Option<Cow<'a, str>>,
    }
    let peek: Peek<'_> = serde_json::from_slice(payload).map_err(|err| {
        if err.is_data() {
            return Rejection::MalformedClaim { name: "iss" };
        }
        Rejection::Json {
            part: Part::Payload,
            fault: JsonFault::Syntax,
        }
    })?;
    peek.iss.ok_or_else(|| Rejection::MissingClaim {
        name: "iss".to_owned(),
    })
}
