//! Case files: calls and the answers they must get, as data.
//!
//! A file names a policy, says what is there before the first call, and lists cases. It is read by
//! people first, so every key says what it means and an unknown one is an error.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use auth_core::{
    principal::Principal,
    session::{JsonObject, TokenHash},
    wire::{
        Attribute, Call, Credential, CredentialSource, Deliverable, Peer, SessionView, WireKind,
    },
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// The folder of the case files.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// Where it stands.
    #[serde(skip)]
    pub path: PathBuf,
    /// The text of a policy file, or the name of one in `policies/`. Optional where only `refused`
    /// is there.
    #[serde(default)]
    pub policy: Option<String>,
    /// What is there before the first call.
    #[serde(default)]
    pub fixtures: Fixtures,
    /// Calls and their answers.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// Policy files that must not load.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// What is there before the first call. The clock stands still at 2027-01-15T08:00:00Z.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixtures {
    /// SQLite databases beside the policy file: the statements that make each.
    #[serde(default)]
    pub databases: BTreeMap<String, String>,
    /// Statements run on a database after the policy was loaded, to break look-ups.
    #[serde(default)]
    pub afterwards: BTreeMap<String, String>,
    /// Secret files beside the policy file.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Sessions, by the name that calls have for them.
    #[serde(default)]
    pub sessions: BTreeMap<String, SessionFixture>,
    /// API keys, by the name that calls have for them.
    #[serde(default)]
    pub keys: BTreeMap<String, KeyFixture>,
    /// Whether the store answers.
    #[serde(default)]
    pub store: StoreState,
}

/// Whether the store answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    /// It does.
    #[default]
    Up,
    /// It fails whatever it is asked.
    Down,
}

/// A session that was made before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionFixture {
    /// Who is signed in, as `u1` or `idp/u1`; nobody where it is left out.
    pub subject: Option<Principal>,
    /// Who acts on the subject's behalf.
    pub actor: Option<Principal>,
    /// Facts from the sign-in.
    #[serde(default)]
    pub claims: JsonObject,
    /// The app's own data.
    #[serde(default)]
    pub attributes: JsonObject,
    /// The scopes granted.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    #[serde(default)]
    pub all_scopes: bool,
    /// How strongly the subject proved who they are.
    pub acr: Option<String>,
    /// By which methods.
    #[serde(default)]
    pub amr: Vec<String>,
    /// What carries the token.
    #[serde(default)]
    pub kind: Kind,
    /// The cookie's name, where `kind` is `cookie`.
    #[serde(default = "default_cookie")]
    pub cookie: String,
    /// What has become of it.
    #[serde(default)]
    pub state: State,
    /// Whose it is.
    #[serde(default)]
    pub tenant: Option<String>,
}

fn default_cookie() -> String {
    "__Host-session".to_owned()
}

/// What carries a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A cookie.
    #[default]
    Cookie,
    /// `Authorization: Bearer`.
    Bearer,
}

/// What has become of a session or key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is good.
    #[default]
    Live,
    /// Its lifetime is over.
    Expired,
    /// It was not used for too long.
    Idle,
    /// An operator revoked it.
    Revoked,
    /// Its user logged out.
    LoggedOut,
    /// A new sign-in took its place.
    Replaced,
    /// It lives on under a newer token; this one is the old one.
    Superseded,
    /// All of its subject's sessions were revoked.
    SubjectRevoked,
    /// It was never issued.
    Unknown,
}

/// An API key that was made before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFixture {
    /// For whom it acts.
    pub subject: Principal,
    /// Facts about the holder.
    #[serde(default)]
    pub claims: JsonObject,
    /// The scopes granted.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    #[serde(default)]
    pub all_scopes: bool,
    /// What has become of it.
    #[serde(default)]
    pub state: State,
    /// The header that carries it.
    #[serde(default = "default_header")]
    pub header: String,
}

fn default_header() -> String {
    "x-api-key".to_owned()
}

/// One case: a call and its answer, or several steps one after the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The rule, a colon, and what it says here.
    pub name: String,
    /// The call.
    pub call: Option<CallFile>,
    /// What the answer must be. Keys that are left out are not looked at, but every front must
    /// answer them alike.
    pub expect: Option<Expect>,
    /// Steps, in place of a single call. They have fixtures of their own, made anew.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Fronts that cannot carry the case, beside those where that can be told from the call.
    #[serde(default)]
    pub not_on: Vec<String>,
}

