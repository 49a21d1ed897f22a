//! The platform's part of the policy: where to listen, where sessions are kept and for how long,
//! who may ask.
//!
//! It is read from the main file alone. Scalars can be overridden by the environment
//! (`SIDEGATE__SESSIONS__IDLE=30m`, or `..._FILE` for the name of a file with the value); this
//! module is handed the variables and does not read them itself.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    diagnostic::{Diagnostic, PolicyError},
    file::{LogFormat, PolicyFile, SessionsFile, StoreFile},
    platform,
    scalar::{At, Span},
    source::Document,
};
use crate::{assertion::AssertionSettings, caller::Caller, store::SubjectLimit};

mod address;
mod callers;
mod environment;
mod faults;
mod lack;
mod listen;
mod network;
mod proxy;
mod remote;
#[cfg(test)]
mod tests;
mod tls;

pub use address::Address;
pub use lack::{Lack, Lacking};
pub use network::{Network, NetworkError};

pub use crate::engine::SessionLimits;
use address::join;
use faults::Faults;

/// The folder for data beside the main file, when nothing else is said.
pub const DEFAULT_DATA_DIR: &str = ".sidegate";
/// The longest lifetime of a session.
pub const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest overlap of keys.
const MAX_OVERLAP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The platform's part, validated. All paths are as they can be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where sockets, keys and the embedded store lie by default.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// The Sidegate that decides in place of this one.
    pub remote: Option<Remote>,
    /// Where sessions are kept.
    pub store: StoreChoice,
    /// The limits of sessions.
    pub sessions: SessionLimits,
    /// Signing and sealing keys.
    pub keys: Keys,
    /// Logs.
    pub telemetry: Telemetry,
    /// The processes that may ask.
    pub callers: Vec<CallerSettings>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// gRPC.
    pub grpc: Vec<Address>,
    /// The same API as JSON over HTTP.
    pub http: Vec<Address>,
    /// Administration: the path of a unix socket.
    pub admin: PathBuf,
    /// `/livez`, `/readyz` and `/metrics`.
    pub telemetry: Address,
    /// Forward-auth for proxies.
    pub forward_auth: Option<ForwardAuth>,
    /// A reverse proxy in front of an app.
    pub proxy: Option<Proxy>,
    /// Envoy's external authorization.
    pub envoy: Option<Envoy>,
    /// Host names under which the HTTP listener answers, beside loopback names.
    pub hosts: Vec<String>,
    /// Origins that may call the HTTP listener from a browser.
    pub origins: Vec<String>,
    /// TLS for the TCP addresses of gRPC, HTTP, forward-auth and Envoy.
    pub tls: Option<Tls>,
    /// What its edges cannot supply to checks.
    pub lacks: Vec<Lack>,
}

/// What a listener needs to speak TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The file of the certificate, and behind it those that lead to its authority.
    pub certificate: PathBuf,
    /// The file of its private key, readable by its owner alone.
    pub key: PathBuf,
    /// The file of those who sign the certificates of clients; without it no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// Forward-auth for proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardAuth {
    /// Where it listens.
    pub address: Address,
    /// The proxies that may ask.
    pub trusted_proxies: Vec<Network>,
    /// The caller on whose behalf they ask.
    pub caller: Arc<Caller>,
    /// Where browsers that must sign in are sent.
    pub login: Option<String>,
}

/// Another Sidegate, which decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its gRPC address.
    pub address: RemoteAddress,
    /// The file with the token by which it knows this process.
    pub token_file: Option<PathBuf>,
}

/// Where another Sidegate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteAddress {
    /// On this machine, in the clear.
    Local(Address),
    /// Anywhere, over TLS.
    Tls(RemoteTls),
}

/// How another Sidegate is asked over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteTls {
    /// Host and port.
    pub authority: String,
    /// The file of the authorities that vouch for it.
    pub ca: PathBuf,
    /// The files of the certificate by which it knows this process, and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// As the policy file has it.
impl std::fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(address) => address.fmt(f),
            Self::Tls(tls) => write!(f, "https://{}", tls.authority),
        }
    }
}

