//! What a policy file may say: plain data with positions, nothing decided yet.
//!
//! Every struct refuses keys that it does not know. What later builds have is refused as such
//! ([`NotInThisBuild`]). The JSON Schema is made from these types.

use std::{collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::scalar::{At, NotInThisBuild, OneOrMany, Span};
use crate::{caller::Grant, store::BeyondLimit};

/// A policy file, or one that it includes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Where to listen. Platform's part; default: a unix socket and loopback ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
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

/// Where to listen: `unix:PATH` or `IP:PORT` (loopback only in this build; port 0 picks one).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// gRPC. Default: `unix:DATA/sidegate.sock` and `127.0.0.1:7480`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<OneOrMany<String>>,
    /// The same API as JSON over HTTP. Default: `127.0.0.1:7481`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<OneOrMany<String>>,
    /// Administration, a unix socket. Default: `unix:DATA/admin.sock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<At<String>>,
    /// `/livez`, `/readyz` and `/metrics`. Default: `127.0.0.1:7482`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<At<String>>,
    /// Plain HTTP forward-auth for proxies. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_auth: Option<ForwardAuthFile>,
    /// Host names under which the HTTP listener answers. Default: loopback names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<At<String>>,
    /// Origins that may call the HTTP listener from a browser. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<At<String>>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<NotInThisBuild>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<NotInThisBuild>,
}

/// The plain forward-auth endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuthFile {
    /// Where it listens.
    pub address: At<String>,
    /// The proxies that may ask, as addresses or networks. Nobody else is believed.
    pub trusted_proxies: Vec<At<String>>,
    /// The caller on whose behalf the proxies ask.
    pub caller: At<String>,
}

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreFile {
    /// On this node, in SQLite.
    Embedded(EmbeddedFile),
    /// In memory: nothing survives a stop. For tests.
    Memory(MemoryFile),
    /// Not in this build.
    Redis(NotInThisBuild),
    /// Not in this build.
    Postgres(NotInThisBuild),
}

/// The embedded store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedFile {
    /// The data directory, relative to the file.
    pub path: At<String>,
}

/// The store in memory; it has no settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryFile {}

/// The limits of sessions (R14).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionsFile {
    /// How long a session lasts at most. Default `24h`, at most `30d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<At<Span>>,
    /// How long it may stay unused. Default `1h`, at most the lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<At<Span>>,
    /// After what time a token is renewed. Default `6h`, at most the lifetime; `0s` never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew: Option<At<Span>>,
    /// How many live sessions a subject may have. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_subject: Option<At<u32>>,
    /// What happens beyond that. Default `evict_oldest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_limit: Option<BeyondLimit>,
}

/// Signing and sealing keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysFile {
    /// Their directory, relative to the file. Default: `keys` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<At<String>>,
    /// How long an old key stays good after a new one took over. Default `24h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<At<Span>>,
}

/// Logs and metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetryFile {
    /// The form of the logs. Default: text on a terminal, else JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFormat>,
    /// Which logs to write, as `info` or `sidecar=debug`. Default `info`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_filter: Option<At<String>>,
    /// Log one allow in this many; refusals are always logged. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_one_allow_in: Option<At<u32>>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<NotInThisBuild>,
}

/// The form of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A process that may ask (R25).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerFile {
    /// The file that holds its token, readable by its owner only; names it on TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<At<String>>,
    /// The user id that names it on a unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<At<u32>>,
    /// What it may do.
    pub may: Vec<At<Grant>>,
    /// The namespaces that it may sign principals in for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sign_in: Vec<At<String>>,
    /// The claims that it may set at sign-in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<At<String>>,
    /// Its tenant. Default: `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<At<String>>,
    /// The wires it may speak of. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wires: Option<Vec<At<String>>>,
}

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
    /// Not in this build.
    Peer(NotInThisBuild),
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
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<NotInThisBuild>,
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

/// Where look-ups look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFile {
    /// A SQLite database, opened read-only; the path is relative to the file.
    Sqlite(At<String>),
    /// Not in this build.
    Postgres(NotInThisBuild),
    /// Not in this build.
    Http(NotInThisBuild),
    /// Not in this build.
    Redis(NotInThisBuild),
}

/// Requirements attached where a selector matches (R1). A rule never grants, it only tightens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Where it applies.
    #[serde(rename = "match")]
    pub selector: At<SelectorFile>,
    /// One check that must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<At<OneCheck>>,
    /// Checks that must all hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_all: Option<At<Vec<At<String>>>>,
    /// Alternatives: one of the keys must hold, with all checks of its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_any: Option<At<BTreeMap<String, OneOrMany<String>>>>,
    /// Scopes that are all needed (R21).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<At<Vec<At<String>>>>,
    /// Whether it holds only on the wires it matches, not on all wires of the operation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wire_only: bool,
    /// Not in this build.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub middleware: Option<NotInThisBuild>,
}

/// Where a rule applies: exactly one of the keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectorFile {
    /// A kind of wire, or `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global: Option<At<String>>,
    /// A path and everything below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<At<String>>,
    /// A tag of operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<At<String>>,
}