/// One step of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A call.
    pub call: Option<CallFile>,
    /// A sign-in, with the handle of the last allowed call.
    pub sign_in: Option<SignInStep>,
    /// A change of attributes, with the handle of the last allowed call.
    pub patch: Option<PatchStep>,
    /// A log-out, with the handle of the last allowed call: `this`, `others` or `all`.
    pub clear: Option<String>,
    /// Reads the session, with the handle of the last allowed call.
    #[serde(default)]
    pub read: bool,
    /// Something that happens meanwhile.
    #[serde(rename = "do")]
    pub meanwhile: Option<Meanwhile>,
    /// The caller that sets, clears or reads; by default the one of the call.
    pub caller: Option<String>,
    /// What the answer must be.
    pub expect: Option<Expect>,
}

/// A sign-in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInStep {
    /// Who signs in.
    pub subject: Option<Principal>,
    /// Who acts on the subject's behalf.
    pub actor: Option<Principal>,
    /// Facts about the subject.
    #[serde(default)]
    pub claims: JsonObject,
    /// The app's own data.
    #[serde(default)]
    pub attributes: JsonObject,
    /// The scopes granted.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How long it may last, as `10m`.
    pub ttl: Option<String>,
    /// How much later than now the proof is said to be, as `5m`.
    #[serde(default)]
    pub auth_time_ahead: Option<String>,
    /// Whether no time of the proof is stated.
    #[serde(default)]
    pub no_auth_time: bool,
    /// The name for the new credential in later calls.
    pub keep: Option<String>,
    /// Names the request for retries.
    #[serde(default)]
    pub request_id: String,
}

/// A change of attributes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchStep {
    /// Keys to set.
    #[serde(default)]
    pub set: JsonObject,
    /// Keys to remove.
    #[serde(default)]
    pub remove: Vec<String>,
    /// The etag sent: `read` for the one of the last answer, `stale` for an old one; else none.
    #[serde(default)]
    pub etag: String,
    /// The name for the new credential in later calls, where one is made.
    pub keep: Option<String>,
}

/// Something that happens beside the calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meanwhile {
    /// Time passes, as `2h`.
    Advance(String),
    /// An operator revokes a session.
    Revoke(String),
    /// An operator revokes all sessions of a subject.
    RevokeSubject(Principal),
    /// An operator revokes everyone's sessions.
    RevokeAll(bool),
    /// An operator revokes an API key.
    RevokeKey(String),
    /// A service changes attributes by the session's id.
    Change {
        /// The session.
        session: String,
        /// Keys to set.
        set: JsonObject,
    },
    /// A service gives a session a new token; the name is that of the session and stays with the
    /// old token.
    Rotate(String),
}

/// A call: one wire with its target, and what goes with it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFile {
    /// `METHOD /target`, byte for byte.
    pub http: Option<String>,
    /// `package.Service/Method`.
    pub grpc: Option<String>,
    /// The path of a gRPC call, byte for byte.
    pub grpc_path: Option<String>,
    /// The name of a message.
    pub websocket: Option<String>,
    /// The words of a command.
    pub cli: Option<String>,
    /// The name of a tool.
    pub mcp: Option<String>,
    /// The name of a queue.
    pub queue: Option<String>,
    /// The name of a schedule.
    pub schedule: Option<String>,
    /// The name of a procedure.
    pub rpc: Option<String>,
    /// The name of a wire of the app's own, and a target on it.
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
    /// The host called. Default: `localhost` on HTTP, none elsewhere.
    pub host: Option<String>,
    /// The sessions and keys of the fixtures that are presented, each as its kind is.
    #[serde(rename = "as", default)]
    pub who: Names,
    /// Credentials as they stand: `authorization`, `cookie`, `envelope.NAME` or the name of a
    /// header, and the value, in which `${NAME}` is the secret of a fixture.
    #[serde(default)]
    pub credentials: Vec<BTreeMap<String, String>>,
    /// Further facts of the wire: each a name and a value, in which `${NAME}` is a secret as above, and
    /// `${NAME.csrf}` the CSRF token that was handed out with it.
    #[serde(default)]
    pub attributes: Vec<BTreeMap<String, String>>,
    /// The declared data.
    pub data: Option<Value>,
    /// The declared data, as text that may be no JSON.
    pub data_text: Option<String>,
    /// Whether the data is complete. Default: true.
    pub data_complete: Option<bool>,
    /// Whether there is a body that was not read yet; the data is then not complete.
    #[serde(default)]
    pub data_pending: bool,
    /// The address of the client.
    #[serde(default)]
    pub peer: String,
    /// The verified identity of the peer.
    #[serde(default)]
    pub identity: String,
    /// The certificate of the peer: a text that stands for its bytes.
    #[serde(default)]
    pub certificate: String,
    /// What the edge can deliver: `cookie`, `token`, `connection`. Default: cookies on HTTP.
    pub accepts: Option<Vec<String>>,
    /// Whether it is only asked.
    #[serde(default)]
    pub advisory: bool,
    /// Who asks: a caller of the policy. Default: one that may ask, sign in and read.
    pub caller: Option<String>,
    /// The tenant asked about. Default: the caller's own.
    pub tenant: Option<String>,
    /// In a step: the name, for later calls, of a credential that the answer hands out.
    pub keep: Option<String>,
}