/// A reverse proxy in front of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it listens.
    pub address: Address,
    /// The host and port of the app, which speaks plain HTTP.
    pub upstream: String,
    /// The caller on whose behalf it asks, and writes sessions.
    pub caller: Arc<Caller>,
    /// The proxies in front of it that are believed.
    pub trusted_proxies: Vec<Network>,
    /// Where browsers that must sign in are sent.
    pub login: Option<String>,
    /// Whether the app sees the credentials that a strategy reads.
    pub passes_credentials: bool,
    /// How long the app, and a client in the middle of a body, may be silent.
    pub timeout: Duration,
    /// The longest body of a request, in bytes.
    pub max_body_bytes: Option<u64>,
    /// What a signed statement for the app says of itself.
    pub assertion: Option<AssertionSettings>,
    /// TLS for clients.
    pub tls: Option<Tls>,
}

/// Envoy's external authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envoy {
    /// Where it listens.
    pub address: Address,
    /// The caller on whose behalf Envoy asks.
    pub caller: Arc<Caller>,
    /// Whether a call that could not be decided is answered as an error, which may fail open.
    pub error_response: bool,
    /// Whether an Envoy that asks over TCP must present the certificate that names the caller.
    pub needs_certificate: bool,
}

/// Where sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// In SQLite, in this folder.
    Embedded(PathBuf),
    /// In memory: nothing survives a stop.
    Memory,
}

/// Signing and sealing keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Their folder.
    pub dir: PathBuf,
    /// How long an old key stays good after a new one took over.
    pub overlap: Duration,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The form of the logs; `None` is text on a terminal, else JSON.
    pub log: Option<LogFormat>,
    /// Which logs to write.
    pub log_filter: String,
    /// One allow in this many is logged.
    pub log_one_allow_in: NonZeroU32,
}

/// A process that may ask, and how it is known (R25).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerSettings {
    /// What it may do.
    pub caller: Arc<Caller>,
    /// The file that holds its token.
    pub token_file: Option<PathBuf>,
    /// The user id that names it on a unix socket.
    pub uid: Option<u32>,
    /// What the certificate names that names it over TLS.
    pub identity: Option<String>,
}