/// The name of one check, where a list or map is a mistake that deserves a word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct OneCheck(pub String);

impl<'de> Deserialize<'de> for OneCheck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        const SPELLINGS: &str = "`require` takes the name of one check; write \
            `require_all: [a, b]` where all must hold, or \
            `require_any: { key: a, other: [b, c] }` where one key is enough";

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = OneCheck;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a check")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<OneCheck, E> {
                Ok(OneCheck(name.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<OneCheck, A::Error> {
                Err(de::Error::custom(SPELLINGS))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<OneCheck, A::Error> {
                Err(de::Error::custom(SPELLINGS))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A named predicate.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CheckFile {
    /// An expression in CEL syntax; `true` and `false` need no quotes.
    Expression(#[schemars(schema_with = "text_or_boolean")] String),
    /// Look-ups and an expression over what they find; or a native check.
    Detailed(Box<DetailedCheckFile>),
}

fn text_or_boolean(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "boolean"] })
}

/// A check that is more than an expression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedCheckFile {
    /// Rows to look up, by the name that `when` has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookup: BTreeMap<String, At<LookupFile>>,
    /// The expression, over session, data, wire and the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<At<String>>,
    /// A check that the embedding program registered by this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<At<String>>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callout: Option<NotInThisBuild>,
}

impl<'de> Deserialize<'de> for CheckFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = CheckFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or a map with `lookup` and `when`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CheckFile, E> {
                Ok(CheckFile::Expression(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<CheckFile, E> {
                Ok(CheckFile::Expression(value.to_string()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CheckFile, A::Error> {
                DetailedCheckFile::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|detailed| CheckFile::Detailed(Box::new(detailed)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// One row to look up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupFile {
    /// The source.
    pub source: At<String>,
    /// The query; `$1`, `$2` ... stand for the arguments. The first row counts.
    pub sql: At<String>,
    /// The arguments, as `data.book_id` or `session.subject`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<At<String>>,
}

/// Whether an operation needs a session (R7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionNeed {
    /// One with a subject.
    #[default]
    Required,
    /// Anonymous callers may come too.
    Optional,
    /// None is looked for; no store is touched.
    None,
}

/// What an operation may write of the session (R11).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WritesFile {
    /// It signs in.
    SignIn,
    /// It changes attributes.
    Attributes,
}

/// Whether somebody may act on the subject's behalf (R23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actors {
    /// No.
    #[default]
    Refuse,
    /// Yes.
    Allow,
}

/// One piece of the app's behaviour, its security, and the wires that reach it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationFile {
    /// Whether it needs a session. Default `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<At<SessionNeed>>,
    /// What it may write of the session. Default: nothing but logging out.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub writes: OneOrMany<WritesFile>,
    /// Tags, for rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<At<String>>,
    /// One check that must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<At<OneCheck>>,
    /// Checks that must all hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_all: Option<At<Vec<At<String>>>>,
    /// Alternatives: one of the keys must hold, with all checks of its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_any: Option<At<BTreeMap<String, OneOrMany<String>>>>,
    /// Scopes that are all needed (R21).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<At<Vec<At<String>>>>,
    /// Whether somebody may act on the subject's behalf. Default `refuse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actors: Option<Actors>,
    /// The data that checks may read (R24). Path parameters need not be declared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, At<DataFile>>,
    /// `METHOD /path/{parameter}`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub http: OneOrMany<String>,
    /// `package.Service/Method`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub grpc: OneOrMany<String>,
    /// The name of a message.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub websocket: OneOrMany<String>,
    /// The words of a command.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub cli: OneOrMany<String>,
    /// The name of a tool.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub mcp: OneOrMany<String>,
    /// The name of a queue.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub queue: OneOrMany<String>,
    /// The name of a schedule.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub schedule: OneOrMany<String>,
    /// The name of a procedure.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub rpc: OneOrMany<String>,
    /// Targets on wires of the app's own, by the wire's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom: BTreeMap<String, OneOrMany<String>>,
    /// Not in this build.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub middleware: Option<NotInThisBuild>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_site: Option<NotInThisBuild>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<NotInThisBuild>,
}

/// One declared field of data: its type, and where each wire has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Its type, as `string`, `int`, `bool` or `list(string)`.
    #[serde(rename = "type")]
    pub kind: At<String>,
    /// On HTTP: `path.NAME`, `query.NAME` or `body.PATH`. Default: the path parameter of its own
    /// name, else `body.` and its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<At<String>>,
    /// In a gRPC message: a path of fields. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<At<String>>,
    /// In a WebSocket message, as `payload.book_id`. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<At<String>>,
    /// Of a command: the name of an option or argument. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cli: Option<At<String>>,
    /// In a tool call, as `arguments.book_id`. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<At<String>>,
    /// In a queue message. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<At<String>>,
    /// In a schedule's payload. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<At<String>>,
    /// In a procedure's arguments. Default: its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc: Option<At<String>>,
}

fn is_empty<T>(list: &OneOrMany<T>) -> bool {
    list.is_empty()
}
