//! Where to listen, and whom to trust.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP; port 0 picks one.
    Tcp(SocketAddr),
}

impl Address {
    /// Reads `unix:PATH`, `IP:PORT` or `localhost:PORT`; a relative path is taken from `folder`.
    ///
    /// # Errors
    ///
    /// Says what is wrong, in words for a diagnostic.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.contains('\0') {
                return Err(format!("`{}` names no socket", text.escape_debug()));
            }
            return Ok(Self::Unix(join(folder, path)));
        }
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        numeric
            .parse()
            .map(Self::Tcp)
            .map_err(|_| format!("`{}` is no address", text.escape_debug()))
    }

    /// Whether only processes on this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => is_loopback(address.ip()),
        }
    }
}

/// As the policy file has it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// The path as seen from `folder`, without parts that say nothing (`./`).
pub(super) fn join(folder: &Path, path: impl AsRef<Path>) -> PathBuf {
    folder.join(path).components().collect()
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