impl Settings {
    /// Reads the platform's part of these documents, of which the first is the main one.
    ///
    /// `data_dir` takes the place of what the file says, or of [`DEFAULT_DATA_DIR`] beside it.
    /// `environment` may hold any variables; only those named `SIDEGATE__...` are looked at.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong, with its place.
    pub fn from_documents(
        documents: &[Document],
        data_dir: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, PolicyError> {
        let empty = Document {
            path: PathBuf::new(),
            text: String::new(),
            file: PolicyFile::default(),
        };
        let main = documents.first().unwrap_or(&empty);
        let mut file = main.file.clone();
        let mut faults = Faults::new(main);
        for document in documents.iter().skip(1) {
            platform::misplaced(document)
                .into_iter()
                .for_each(|fault| faults.push(fault));
        }
        environment::apply(&mut file, environment, &mut faults);

        let folder = main.path.parent().unwrap_or(Path::new(""));
        let data_dir = data_folder(&file, folder, data_dir);
        let callers = callers::read(&file, folder, &mut faults);
        let settings = Self {
            listen: listen::read(&file, folder, &data_dir, &callers, &mut faults),
            remote: remote::read(&file, folder, &mut faults),
            store: store(&file, &data_dir),
            sessions: sessions(&file.sessions.clone().unwrap_or_default(), &mut faults),
            keys: keys(&file, folder, &data_dir, &mut faults),
            telemetry: telemetry(&file, &mut faults),
            callers,
            data_dir,
        };
        faults.into_result(settings)
    }
}

fn data_folder(file: &PolicyFile, folder: &Path, given: Option<&Path>) -> PathBuf {
    match (given, &file.store) {
        (Some(given), _) => given.to_owned(),
        (None, Some(StoreFile::Embedded(embedded))) => join(folder, &*embedded.path.value),
        (None, _) => join(folder, DEFAULT_DATA_DIR),
    }
}

fn store(file: &PolicyFile, data_dir: &Path) -> StoreChoice {
    match &file.store {
        // Whoever does not decide keeps nothing.
        _ if file.decide.is_some() => StoreChoice::Memory,
        Some(StoreFile::Memory(_)) => StoreChoice::Memory,
        None | Some(StoreFile::Embedded(_)) => StoreChoice::Embedded(data_dir.to_owned()),
        Some(StoreFile::Redis(absent) | StoreFile::Postgres(absent)) => match *absent {},
    }
}

fn keys(file: &PolicyFile, folder: &Path, data_dir: &Path, faults: &mut Faults<'_>) -> Keys {
    let keys = file.keys.clone().unwrap_or_default();
    let overlap = keys.overlap.map_or(24 * HOUR, |at| {
        if at.value.0 > MAX_OVERLAP {
            faults.add("keys.overlap", &at, "the overlap is at most `365d`", None);
        }
        at.value.0
    });
    Keys {
        dir: keys
            .dir
            .map_or_else(|| data_dir.join("keys"), |dir| join(folder, dir.value)),
        overlap,
    }
}

fn telemetry(file: &PolicyFile, faults: &mut Faults<'_>) -> Telemetry {
    let telemetry = file.telemetry.clone().unwrap_or_default();
    let every = telemetry.log_one_allow_in.unwrap_or(At::nowhere(1));
    let log_one_allow_in = NonZeroU32::new(every.value).unwrap_or_else(|| {
        let help = "write `1` to log every allow; refusals are always logged";
        let message = "one allow in `0` cannot be logged";
        faults.add("telemetry.log_one_allow_in", &every, message, Some(help));
        NonZeroU32::MIN
    });
    Telemetry {
        log: telemetry.log,
        log_filter: telemetry
            .log_filter
            .map_or_else(|| "info".to_owned(), |filter| filter.value),
        log_one_allow_in,
    }
}

fn sessions(file: &SessionsFile, faults: &mut Faults<'_>) -> SessionLimits {
    let defaults = SessionLimits::default();
    let lifetime = file.lifetime.map_or(defaults.lifetime, |at| at.value.0);
    if let Some(at) = file.lifetime
        && (lifetime.is_zero() || lifetime > MAX_LIFETIME)
    {
        let message = format!("a lifetime of `{}` is out of range", at.value);
        let help = "a session lasts more than `0s` and at most `30d`";
        faults.add("sessions.lifetime", &at, &message, Some(help));
    }
    let within = |at: Option<At<Span>>, default: Duration| match at {
        // A default never stands in the way of a short lifetime.
        None => (default.min(lifetime), None),
        Some(at) => (at.value.0, (at.value.0 > lifetime).then_some(at)),
    };
    let (idle, bad_idle) = within(file.idle, defaults.idle);
    let (renew, bad_renew) = within(file.renew, 6 * HOUR);
    for (key, bad) in [("sessions.idle", bad_idle), ("sessions.renew", bad_renew)] {
        if let Some(at) = bad {
            let (asked, lifetime) = (at.value, Span(lifetime));
            let message = format!("`{asked}` is longer than the lifetime, which is `{lifetime}`");
            let help = format!("write at most `{lifetime}`, or a longer `lifetime`");
            faults.add(key, &at, &message, Some(&help));
        }
    }
    if let Some(at) = file.idle.filter(|at| at.value.0.is_zero()) {
        let message = "a session that may not stay unused at all is of no use";
        let help = "write a longer time, as `1h`";
        faults.add("sessions.idle", &at, message, Some(help));
    }
    SessionLimits {
        lifetime,
        idle,
        renew: (!renew.is_zero()).then_some(renew),
        per_subject: per_subject(file, faults),
    }
}

fn per_subject(file: &SessionsFile, faults: &mut Faults<'_>) -> Option<SubjectLimit> {
    let max = file.max_per_subject?;
    if max.value == 0 {
        let message = "with at most `0` sessions nobody could sign in";
        let help = "write at least `1`, or leave the key out for no limit";
        faults.add("sessions.max_per_subject", &max, message, Some(help));
    }
    Some(SubjectLimit {
        max: max.value,
        beyond: file.beyond_limit.unwrap_or_default(),
    })
}

/// A diagnostic about no file.
fn outside(place: String, message: String, help: Option<String>) -> Diagnostic {
    Diagnostic {
        file: place,
        line: 0,
        column: 0,
        length: 0,
        message,
        help,
        source_line: String::new(),
    }
}
