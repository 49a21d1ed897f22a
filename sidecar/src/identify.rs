//! Who asks: a unix socket's peer by user id, a client of TLS by its certificate, anybody by the
//! token of a configured file (R25).
//!
//! What is found goes into the extensions of the request, as [`Identified`];
//! [`access`](crate::edge::access) holds the caller to its grants.

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use auth_core::{
    caller::Caller,
    grammar::{Authorization, authorization_values},
    policy::{
        diagnostic::{Diagnostic, PolicyError},
        settings::CallerSettings,
    },
    session::TokenHash,
};
use aws_lc_rs::constant_time;
use http::{HeaderMap, Request, header::AUTHORIZATION};

use crate::{
    edge::access::{Identified, Transport},
    listener::Peer,
    tls::peer::PeerCertificate,
};

/// The shortest token of a caller, in bytes.
pub const MIN_TOKEN_BYTES: usize = 32;
/// The longest token of a caller, in bytes.
pub const MAX_TOKEN_BYTES: usize = 1024;

/// What is known of the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// As the system knows it.
    pub peer: Peer,
    /// Its certificate, which the handshake has verified.
    pub certificate: Option<Arc<PeerCertificate>>,
}

impl Connected {
    /// A connection without a certificate, or none yet.
    #[must_use]
    pub const fn without_certificate(peer: Peer) -> Self {
        Self {
            peer,
            certificate: None,
        }
    }
}

/// Finds callers; one for each listener.
pub trait Identify: Clone + Send + Sync + 'static {
    /// Puts what is known of the caller into the extensions of the request.
    fn identify<B>(&self, from: &Connected, request: &mut Request<B>);

    /// Whether requests of this connection are looked at at all: asked after a handshake of TLS, and
    /// again for each request, since a reload may change the answer.
    fn admits(&self, _from: &Connected) -> bool {
        true
    }
}

/// A listener whose requests nobody is asked for. Where they come from is told, by address and by
/// certificate.
#[derive(Clone, Copy, Debug)]
pub struct Anybody;

impl Identify for Anybody {
    fn identify<B>(&self, from: &Connected, request: &mut Request<B>) {
        let extensions = request.extensions_mut();
        if let Peer::Tcp(address) = from.peer {
            extensions.insert(axum::extract::ConnectInfo(address));
        }
        if let Some(certificate) = &from.certificate {
            extensions.insert(Arc::clone(certificate));
        }
    }
}

/// Which listener a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// For services.
    Data,
    /// For operators: the user of this process, and root, may do everything here.
    Admin,
}

/// Finds callers among those configured, who may change with a reload.
#[derive(Clone, Debug)]
pub struct Callers {
    door: Door,
    known: Arc<ArcSwap<KnownCallers>>,
}

impl Callers {
    /// Finds callers of this listener.
    #[must_use]
    pub const fn new(door: Door, known: Arc<ArcSwap<KnownCallers>>) -> Self {
        Self { door, known }
    }
}

impl Identify for Callers {
    fn identify<B>(&self, from: &Connected, request: &mut Request<B>) {
        let found = self.known.load().find(self.door, from, request.headers());
        if let Some(identified) = found {
            request.extensions_mut().insert(identified);
        }
    }
}

/// A listener for one client alone: over TLS it must present the certificate that names this caller.
#[derive(Clone, Debug)]
pub struct Certified {
    /// The name of the caller; `None` lets in everybody.
    pub(crate) caller: Option<Arc<str>>,
    pub(crate) known: Arc<ArcSwap<KnownCallers>>,
}

impl Identify for Certified {
    fn identify<B>(&self, from: &Connected, request: &mut Request<B>) {
        Anybody.identify(from, request);
    }

    fn admits(&self, from: &Connected) -> bool {
        let Some(wanted) = &self.caller else {
            return true;
        };
        let known = self.known.load();
        let found = known.by_certificate(from);
        let is_admitted = found.is_some_and(|caller| caller.name == *wanted);
        if !is_admitted {
            let certificate = from.certificate.as_deref();
            tracing::warn!(
                target: "audit",
                event = "authn_login_fail",
                why = "client_certificate",
                caller = %wanted,
                identity = certificate.map(|certificate| &*certificate.identity),
                "security event"
            );
        }
        is_admitted
    }
}

/// The configured callers, by what tells them apart.
pub struct KnownCallers {
    by_uid: HashMap<u32, Arc<Caller>>,
    by_token: Vec<(TokenHash, Arc<Caller>)>,
    by_identity: HashMap<String, Arc<Caller>>,
    operators: HashMap<u32, Arc<Caller>>,
}