/// One name or several.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// None.
    #[default]
    None,
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Names {
    /// The names.
    #[must_use]
    pub fn list(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// What an answer must be; what is left out is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The row of the table.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The operation; empty for none.
    pub operation: Option<String>,
    /// The first refusing requirement; empty for none.
    pub requirement: Option<String>,
    /// Its checks that did not hold.
    pub checks: Option<Vec<String>>,
    /// All scopes that are needed.
    pub required_scopes: Option<Vec<String>>,
    /// What became of the credential.
    pub credential: Option<String>,
    /// Who is signed in, as `local/u1`; empty for nobody.
    pub subject: Option<String>,
    /// The kinds of change of the wire.
    pub updates: Option<Vec<String>>,
    /// The challenges.
    pub challenges: Option<Vec<String>>,
    /// The headers for the response, names in lower case.
    pub response_headers: Option<BTreeMap<String, String>>,
    /// Whether the answer carries a handle for the session API.
    pub call: Option<bool>,
    /// The reason of an error about the caller's own request.
    pub error: Option<String>,
    /// How many sessions ended.
    pub ended: Option<u64>,
    /// The attributes of the session.
    pub attributes: Option<JsonObject>,
}

impl Expect {
    /// The facts that are asked for, by name.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<&'static str, Value> {
        let text = |value: &Option<String>| value.as_ref().map(|value| Value::from(value.clone()));
        let list =
            |value: &Option<Vec<String>>| value.as_ref().map(|value| Value::from(value.clone()));
        [
            ("outcome", text(&self.outcome)),
            ("reason", text(&self.reason)),
            ("operation", text(&self.operation)),
            ("requirement", text(&self.requirement)),
            ("checks", list(&self.checks)),
            ("required_scopes", list(&self.required_scopes)),
            ("credential", text(&self.credential)),
            ("subject", text(&self.subject)),
            ("updates", list(&self.updates)),
            ("challenges", list(&self.challenges)),
            (
                "response_headers",
                self.response_headers.as_ref().map(|headers| json!(headers)),
            ),
            ("call", self.call.map(Value::from)),
            ("error", text(&self.error)),
            // For fronts that are not told why.
            (
                "failed",
                self.error
                    .as_ref()
                    .map(|error| Value::from(!error.is_empty())),
            ),
            ("ended", self.ended.map(Value::from)),
            ("attributes", self.attributes.clone().map(Value::Object)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// A policy file that must not load.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The rule, a colon, and what it says here.
    pub name: String,
    /// The text of the file.
    pub policy: String,
    /// What the first error must be.
    pub expect_error: ExpectError,
}

/// What an error about a policy file must be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: Option<usize>,
    /// What the message contains.
    pub contains: String,
    /// What the help contains.
    pub help: Option<String>,
}

/// Reads all case files, sorted by name.
#[must_use]
pub fn load_all() -> Vec<CaseFile> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder())
        .expect("tests/cases can be read")
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| load(path)).collect()
}

/// Reads a case file.
///
/// # Panics
///
/// Panics when it is none.
#[must_use]
pub fn load(path: &Path) -> CaseFile {
    let text = fs::read_to_string(path).unwrap();
    let mut file: CaseFile =
        serde_saphyr::from_str(&text).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    file.path = path.to_owned();
    file
}

