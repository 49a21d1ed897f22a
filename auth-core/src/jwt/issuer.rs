//! What is believed of one issuer: its name, its keys, and what its tokens must say.

use std::{sync::Arc, time::Duration};

use super::{
    Algorithm, JwksLocation, JwksSettings, KeySet, Rejection,
    header::{self, Header},
    jwks::{RemoteKeys, RemoteUrlError},
};

/// The most leeway that clocks are given (T-04).
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// The leeway unless the configuration says otherwise.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

/// The type of OAuth access tokens (RFC 9068 section 2.1).
const ACCESS_TOKEN: &str = "at+jwt";

/// What RFC 9068 section 2.2 requires of an access token.
const PROFILE_CLAIMS: [&str; 7] = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];

/// Why an issuer cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The issuer's name is empty or holds control characters.
    #[error("the issuer `{0}` is no issuer name")]
    Name(String),
    /// No audience, or an empty one: any token of the issuer would do (T-05).
    #[error("the issuer `{0}` needs an audience")]
    Audience(String),
    /// The list of algorithms is empty.
    #[error("the issuer `{0}` allows no algorithm")]
    NoAlgorithm(String),
    /// HMAC beside public-key algorithms, or HMAC with keys that are published.
    #[error("the issuer `{0}` mixes shared secrets with public keys")]
    MixedSymmetry(String),
    /// A static key is for an algorithm that the issuer's list lacks.
    #[error("a key is for `{0}`, which the issuer does not allow")]
    KeyAlgorithm(Algorithm),
    /// An accepted `typ` is empty.
    #[error("a token type is empty")]
    TokenType,
    /// More leeway than [`MAX_LEEWAY`].
    #[error("a leeway of {0:?} is more than 60 s")]
    Leeway(Duration),
    /// The key location is no URL that may be asked.
    #[error("the keys of `{issuer}` cannot be fetched")]
    KeyUrl {
        /// Whose.
        issuer: String,
        /// Why not.
        #[source]
        source: RemoteUrlError,
    },
    /// Two issuers of one verifier have the same name.
    #[error("the issuer `{0}` is configured twice")]
    Duplicate(String),
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Keys from the configuration.
    Static(KeySet),
    /// Keys that the issuer publishes.
    Remote(JwksLocation, JwksSettings),
}

/// An issuer, checked. It cannot be built without an audience.
#[derive(Debug)]
pub struct Issuer {
    pub(super) name: String,
    pub(super) audiences: Vec<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) types: Vec<String>,
    pub(super) untyped: bool,
    pub(super) embedded_keys: bool,
    pub(super) leeway: Duration,
    pub(super) subject_optional: bool,
    pub(super) required: Vec<String>,
    pub(super) certificate_bound: bool,
    pub(super) keys: IssuerKeys,
}

#[derive(Debug)]
pub(super) enum IssuerKeys {
    Static(Arc<KeySet>),
    Remote(Box<RemoteKeys>),
}

impl Issuer {
    /// Starts to describe the issuer whose tokens have exactly `name` as `iss` and are for `audience`.
    #[must_use]
    pub fn builder(
        name: impl Into<String>,
        audience: impl Into<String>,
        keys: KeySource,
    ) -> IssuerBuilder {
        IssuerBuilder {
            name: name.into(),
            audiences: vec![audience.into()],
            algorithms: None,
            types: vec![ACCESS_TOKEN.to_owned()],
            untyped: false,
            embedded_keys: false,
            leeway: DEFAULT_LEEWAY,
            subject_optional: false,
            required: Vec::new(),
            certificate_bound: false,
            keys,
        }
    }

    /// The name, as in `iss`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the header is one of this issuer's tokens, before any key is looked at.
    pub(super) fn check_header(&self, header: &Header) -> Result<(), Rejection> {
        if !self.algorithms.contains(&header.algorithm) {
            return Err(Rejection::AlgorithmNotAllowed);
        }
        if let (Some(name), false) = (header.embedded_key, self.embedded_keys) {
            return Err(Rejection::EmbeddedKey { name });
        }
        let accepted = match &header.token_type {
            None => self.untyped,
            Some(found) => self.types.iter().any(|accepted| accepted == found),
        };
        if accepted {
            Ok(())
        } else {
            Err(Rejection::TokenType)
        }
    }
}

/// Describes an [`Issuer`].
#[derive(Clone, Debug)]
pub struct IssuerBuilder {
    name: String,
    audiences: Vec<String>,
    algorithms: Option<Vec<Algorithm>>,
    types: Vec<String>,
    untyped: bool,
    embedded_keys: bool,
    leeway: Duration,
    subject_optional: bool,
    required: Vec<String>,
    certificate_bound: bool,
    keys: KeySource,
}