impl KnownCallers {
    /// Reads the token files of the callers. `own_uid` is the user that this process runs as.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with a token file: it cannot be read, others than its owner may read
    /// it, its token is too short, or it is another caller's token as well.
    pub fn load(callers: &[CallerSettings], own_uid: u32) -> Result<Self, PolicyError> {
        let mut known = Self {
            by_uid: HashMap::new(),
            by_token: Vec::new(),
            by_identity: HashMap::new(),
            operators: [0, own_uid]
                .into_iter()
                .map(|uid| (uid, Arc::new(Caller::operator(&format!("uid:{uid}")))))
                .collect(),
        };
        for settings in callers {
            if let Some(uid) = settings.uid {
                known.by_uid.insert(uid, Arc::clone(&settings.caller));
            }
            if let Some(identity) = &settings.identity {
                let caller = Arc::clone(&settings.caller);
                known.by_identity.insert(identity.clone(), caller);
            }
            if let Some(path) = &settings.token_file {
                let hash = read_token(path).map_err(|why| fault(path, why))?;
                if let Some(other) = known.by_hash(&hash) {
                    let why = format!("the token is also that of caller `{}`", other.name);
                    return Err(fault(path, why).into());
                }
                known.by_token.push((hash, Arc::clone(&settings.caller)));
            }
        }
        Ok(known)
    }

    /// The caller of a request, and how it is connected. A presented token decides, good or bad;
    /// there is no falling back to the user id or the certificate.
    #[must_use]
    pub fn find(&self, door: Door, from: &Connected, headers: &HeaderMap) -> Option<Identified> {
        let presented = headers.get_all(AUTHORIZATION).iter();
        let caller = match authorization_values(presented.map(http::HeaderValue::as_bytes)) {
            Authorization::Bearer(token) => self.by_hash(&TokenHash::of(token.as_bytes())).cloned(),
            Authorization::Absent => self.by_peer(door, from),
            _ => None,
        }?;
        let is_certified = || {
            let certified = self.by_certificate(from);
            certified.is_some_and(|certified| certified.name == caller.name)
        };
        let transport = match from.peer {
            Peer::Unix { .. } => Transport::Unix,
            Peer::Tcp(_) if is_certified() => Transport::MutualTls,
            Peer::Tcp(_) => Transport::Tcp,
        };
        Some(Identified { caller, transport })
    }

    /// The caller that the certificate of a connection names.
    fn by_certificate(&self, from: &Connected) -> Option<&Arc<Caller>> {
        let certificate = from.certificate.as_ref()?;
        self.by_identity.get(&*certificate.identity)
    }

    fn by_peer(&self, door: Door, from: &Connected) -> Option<Arc<Caller>> {
        let Peer::Unix { uid } = from.peer else {
            return self.by_certificate(from).cloned();
        };
        let operator = match door {
            Door::Admin => self.operators.get(&uid),
            Door::Data => None,
        };
        operator.or_else(|| self.by_uid.get(&uid)).cloned()
    }

    /// All are compared, each in constant time.
    fn by_hash(&self, hash: &TokenHash) -> Option<&Arc<Caller>> {
        let same = |known: &TokenHash| {
            constant_time::verify_slices_are_equal(known.as_bytes(), hash.as_bytes()).is_ok()
        };
        let step = |found, (known, caller)| if same(known) { Some(caller) } else { found };
        let known = self.by_token.iter().map(|(known, caller)| (known, caller));
        known.fold(None, step)
    }
}

impl fmt::Debug for KnownCallers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.by_token.iter().map(|(_, caller)| &caller.name);
        f.debug_struct("KnownCallers")
            .field("by_uid", &self.by_uid)
            .field("by_token", &names.collect::<Vec<_>>())
            .field("by_identity", &self.by_identity)
            .finish_non_exhaustive()
    }
}

/// The hash of the token in a file.
fn read_token(path: &Path) -> Result<TokenHash, String> {
    Ok(TokenHash::of(token_text(path)?.as_bytes()))
}

/// The token in a file, which nobody but its owner may read.
pub(crate) fn token_text(path: &Path) -> Result<String, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let cannot = |err: std::io::Error| format!("the token file cannot be read: {err}");
    let mode = std::fs::metadata(path)
        .map_err(cannot)?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "others may read the token file (mode {mode:03o}); run `chmod 600` on it"
        ));
    }
    let text = std::fs::read(path).map_err(cannot)?;
    let token = text.trim_ascii_end();
    if token.len() < MIN_TOKEN_BYTES || token.len() > MAX_TOKEN_BYTES {
        return Err(format!(
            "the token has {} bytes; it must have {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES}",
            token.len()
        ));
    }
    let header = [b"Bearer ", token].concat();
    if !matches!(authorization_values([&*header]), Authorization::Bearer(_)) {
        return Err("the token holds characters that a bearer token cannot have".to_owned());
    }
    Ok(String::from_utf8_lossy(token).into_owned())
}

fn fault(path: &Path, message: String) -> Diagnostic {
    Diagnostic {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        length: 0,
        message,
        help: Some("`openssl rand -hex 32` makes a good token".to_owned()),
        source_line: String::new(),
    }
}
