//! Keys that an issuer publishes (T-27): fetched from where the configuration says, one fetch at a
//! time, seldom, and kept while the issuer cannot be reached.
//!
//! Nothing here opens a connection. The caller brings a [`JwksFetcher`] and the time.

mod url;

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use futures_util::lock::Mutex;
use serde_json::Value;

use self::url::RemoteUrl;
pub use self::url::RemoteUrlError;
use super::{Algorithm, JsonFault, KeyError, KeySet, json};
use crate::clock::Timestamp;

/// The largest key set or discovery document that is read, in bytes. A fetcher should stop there
/// too; what is longer is refused here in any case.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Gets documents over HTTP. The implementation owes what this crate cannot do: TLS, a timeout, no
/// redirects, no cookies or credentials, a cap of [`MAX_DOCUMENT_BYTES`] while reading, and a guard
/// against private addresses for hosts that are not loopback.
#[async_trait]
pub trait JwksFetcher: fmt::Debug + Send + Sync {
    /// The body of a successful (200) answer to `GET url`.
    ///
    /// # Errors
    ///
    /// When there is no such answer.
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError>;
}

/// Why a document could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Where an issuer's key set is found. Never in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksLocation {
    /// At this URL.
    Url(String),
    /// Named by the issuer's OpenID Connect discovery document.
    OpenIdDiscovery,
    /// Named by the issuer's OAuth metadata (RFC 8414).
    OAuthMetadata,
}

/// When an issuer's keys are fetched, and how long they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksSettings {
    /// Age at which the set is fetched anew. Default 10 min.
    pub refresh_every: Duration,
    /// Least time between two fetches while there are keys, whatever key ids turn up. Default 60 s.
    pub refetch_floor: Duration,
    /// Least time between two fetches while there are none. Default 5 s.
    pub retry_floor: Duration,
    /// How long a set is used when no newer one can be had. Default 24 h.
    pub keep_for: Duration,
}

impl Default for JwksSettings {
    fn default() -> Self {
        Self {
            refresh_every: Duration::from_secs(10 * 60),
            refetch_floor: Duration::from_secs(60),
            retry_floor: Duration::from_secs(5),
            keep_for: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Why a fetch brought no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The document could not be had.
    #[error("`{url}` could not be fetched")]
    Fetch {
        /// Which.
        url: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// Longer than [`MAX_DOCUMENT_BYTES`].
    #[error("`{0}` is too long")]
    TooLong(String),
    /// The discovery document is no strict JSON object.
    #[error("the discovery document is refused")]
    Discovery(#[source] JsonFault),
    /// The discovery document is another issuer's.
    #[error("the discovery document is for the issuer `{0}`")]
    OtherIssuer(String),
    /// The discovery document names no key set that may be fetched.
    #[error("the discovery document names no usable `jwks_uri`")]
    NoJwksUri(#[source] Option<RemoteUrlError>),
    /// The key set is refused.
    #[error("the key set is refused")]
    Keys(#[source] KeyError),
}

/// Why keys are to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchReason {
    /// There are none, or the ones there are have become too old.
    Missing,
    /// They are due for a look.
    Stale,
    /// A token names a key that is not among them.
    UnknownKey,
}

/// What is known of an issuer's published keys, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysStatus {
    /// Counts the different sets seen; 0 before the first.
    pub generation: u64,
    /// Usable keys in the present set.
    pub keys: usize,
    /// When the present set was last seen at its source.
    pub fetched_at: Option<Timestamp>,
    /// Why the latest fetch failed, if it did.
    pub last_error: Option<RefreshError>,
}

/// The published keys of one issuer.
#[derive(Debug)]
pub(super) struct RemoteKeys {
    issuer: String,
    source: Source,
    settings: JwksSettings,
    algorithms: Vec<Algorithm>,
    /// Held across a fetch; nothing else is.
    flight: Mutex<()>,
    is_flying: AtomicBool,
    state: RwLock<State>,
}

#[derive(Debug)]
enum Source {
    Set(RemoteUrl),
    Discovery { document: String, base: RemoteUrl },
}

#[derive(Debug, Default)]
struct State {
    set: Option<Arc<KeySet>>,
    body: Option<[u8; 32]>,
    generation: u64,
    fetched_at: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
    last_error: Option<RefreshError>,
}

impl RemoteKeys {
    pub(super) fn new(
        issuer: &str,
        location: JwksLocation,
        settings: JwksSettings,
        algorithms: Vec<Algorithm>,
    ) -> Result<Self, RemoteUrlError> {
        let source = match location {
            JwksLocation::Url(url) => Source::Set(RemoteUrl::parse(&url)?),
            JwksLocation::OpenIdDiscovery => discovery(issuer, RemoteUrl::openid_configuration)?,
            JwksLocation::OAuthMetadata => discovery(issuer, RemoteUrl::oauth_metadata)?,
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            source,
            settings,
            algorithms,
            flight: Mutex::new(()),
            is_flying: AtomicBool::new(false),
            state: RwLock::default(),
        })
    }

    /// The keys and their generation, unless there are none or they are too old to be believed.
    pub(super) fn usable(&self, now: Timestamp) -> Option<(Arc<KeySet>, u64)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let set = state
            .set
            .as_ref()
            .filter(|_| state.is_usable(now, &self.settings))?;
        Some((Arc::clone(set), state.generation))
    }

    /// The generation alone, as [`Self::usable`] has it.
    pub(super) fn generation(&self, now: Timestamp) -> Option<u64> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state
            .is_usable(now, &self.settings)
            .then_some(state.generation)
    }

    /// Why to go through [`Self::refresh`] at `now`, if at all; `unknown_key` when a token asks for a
    /// key not held. Who cannot go on without keys also waits for a fetch that others began.
    pub(super) fn due(&self, now: Timestamp, unknown_key: bool) -> Option<FetchReason> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if self.is_flying.load(Ordering::Acquire) {
            return match state.is_usable(now, &self.settings) {
                false => Some(FetchReason::Missing),
                true => unknown_key.then_some(FetchReason::UnknownKey),
            };
        }
        state.due(now, unknown_key, &self.settings)
    }