impl IssuerBuilder {
    /// One more audience that is ours; a token needs one of them.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The algorithms its tokens may have. Without this: those of the static keys, or every
    /// public-key algorithm for published ones ([`Algorithm::ASYMMETRIC`]).
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// The `typ` values its access tokens may have, instead of `at+jwt` alone.
    ///
    /// With `JWT` here an issuer's ID tokens are told apart by their audience and their own claims
    /// only (T-07).
    #[must_use]
    pub fn types<T: AsRef<str>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types = types
            .into_iter()
            .map(|text| header::token_type(text.as_ref()))
            .collect();
        self
    }

    /// Whether tokens without `typ` are accepted; they are not unless asked for.
    #[must_use]
    pub fn accept_untyped(mut self, accept: bool) -> Self {
        self.untyped = accept;
        self
    }

    /// Whether tokens that carry `jwk`, `jku`, `x5u` or `x5c` are accepted all the same, for
    /// issuers that always send one. The member is never used either way (T-03).
    #[must_use]
    pub fn ignore_embedded_keys(mut self, ignore: bool) -> Self {
        self.embedded_keys = ignore;
        self
    }

    /// How far the issuer's clock may be off ours, at most [`MAX_LEEWAY`].
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Whether tokens without `sub` are accepted; their sessions have no subject.
    #[must_use]
    pub fn subject_optional(mut self, optional: bool) -> Self {
        self.subject_optional = optional;
        self
    }

    /// One more claim that has to be there.
    #[must_use]
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.required.push(name.into());
        self
    }

    /// Whether a token must be bound to a certificate of its sender (RFC 8705 section 3). One that
    /// is bound is held to it either way.
    #[must_use]
    pub fn certificate_bound(mut self, bound: bool) -> Self {
        self.certificate_bound = bound;
        self
    }

    /// Holds tokens to the whole access-token profile of RFC 9068 (T-20): `typ` is `at+jwt` and all
    /// of `iss`, `exp`, `aud`, `sub`, `client_id`, `iat`, `jti` are there.
    #[must_use]
    pub fn access_token_profile(mut self) -> Self {
        self.required.extend(PROFILE_CLAIMS.map(str::to_owned));
        self.types = vec![ACCESS_TOKEN.to_owned()];
        self.untyped = false;
        self.subject_optional = false;
        self
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// When the issuer could not be believed safely; the error says why.
    pub fn build(self) -> Result<Issuer, IssuerError> {
        if self.name.is_empty() || self.name.chars().any(char::is_control) {
            return Err(IssuerError::Name(self.name));
        }
        if self
            .audiences
            .iter()
            .any(|audience| audience.trim().is_empty())
        {
            return Err(IssuerError::Audience(self.name));
        }
        if self.types.iter().any(String::is_empty) {
            return Err(IssuerError::TokenType);
        }
        if self.leeway > MAX_LEEWAY {
            return Err(IssuerError::Leeway(self.leeway));
        }
        let algorithms = self.checked_algorithms()?;
        let keys = match self.keys {
            KeySource::Static(set) => IssuerKeys::Static(set.into()),
            KeySource::Remote(location, settings) => {
                let remote = RemoteKeys::new(&self.name, location, settings, algorithms.clone());
                let issuer = self.name.clone();
                let remote = remote.map_err(|source| IssuerError::KeyUrl { issuer, source })?;
                IssuerKeys::Remote(Box::new(remote))
            }
        };
        Ok(Issuer {
            name: self.name,
            audiences: self.audiences,
            algorithms,
            types: self.types,
            untyped: self.untyped,
            embedded_keys: self.embedded_keys,
            leeway: self.leeway,
            subject_optional: self.subject_optional,
            required: self.required,
            certificate_bound: self.certificate_bound,
            keys,
        })
    }

    fn checked_algorithms(&self) -> Result<Vec<Algorithm>, IssuerError> {
        let keys = match &self.keys {
            KeySource::Static(set) => set.keys(),
            KeySource::Remote(..) => &[],
        };
        let algorithms = match (&self.algorithms, &self.keys) {
            (Some(algorithms), _) => algorithms.clone(),
            (None, KeySource::Remote(..)) => Algorithm::ASYMMETRIC.to_vec(),
            (None, KeySource::Static(_)) => keys.iter().map(|key| key.algorithm()).collect(),
        };
        if algorithms.is_empty() {
            return Err(IssuerError::NoAlgorithm(self.name.clone()));
        }
        let symmetric = algorithms
            .iter()
            .filter(|algorithm| algorithm.is_symmetric())
            .count();
        let published = matches!(self.keys, KeySource::Remote(..));
        if symmetric != 0 && (published || symmetric != algorithms.len()) {
            return Err(IssuerError::MixedSymmetry(self.name.clone()));
        }
        match keys
            .iter()
            .find(|key| !algorithms.contains(&key.algorithm()))
        {
            Some(key) => Err(IssuerError::KeyAlgorithm(key.algorithm())),
            None => Ok(algorithms),
        }
    }
}
