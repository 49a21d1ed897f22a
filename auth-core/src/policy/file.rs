//! What a policy file may say: plain data with positions, nothing decided yet.
//!
//! Every struct refuses keys that it does not know. What later builds have is refused as such
//! ([`NotInThisBuild`](super::scalar::NotInThisBuild)). The JSON Schema is made from these types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::At;

mod check;
mod operation;
mod platform;
mod strategy;

pub use check::{CheckFile, DetailedCheckFile, LookupFile, OneCheck, SourceFile};
pub use operation::{
    Actors, CorsFile, CrossSite, DataFile, OperationFile, RuleFile, SelectorFile, SessionNeed,
    WritesFile,
};
pub use platform::{
    AssertionFile, CallerFile, DecideFile, EmbeddedFile, EnvoyFile, ForwardAuthFile, KeysFile,
    Listen, LogFormat, MemoryFile, PassedCredentials, ProxyFile, RemoteFile, SessionsFile,
    StoreFile, TelemetryFile, TlsFile,
};
pub use strategy::{
    ApiKeyFile, BearerFile, BoundFile, CookieFile, CsrfFile, IssuerFile, NativeStrategyFile,
    PeerAs, PeerFile, SameSite, ScopesOf, StaticTokenFile, StrategyFile,
};

/// A policy file, or one that it includes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Where to listen. Platform's part; default: a unix socket and loopback ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// Where decisions are made. Platform's part; default: here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide: Option<DecideFile>,
    /// Where sessions are kept. Platform's part; default: `embedded` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreFile>,
    /// The limits of sessions. Platform's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionsFile>,
    /// Signing and sealing keys. Platform's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeysFile>,
    /// Logs and metrics. Platform's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<TelemetryFile>,
    /// The processes that may ask, by name. Platform's part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub callers: BTreeMap<String, At<CallerFile>>,
    /// How credentials are found and judged, tried in this order. Platform's part; default: opaque
    /// bearer tokens and a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategies: Option<Vec<At<StrategyFile>>>,
    /// Where look-ups look. Platform's part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, At<SourceFile>>,
    /// Requirements attached in many places at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<At<RuleFile>>,
    /// Further files, relative to this one; `*` stands for any name within a folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<At<String>>,
    /// The app's name. Default: `app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<At<String>>,
    /// The hosts that belong to the app; none means all that belong to no other app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<At<String>>,
    /// Which pages of other origins may call the app's operations over HTTP; each may say otherwise.
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<At<CorsFile>>,
    /// The claims that checks may read, with their types.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, At<String>>,
    /// The attributes that checks may read, with their types.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, At<String>>,
    /// Named predicates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, At<CheckFile>>,
    /// What the app does, and how it is reached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, At<OperationFile>>,
}