    pub(super) fn status(&self) -> KeysStatus {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        KeysStatus {
            generation: state.generation,
            keys: state.set.as_ref().map_or(0, |set| set.keys().len()),
            fetched_at: state.fetched_at,
            last_error: state.last_error.clone(),
        }
    }

    /// Fetches, unless someone else just did. Callers that have keys to go on with do not wait for a
    /// fetch that is under way; the others do and share its outcome.
    pub(super) async fn refresh(
        &self,
        reason: FetchReason,
        now: Timestamp,
        fetcher: &dyn JwksFetcher,
    ) {
        let _flight = match reason {
            FetchReason::Stale => match self.flight.try_lock() {
                Some(guard) => guard,
                None => return,
            },
            FetchReason::Missing | FetchReason::UnknownKey => self.flight.lock().await,
        };
        let _flying = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let unknown_key = reason == FetchReason::UnknownKey;
            if state.due(now, unknown_key, &self.settings).is_none() {
                return;
            }
            // Before the await: a caller that gives up half-way has still used up this fetch.
            state.attempted_at = Some(now);
            Flying::start(&self.is_flying)
        };
        let outcome = self.fetch(fetcher).await;
        self.state
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take(outcome, now);
    }

    async fn fetch(&self, fetcher: &dyn JwksFetcher) -> Result<([u8; 32], KeySet), RefreshError> {
        let body = match &self.source {
            Source::Set(url) => get(fetcher, url.as_str()).await?,
            Source::Discovery { document, base } => {
                let document = get(fetcher, document).await?;
                let url = self.jwks_uri(&document, base)?;
                get(fetcher, url.as_str()).await?
            }
        };
        let keys = KeySet::from_published_jwks(&body, &self.algorithms);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &body).as_ref());
        Ok((hash, keys.map_err(RefreshError::Keys)?))
    }

    /// The document must be our issuer's own (RFC 8414 section 3.3, OpenID Connect Discovery 4.3).
    fn jwks_uri(&self, document: &[u8], base: &RemoteUrl) -> Result<RemoteUrl, RefreshError> {
        let document = json::object(document).map_err(RefreshError::Discovery)?;
        let issuer = document
            .get("issuer")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if issuer != self.issuer {
            return Err(RefreshError::OtherIssuer(issuer.to_owned()));
        }
        let uri = document.get("jwks_uri").and_then(Value::as_str);
        let uri = uri.ok_or(RefreshError::NoJwksUri(None))?;
        base.linked(uri)
            .map_err(|err| RefreshError::NoJwksUri(Some(err)))
    }
}

/// Says that a fetch is under way, until it is dropped with it.
struct Flying<'a>(&'a AtomicBool);

impl<'a> Flying<'a> {
    fn start(is_flying: &'a AtomicBool) -> Self {
        is_flying.store(true, Ordering::Release);
        Self(is_flying)
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl State {
    fn is_usable(&self, now: Timestamp, settings: &JwksSettings) -> bool {
        self.fetched_at
            .is_some_and(|fetched_at| distance(now, fetched_at) < settings.keep_for)
    }

    fn due(
        &self,
        now: Timestamp,
        unknown_key: bool,
        settings: &JwksSettings,
    ) -> Option<FetchReason> {
        let usable = self.is_usable(now, settings);
        let floor = if usable {
            settings.refetch_floor
        } else {
            settings.retry_floor
        };
        if self
            .attempted_at
            .is_some_and(|attempted_at| distance(now, attempted_at) < floor)
        {
            return None;
        }
        let stale = |at| distance(now, at) >= settings.refresh_every;
        match usable {
            false => Some(FetchReason::Missing),
            true if unknown_key => Some(FetchReason::UnknownKey),
            true => self
                .fetched_at
                .is_some_and(stale)
                .then_some(FetchReason::Stale),
        }
    }

    /// A new set replaces the old one whole; a failure leaves it.
    fn take(&mut self, outcome: Result<([u8; 32], KeySet), RefreshError>, now: Timestamp) {
        match outcome {
            Ok((body, set)) => {
                if self.body != Some(body) {
                    self.set = Some(Arc::new(set));
                    self.body = Some(body);
                    self.generation += 1;
                }
                self.fetched_at = Some(now);
                self.last_error = None;
            }
            Err(err) => self.last_error = Some(err),
        }
    }
}

/// How far apart two instants are. A clock that jumped back must not make keys look fresh, nor
/// forbid fetches until it has caught up.
fn distance(left: Timestamp, right: Timestamp) -> Duration {
    left.since(right).max(right.since(left))
}

fn discovery(issuer: &str, document: fn(&RemoteUrl) -> String) -> Result<Source, RemoteUrlError> {
    let base = RemoteUrl::parse(issuer)?;
    if base.has_query() {
        return Err(RemoteUrlError::Malformed(issuer.to_owned()));
    }
    Ok(Source::Discovery {
        document: document(&base),
        base,
    })
}

async fn get(fetcher: &dyn JwksFetcher, url: &str) -> Result<Vec<u8>, RefreshError> {
    let body = fetcher.fetch(url).await;
    let body = body.map_err(|source| RefreshError::Fetch {
        url: url.to_owned(),
        source,
    })?;
    if body.len() > MAX_DOCUMENT_BYTES {
        return Err(RefreshError::TooLong(url.to_owned()));
    }
    Ok(body)
}

#[cfg(test)]
mod tests;
