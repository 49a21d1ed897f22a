//! What a policy file may say of credentials.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::scalar::{At, NotInThisBuild, OneOrMany, Span};

/// How a credential is found and judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrategyFile {
    /// `Authorization: Bearer`.
    Bearer(BearerFile),
    /// An API key of ours in a header.
    ApiKey(ApiKeyFile),
    /// A cookie.
    Cookie(CookieFile),
    /// A strategy that the embedding program registered.
    Native(NativeStrategyFile),
    /// Not in this build.
    Connection(NotInThisBuild),
    /// The proven identity of the peer, as its client certificate states it.
    Peer(PeerFile),
}

/// What the sessions of a strategy carry of scopes (R21).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopesOf {
    /// Every scope.
    All,
    /// None.
    None,
    /// Those that the session was given.
    FromSession,
}

/// The strategy `bearer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BearerFile {
    /// Whether session tokens of ours are accepted. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<bool>,
    /// Whose JWTs are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<At<IssuerFile>>,
    /// Fixed tokens of services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<At<StaticTokenFile>>,
    /// The namespace of its principals. Default `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<At<String>>,
    /// What its sessions carry of scopes. Needed once an operation asks for scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopesOf>,
}

/// An issuer of JWTs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerFile {
    /// The issuer, exactly as its tokens have it (`iss`).
    pub issuer: At<String>,
    /// The audience or audiences that tokens must be for (`aud`). Never optional.
    pub audience: OneOrMany<String>,
    /// The namespace of its principals.
    pub namespace: At<String>,
    /// The algorithms it may sign with. Default `[RS256, ES256, EdDSA]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<At<String>>>,
    /// The kinds of token accepted (`typ`). Default `[at+jwt]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<OneOrMany<String>>,
    /// How far clocks may differ. Default `30s`, at most `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leeway: Option<At<Span>>,
    /// What its tokens must be bound to. Default: nothing; a token that is bound to the certificate
    /// of its sender (`cnf`) is held to it either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<BoundFile>,
    /// Whether the profile of RFC 9068 is asked for in full. Default false.
    #[serde(default)]
    pub rfc9068: bool,
    /// A file with its keys: a JWK Set, a JWK, a PEM public key, or an HMAC secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_file: Option<At<String>>,
    /// Where its JWK Set is fetched. Default: what its discovery document says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<At<String>>,
    /// Whether a scope of its tokens covers its children (`a` covers `a:b`). Default false.
    #[serde(default)]
    pub scope_hierarchy: bool,
    /// Whether its keys may be fetched from a private address. Default false.
    #[serde(default)]
    pub private_address: bool,
}

/// What the tokens of an issuer must be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoundFile {
    /// The client certificate of who sends them (`x5t#S256`, RFC 8705 section 3).
    Certificate,
}

/// A fixed token of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticTokenFile {
    /// The file that holds the token, at least 32 bytes, readable by its owner only.
    pub token_file: At<String>,
    /// For whom it stands.
    pub subject: At<String>,
    /// The scopes granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<At<String>>,
    /// Claims, as a sign-in would give.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// The strategy `api_key`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyFile {
    /// The header that holds the key. Default `x-api-key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<At<String>>,
    /// The query parameter that may hold the key. Default: none, since URLs end up in logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<At<String>>,
    /// What its sessions carry of scopes. Needed once an operation asks for scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopesOf>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<NotInThisBuild>,
}

/// The strategy `cookie`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CookieFile {
    /// The cookie's name. Default `__Host-session`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<At<String>>,
    /// When it is sent across sites. Default `lax`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_site: Option<At<SameSite>>,
    /// Whether it is sent over TLS only. Default true; a `__Host-` or `__Secure-` name needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure: Option<At<bool>>,
    /// Whether scripts cannot read it. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_only: Option<At<bool>>,
    /// Its path. Default `/`, which a `__Host-` name needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<At<String>>,
    /// Its domain. Default: the host alone, which a `__Host-` name needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<At<String>>,
    /// How long the browser keeps it: `lifetime`, `browser` (until it is closed), or a span no
    /// longer than the sessions' lifetime. Default `lifetime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<At<String>>,
    /// The namespace of its principals. Default `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<At<String>>,
    /// What its sessions carry of scopes. Needed once an operation asks for scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopesOf>,
    /// A token that pages must send back with each state-changing call that carries the cookie, on
    /// top of the proof that it comes from the same origin. Default: none is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf: Option<Box<At<CsrfFile>>>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<NotInThisBuild>,
}

/// A token against requests that other sites cause: bound to the session, in a cookie that scripts of
/// the app's own pages can read, and repeated by them in a header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsrfFile {
    /// The name of the cookie that holds it; else it is as the session's. Default `__Host-csrf`, or
    /// `csrf` where the session's cookie has no `__Host-` name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<At<String>>,
    /// The header that repeats it. Default `x-csrf-token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<At<String>>,
}

/// When a cookie is sent across sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// Never.
    Strict,
    /// With top-level navigations.
    Lax,
    /// Always; needs `secure`.
    None,
}

/// The strategy `peer`. Without it, the identity of a peer fills `workload` and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerFile {
    /// What the identity of a peer becomes, where nothing else is presented.
    #[serde(rename = "as")]
    pub becomes: PeerAs,
    /// Who is signed in, as `spiffe://shop/web`: `*` is one segment, `**` at the end the rest.
    /// Default: every peer with an identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identities: Option<Vec<At<String>>>,
    /// The namespace of its principals. Default `peer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<At<String>>,
    /// What its sessions carry of scopes: `all` or `none`. Needed once an operation asks for
    /// scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopesOf>,
}

/// What the identity of a peer becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerAs {
    /// The session: its subject is the peer.
    Session,
}

/// A strategy that the embedding program registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NativeStrategyFile {
    /// The name it was registered by.
    pub name: At<String>,
    /// What its sessions carry of scopes. Needed once an operation asks for scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopesOf>,
}
