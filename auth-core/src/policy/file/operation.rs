//! What a policy file may say of operations, and of the rules over them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OneCheck;
use crate::policy::scalar::{At, NotInThisBuild, OneOrMany, Span};

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

/// Whether pages of other sites may have a browser make state-changing calls (SECURITY C-06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CrossSite {
    /// No.
    #[default]
    Refuse,
    /// Yes: the app tells good from bad by itself, as by the `state` of a sign-in elsewhere.
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
    /// Whether pages of other sites may have a browser call it over HTTP, with our cookie or to
    /// sign in. Default `refuse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_site: Option<At<CrossSite>>,
    /// Which pages of other origins may call it over HTTP. Default: what the app says; an empty
    /// list of origins is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<At<CorsFile>>,
}

/// Which pages of other origins may call (CORS; Fetch section 3.2).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsFile {
    /// Origins, as `https://web.example` or `http://localhost:8080`; or `*` alone, for all, which
    /// goes without credentials.
    pub origins: Vec<At<String>>,
    /// Whether they may send our cookie and read the answer. Default: no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credentials: bool,
    /// The headers that they may send, beside those that every page may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<At<String>>,
    /// The headers of an answer that they may read, beside those that every page may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose: Vec<At<String>>,
    /// How long a browser need not ask again. Default: as the browser has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<At<Span>>,
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
