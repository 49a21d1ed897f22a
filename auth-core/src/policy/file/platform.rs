//! What a policy file may say of the platform: listeners, store, limits, callers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    caller::Grant,
    policy::scalar::{At, NotInThisBuild, OneOrMany, Span},
    store::BeyondLimit,
};

/// Where to listen: `unix:PATH` or `IP:PORT` (port 0 picks one). Beyond the loopback an address needs
/// TLS.
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
    /// Forward-auth for nginx, Traefik, Caddy and others, over plain HTTP. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_auth: Option<ForwardAuthFile>,
    /// Envoy's external authorization over gRPC (`ext_authz` v3). Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envoy: Option<EnvoyFile>,
    /// Host names under which the HTTP listener answers. Default: loopback names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<At<String>>,
    /// Origins that may call the HTTP listener from a browser. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<At<String>>,
    /// TLS for every TCP address of `grpc`, `http`, `forward_auth` and `envoy`, which are then no
    /// longer served in the clear. Default: none, and loopback addresses alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFile>,
    /// A reverse proxy in front of an app. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyFile>,
}

/// What a listener needs to speak TLS 1.2 and 1.3. The files are PEM, relative to the policy file, and
/// read again when they change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// The certificate, and behind it those that lead to its authority.
    pub certificate: At<String>,
    /// The private key of the certificate, readable by its owner only.
    pub key: At<String>,
    /// The authorities whose clients are known by their certificates. Such a client is what its
    /// certificate names: its SPIFFE id, else its first DNS name. A client may come without one, and
    /// is turned away with a wrong one. Default: no client is asked for a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<At<String>>,
}

/// A reverse proxy: lets through to the app what the policy allows, tells the app who calls, and
/// keeps what the app's answers change in the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyFile {
    /// Where it listens.
    pub address: At<String>,
    /// The app, as `http://HOST:PORT`.
    pub upstream: At<String>,
    /// The caller on whose behalf it asks, and writes sessions.
    pub caller: At<String>,
    /// The proxies in front of it whose `X-Forwarded-For` and `-Proto` are believed, as addresses or
    /// networks. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<At<String>>,
    /// Where browsers that must sign in are sent: a path of the app, or an `https://` URL. Default:
    /// nowhere, they get 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<At<String>>,
    /// What becomes of the credentials that a strategy reads. Default: `strip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PassedCredentials>,
    /// How long the app, and a client in the middle of a body, may be silent. Default: `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<At<Span>>,
    /// The longest body of a request, in bytes; longer ones get 413. Default: none, bodies are
    /// streamed. What a check reads of one is at most 64 KiB in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<At<u64>>,
    /// A signed statement for the app of who calls, in `Sidegate-Assertion`; its keys are at
    /// `/.well-known/jwks.json`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion: Option<AssertionFile>,
    /// TLS for clients; `listen.tls` is not for them. Default: none, and a loopback address alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFile>,
    /// Operations that may be called over gRPC here although a check of theirs reads the message,
    /// which nobody can read here: here such a check never holds. Any other operation with such a
    /// check is an error. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_message: Vec<At<String>>,
    /// Operations that may be asked about here although a check of theirs reads `workload`, of which
    /// nobody tells here: `workload.identity` is then `null`, so that a check with `!=`
    /// holds. Any other operation with such a check is an error, where no `tls.client_ca` is. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_peer: Vec<At<String>>,
}

/// A signed statement for the app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertionFile {
    /// Whom it is for: what the app expects as `aud`.
    pub audience: At<String>,
    /// Who issues it, its `iss`. Default: `sidegate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<At<String>>,
    /// How long it is good. Default: `60s`; at most `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<At<Span>>,
}

/// What becomes of credentials on the way to the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassedCredentials {
    /// The app does not see those that a strategy reads.
    #[default]
    Strip,
    /// It sees all.
    Pass,
}

/// Forward-auth: an endpoint for each kind of proxy, as `/forward-auth/nginx`, `/forward-auth/traefik`
/// and `/forward-auth/caddy`, and a plain one at `/forward-auth`. No client certificate comes this
/// way: a header that tells of one is not read, so that nothing bound to one opens here (T-25).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardAuthFile {
    /// Where it listens.
    pub address: At<String>,
    /// The proxies that may ask, as addresses or networks. Nobody else is believed.
    pub trusted_proxies: Vec<At<String>>,
    /// The caller on whose behalf the proxies ask.
    pub caller: At<String>,
    /// Where browsers that must sign in are sent: a path of the app, or an `https://` URL. Default:
    /// nowhere, they get 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<At<String>>,
    /// Operations that may be asked about here although a check of theirs reads the body, which no
    /// proxy hands over: here such a check never holds. Any other operation with such a check is an
    /// error. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_body: Vec<At<String>>,
    /// Operations that may be asked about here although a check of theirs reads `workload`, of which
    /// nobody tells here: `workload.identity` is then `null`, so that a check with `!=`
    /// holds. Any other operation with such a check is an error. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_peer: Vec<At<String>>,
}

/// Envoy's external authorization.
///
/// What Envoy's configuration says of a route in `context_extensions` holds the answer: `operation`
/// names the operation that it is for, `tags` tags (with commas between) that the operation has.
/// A request that reaches another operation is refused; neither ever lets one pass. A check reads a
/// body where the route has `with_request_body: { allow_partial_message: true }`; what is longer than
/// 64 KiB, or was cut, is refused with 413, and what has no `Content-Length` with 411: it could be a
/// beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvoyFile {
    /// Where it listens.
    pub address: At<String>,
    /// The caller on whose behalf Envoy asks. What Envoy says of a client's certificate counts only
    /// if it may `peer.assert`. If it has an `identity`, an Envoy that asks over TCP must present the
    /// certificate of that identity; beyond the loopback it must have one.
    pub caller: At<String>,
    /// Whether a call that could not be decided is answered as an error, which Envoy lets pass
    /// where it is told `failure_mode_allow: true`. Default `false`: a refusal with status 503.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub error_response: bool,
    /// Operations that may be called over gRPC here although a check of theirs reads the message,
    /// which nobody can read here: here such a check never holds. Any other operation with such a
    /// check is an error. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_message: Vec<At<String>>,
    /// Operations that may be asked about here although a check of theirs reads `workload`, of which
    /// nobody is believed here: `workload.identity` is then `null`, so that a check with `!=`
    /// holds. Any other operation with such a check is an error, where the caller may not
    /// `peer.assert`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_peer: Vec<At<String>>,
}

/// Where decisions are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecideFile {
    /// By another Sidegate. This one serves edges only: it has no operations and keeps no sessions.
    Remote(RemoteFile),
}

/// Another Sidegate, asked over gRPC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// Its gRPC address: `unix:PATH`, `IP:PORT` (loopback only) or `https://HOST:PORT`.
    pub address: At<String>,
    /// The file with the token by which it knows this process, needed over TCP where no certificate
    /// names it. Its caller there needs `authorize` and, for apps that write sessions,
    /// `session.self`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<At<String>>,
    /// The PEM file of the authorities that vouch for it, needed with `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<At<String>>,
    /// The PEM file of the certificate by which it knows this process, with `https://`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<At<String>>,
    /// The PEM file of that certificate's private key, readable by its owner only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<At<String>>,
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
    /// What the client certificate names that names it over TLS: the SPIFFE id, as
    /// `spiffe://shop.example/checkout`, of a certificate that has one, else its first DNS name.
    /// Needs `client_ca` in `listen.tls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<At<String>>,
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
