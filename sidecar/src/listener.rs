//! Sockets: bound before anything is served, and told apart by who may connect.
//!
//! A stale unix socket file is removed only when nobody listens on it.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use auth_core::policy::settings::Address;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::tls::running::RunningTls;

/// The other end of a connection, as the system knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this user, over a unix socket.
    Unix {
        /// The user id.
        uid: u32,
    },
    /// Somebody at this address.
    Tcp(SocketAddr),
}

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error("`{0}` is in use: another process listens there; stop it or choose another address")]
    InUse(Address),
    /// The file is no socket, so it is left alone.
    #[error("`{0}` exists and is no socket; remove it or choose another path")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("`{address}` could not be listened on")]
    Io {
        /// Where.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket, whose file goes when it is dropped.
    Unix(UnixListener, SocketFile),
    /// TCP.
    Tcp(TcpListener),
    /// TLS over TCP.
    Tls(TcpListener, Arc<RunningTls>),
}

/// An accepted connection.
#[derive(Debug)]
pub enum Connection {
    /// Over a unix socket.
    Unix(UnixStream),
    /// Over TCP.
    Tcp(TcpStream),
    /// Over TCP, before the handshake of TLS.
    Tls(TcpStream, Arc<RunningTls>),
}

/// An accepted connection on its way to the runtime that serves it.
#[derive(Debug)]
pub enum Detached {
    /// Over a unix socket.
    Unix(std::os::unix::net::UnixStream),
    /// Over TCP.
    Tcp(std::net::TcpStream),
    /// Over TCP, before the handshake of TLS.
    Tls(std::net::TcpStream, Arc<RunningTls>),
}

impl Connection {
    /// Takes leave of the present runtime.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn detach(self) -> io::Result<Detached> {
        Ok(match self {
            Self::Unix(stream) => Detached::Unix(stream.into_std()?),
            Self::Tcp(stream) => Detached::Tcp(stream.into_std()?),
            Self::Tls(stream, tls) => Detached::Tls(stream.into_std()?, tls),
        })
    }
}

impl Detached {
    /// Joins the present runtime.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn register(self) -> io::Result<Connection> {
        Ok(match self {
            Self::Unix(stream) => Connection::Unix(UnixStream::from_std(stream)?),
            Self::Tcp(stream) => Connection::Tcp(TcpStream::from_std(stream)?),
            Self::Tls(stream, tls) => Connection::Tls(TcpStream::from_std(stream)?, tls),
        })
    }
}

impl Listener {
    /// Listens on `address`. The file of a unix socket gets the permission bits `mode`.
    ///
    /// # Errors
    ///
    /// Returns [`BindError`] when the address is in use or the system refuses.
    pub async fn bind(address: &Address, mode: u32) -> Result<Self, BindError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address.clone()),
            _ => BindError::Io {
                address: address.clone(),
                source,
            },
        };
        match address {
            Address::Tcp(tcp) => TcpListener::bind(tcp).await.map(Self::Tcp).map_err(failed),
            Address::Unix(path) => {
                remove_stale(address, path).await?;
                make_folder(path).map_err(failed)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                let file = SocketFile::claim(path, mode).map_err(failed)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Speaks TLS if there is any and this is TCP; a unix socket never does.
    #[must_use]
    pub fn speaking(self, tls: Option<&Arc<RunningTls>>) -> Self {
        match (self, tls) {
            (Self::Tcp(listener), Some(tls)) => Self::Tls(listener, Arc::clone(tls)),
            (listener, _) => listener,
        }
    }

    /// Where it listens; the port is the real one.
    ///
    /// # Errors
    ///
    /// Returns the error of the system.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Unix(_, file) => Address::Unix(file.path.clone()),
            Self::Tcp(listener) | Self::Tls(listener, _) => Address::Tcp(listener.local_addr()?),
        })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// Returns the error of the system; the next connection may go well.
    pub async fn accept(&self) -> io::Result<(Connection, Peer)> {
        match self {
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok((Connection::Unix(stream), Peer::Unix { uid }))
            }
            Self::Tcp(listener) => {
                let (stream, address) = accept_tcp(listener).await?;
                Ok((Connection::Tcp(stream), Peer::Tcp(address)))
            }
            Self::Tls(listener, tls) => {
                let (stream, address) = accept_tcp(listener).await?;
                Ok((Connection::Tls(stream, Arc::clone(tls)), Peer::Tcp(address)))
            }
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept().await?;
    // Small answers must not wait for more of them.
    stream.set_nodelay(true)?;
    Ok((stream, address))
}

/// The file of a unix socket that is ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file that another process put in its place is not ours to remove.
    id: (u64, u64),
}

impl SocketFile {
    fn claim(path: &Path, mode: u32) -> io::Result<Self> {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        let file = std::fs::symlink_metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            id: (file.dev(), file.ino()),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == self.id);
        if is_ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The user id that this process runs as.
#[must_use]
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Removes the file of a socket that nobody listens on any more.
async fn remove_stale(address: &Address, path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io {
        address: address.clone(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(failed(err)),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(BindError::InUse(address.clone())),
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(err) => Err(failed(err)),
    }
}

/// Makes the folder of a socket. Others may pass through it to a socket, but not list it.
fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(folder),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (tempfile::TempDir, Address) {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("run/s.sock"));
        (folder, address)
    }

    #[tokio::test]
    async fn a_socket_in_use_is_refused_and_left_alone() {
        let (_folder, address) = socket();
        let first = Listener::bind(&address, 0o600).await.unwrap();
        let second = Listener::bind(&address, 0o600).await.unwrap_err();
        assert!(second.to_string().contains("is in use"), "{second}");
        let Address::Unix(path) = first.address().unwrap() else {
            panic!("a unix socket was asked for");
        };
        assert!(UnixStream::connect(path).await.is_ok());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced() {
        let (_folder, address) = socket();
        let Address::Unix(path) = &address else {
            panic!("a unix socket was asked for");
        };
        make_folder(path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
        assert!(path.exists());
        Listener::bind(&address, 0o600).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("precious");
        std::fs::write(&path, "data").unwrap();
        let refused = Listener::bind(&Address::Unix(path.clone()), 0o600).await;
        assert!(matches!(refused, Err(BindError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_goes_with_its_listener() {
        let (_folder, address) = socket();
        let Address::Unix(path) = &address else {
            panic!("a unix socket was asked for");
        };
        let listener = Listener::bind(&address, 0o600).await.unwrap();
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }
}