impl CaseFile {
    /// The name of the file, without its ending.
    #[must_use]
    pub fn name(&self) -> String {
        self.path
            .file_stem()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The text of the policy.
    #[must_use]
    pub fn policy_text(&self) -> String {
        let policy = self.policy.as_deref().unwrap_or_default();
        if policy.contains('\n') {
            return policy.to_owned();
        }
        let path = folder().join("policies").join(format!("{policy}.yaml"));
        fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
    }
}

impl CallFile {
    /// The wire, the method and the target.
    #[must_use]
    pub fn target(&self) -> (WireKind, String, String) {
        let named = [
            (WireKind::WebSocket, &self.websocket),
            (WireKind::Cli, &self.cli),
            (WireKind::Mcp, &self.mcp),
            (WireKind::Queue, &self.queue),
            (WireKind::Schedule, &self.schedule),
            (WireKind::Rpc, &self.rpc),
        ];
        let named = named
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, String::new(), name.clone()?)));
        let http = self.http.as_ref().map(|line| {
            let (method, target) = line.split_once(' ').expect("`http` is METHOD /target");
            (WireKind::Http, method.to_owned(), target.to_owned())
        });
        let grpc = self.grpc.as_ref().map(|path| {
            let path = if path.starts_with('/') {
                path.clone()
            } else {
                format!("/{path}")
            };
            (WireKind::Grpc, String::new(), path)
        });
        let raw = self.grpc_path.iter();
        let raw = raw.map(|path| (WireKind::Grpc, String::new(), path.clone()));
        let custom = self.custom.iter().map(|(wire, name)| {
            let kind = WireKind::parse(wire).expect("a custom wire has a name");
            (kind, String::new(), name.clone())
        });
        let mut all: Vec<_> = http
            .into_iter()
            .chain(grpc)
            .chain(raw)
            .chain(named)
            .chain(custom)
            .collect();
        assert_eq!(all.len(), 1, "a call has one wire: {self:?}");
        all.remove(0)
    }

    /// The call, with these credentials.
    #[must_use]
    pub fn call(&self, credentials: Vec<Credential>) -> Call {
        let (kind, method, target) = self.target();
        let is_http = kind == WireKind::Http;
        let host = self.host.clone();
        let accepts = self.accepts.clone();
        let accepts = accepts.unwrap_or(if is_http {
            vec!["cookie".to_owned()]
        } else {
            Vec::new()
        });
        let accepted = |name: &str| accepts.iter().any(|own| own == name);
        let data = match (&self.data, &self.data_text) {
            (Some(data), None) => data.to_string(),
            (None, Some(text)) => text.clone(),
            (None, None) => String::new(),
            (Some(_), Some(_)) => panic!("write one of `data` and `data_text`"),
        };
        Call {
            authority: host.unwrap_or_else(|| {
                let default = if is_http { "localhost" } else { "" };
                default.to_owned()
            }),
            credentials,
            peer: Peer {
                address: self.peer.clone(),
                identity: self.identity.clone(),
                certificate_sha256: match &*self.certificate {
                    "" => Bytes::new(),
                    text => Bytes::copy_from_slice(TokenHash::of(text.as_bytes()).as_bytes()),
                },
                ..Peer::default()
            },
            deliverable: Deliverable {
                cookie: accepted("cookie"),
                token: accepted("token"),
                connection: accepted("connection"),
            },
            attributes: self.attributes.iter().flatten().map(attribute).collect(),
            data_json: data.into(),
            data_complete: self.data_complete.unwrap_or(!self.data_pending),
            data_pending: self.data_pending,
            view: SessionView::Full,
            advisory: self.advisory,
            ..Call::new(kind, &method, &target)
        }
    }
}

fn attribute((name, value): (&String, &String)) -> Attribute {
    Attribute {
        name: name.clone(),
        value: value.clone().into(),
    }
}

/// A credential of a case file: where it stood, and its value.
#[must_use]
pub fn credential(place: &str, value: &str) -> Credential {
    let (source, name) = match place {
        "authorization" => (CredentialSource::Authorization, ""),
        "cookie" => (CredentialSource::Cookie, ""),
        place => match place.strip_prefix("envelope.") {
            Some(name) => (CredentialSource::Envelope, name),
            None => (CredentialSource::Header, place),
        },
    };
    Credential {
        source,
        name: name.to_owned(),
        value: value.to_owned().into(),
    }
}
