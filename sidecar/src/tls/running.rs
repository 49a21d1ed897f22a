//! What listeners speak TLS with now, which changes under them when its files do.

use std::sync::Arc;

use arc_swap::ArcSwap;
use auth_core::{
    policy::settings::{Listen, Tls as TlsFiles},
    session::TokenHash,
};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::{TlsError, load};
use crate::serve::Protocol;

/// What was read from the files of one `tls` section.
#[derive(Debug)]
pub struct LoadedTls {
    any: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
    /// A hash of what the files held.
    fingerprint: TokenHash,
}

impl LoadedTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        // Taken first: what changes while the files are read is then another thing.
        let fingerprint = fingerprint(files);
        let any = load(files, &["h2", "http/1.1"])?;
        let mut http2 = any.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            any: Arc::new(any),
            http2: Arc::new(http2),
            fingerprint,
        })
    }
}

fn fingerprint(files: &TlsFiles) -> TokenHash {
    let mut all = Vec::new();
    let paths = [Some(&files.certificate), Some(&files.key)];
    for path in paths.into_iter().chain([files.client_ca.as_ref()]) {
        let content = path.and_then(|path| std::fs::read(path).ok());
        all.push(u8::from(content.is_some()));
        all.extend_from_slice(TokenHash::of(&content.unwrap_or_default()).as_bytes());
    }
    TokenHash::of(&all)
}

/// All that was read for the listeners of one sidecar.
#[derive(Debug, Default)]
pub struct LoadedListeners {
    /// For `listen.tls`.
    pub services: Option<LoadedTls>,
    /// For `listen.proxy.tls`.
    pub proxy: Option<LoadedTls>,
}

impl LoadedListeners {
    /// Reads the files of all.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn read(listen: &Listen) -> Result<Self, TlsError> {
        let read = |files: Option<&TlsFiles>| files.map(LoadedTls::read).transpose();
        let proxy = listen.proxy.as_ref().and_then(|proxy| proxy.tls.as_ref());
        Ok(Self {
            services: read(listen.tls.as_ref())?,
            proxy: read(proxy)?,
        })
    }
}

/// TLS as some listeners speak it now.
#[derive(Debug)]
pub struct RunningTls(ArcSwap<Current>);

#[derive(Debug)]
struct Current {
    loaded: LoadedTls,
    /// Once something else took its place.
    superseded: CancellationToken,
}

impl RunningTls {
    /// Begins with this.
    #[must_use]
    pub fn new(loaded: LoadedTls) -> Self {
        Self(ArcSwap::from_pointee(Current {
            loaded,
            superseded: CancellationToken::new(),
        }))
    }

    /// Handshakes from now on are by this. Connections whose clients were verified by what was before
    /// are asked to end once their requests have been answered. What is the same as before changes
    /// nothing.
    pub fn replace(&self, loaded: LoadedTls) {
        if self.0.load().loaded.fingerprint == loaded.fingerprint {
            return;
        }
        tracing::info!("TLS goes on with new files");
        let next = Current {
            loaded,
            superseded: CancellationToken::new(),
        };
        self.0.swap(Arc::new(next)).superseded.cancel();
    }

    /// What to speak on a listener of this protocol, and what tells that it was superseded.
    #[must_use]
    pub fn current(&self, protocol: Protocol) -> (Arc<ServerConfig>, CancellationToken) {
        let current = self.0.load();
        let config = match protocol {
            Protocol::Http2 => &current.loaded.http2,
            Protocol::Any | Protocol::Upgradable => &current.loaded.any,
        };
        (Arc::clone(config), current.superseded.clone())
    }
}

/// TLS of all listeners of one sidecar.
#[derive(Clone, Debug, Default)]
pub struct RunningListeners {
    /// Of gRPC, HTTP, forward-auth and Envoy.
    pub services: Option<Arc<RunningTls>>,
    /// Of the reverse proxy.
    pub proxy: Option<Arc<RunningTls>>,
}

impl RunningListeners {
    /// Begins with this.
    #[must_use]
    pub fn new(loaded: LoadedListeners) -> Self {
        let begin = |loaded: Option<LoadedTls>| loaded.map(RunningTls::new).map(Arc::new);
        Self {
            services: begin(loaded.services),
            proxy: begin(loaded.proxy),
        }
    }

    /// Goes on with this. Whether a listener speaks TLS at all takes a restart to change.
    pub fn replace(&self, loaded: LoadedListeners) {
        for (running, loaded) in [
            (&self.services, loaded.services),
            (&self.proxy, loaded.proxy),
        ] {
            if let (Some(running), Some(loaded)) = (running, loaded) {
                running.replace(loaded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::files;

    #[test]
    fn only_other_files_supersede_what_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let before = files(folder.path());
        let read = |files: &TlsFiles| LoadedTls::read(files).unwrap();
        let tls = RunningTls::new(read(&before));
        let (config, superseded) = tls.current(Protocol::Any);
        tls.replace(read(&before));
        assert!(!superseded.is_cancelled());
        let others = TlsFiles {
            client_ca: None,
            ..before
        };
        tls.replace(read(&others));
        assert!(superseded.is_cancelled());
        let (other, superseded) = tls.current(Protocol::Any);
        assert!(!Arc::ptr_eq(&config, &other) && !superseded.is_cancelled());
    }
}
