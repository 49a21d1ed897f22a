//! Proxies with the configuration that `sidegate proxy print` writes for them, as it is.

use std::{net::SocketAddr, path::Path, process::Command};

use super::{
    caddy, envoy, nginx,
    server::{Configuration, Place, Server},
    traefik,
};

/// A proxy of which Sidegate prints a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// By `auth_request`.
    Nginx,
    /// By `forward_auth`.
    Caddy,
    /// By ForwardAuth.
    Traefik,
    /// By `ext_authz` and `ext_proc`.
    Envoy,
}

/// Envoy waits a second before it ends the connection of a request that it cannot read, which is
/// too long for who sends hundreds.
fn hurried(envoy: &str) -> String {
    let manager = "stat_prefix: sidegate\n";
    assert!(envoy.contains(manager), "{envoy}");
    let hurried = format!("{manager}          delayed_close_timeout: 0.05s\n");
    envoy.replacen(manager, &hurried, 1)
}

impl Proxy {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Caddy, Self::Traefik, Self::Envoy];

    /// Those that ask by forward-auth.
    pub const FORWARD_AUTH: [Self; 3] = [Self::Nginx, Self::Caddy, Self::Traefik];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::Envoy => "envoy",
        }
    }
}

/// What a configuration is printed from.
#[derive(Clone, Copy, Debug)]
pub struct Printing<'a> {
    /// The command `sidegate`.
    pub program: &'a Path,
    /// The policy file, in which the place where this proxy asks has a port.
    pub policy: &'a Path,
    /// The app.
    pub upstream: SocketAddr,
}

impl Printing<'_> {
    /// What `sidegate proxy print` writes for a proxy that listens on this port of this machine,
    /// with these words more.
    ///
    /// # Panics
    ///
    /// Panics with what it said when it prints nothing.
    #[must_use]
    pub fn text(&self, proxy: Proxy, port: u16, more: &[&str]) -> String {
        let printed = Command::new(self.program)
            .args(["proxy", "print", proxy.name()])
            .arg("--config")
            .arg(self.policy)
            .arg(format!("--upstream=http://{}", self.upstream))
            .arg(format!("--listen=127.0.0.1:{port}"))
            .args(more)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&printed.stderr);
        assert!(printed.status.success(), "{proxy:?}: {said}");
        String::from_utf8(printed.stdout).unwrap()
    }

    fn traefik(&self, place: &Place, alter: impl Fn(String) -> String) -> Configuration {
        let part = |part| alter(self.text(Proxy::Traefik, place.http(), &["--part", part]));
        Configuration::from(part("static")).file("dynamic.yaml", part("dynamic"))
    }

    /// Starts the proxy on it; `None` where it is not installed: `what` is then left out, which is
    /// said.
    ///
    /// # Panics
    ///
    /// Panics with the log when it does not start, and under `tests/run` when it is not installed.
    pub async fn start(&self, proxy: Proxy, what: &str) -> Option<Server> {
        self.start_altered(proxy, what, |text| text).await
    }

    /// The same on what somebody made of it: each of its files is altered.
    ///
    /// # Panics
    ///
    /// As [`Printing::start`].
    pub async fn start_altered(
        &self,
        proxy: Proxy,
        what: &str,
        alter: impl Fn(String) -> String,
    ) -> Option<Server> {
        let text = |place: &Place| alter(self.text(proxy, place.http(), &[]));
        match proxy {
            Proxy::Nginx => nginx::start(what, text).await,
            Proxy::Caddy => caddy::start(caddy::Version::Pinned, what, text).await,
            Proxy::Traefik => traefik::start(what, |place| self.traefik(place, &alter)).await,
            Proxy::Envoy => envoy::start(what, |place| hurried(&text(place))).await,
        }
    }

    /// Starts this Caddy.
    ///
    /// # Panics
    ///
    /// As [`Printing::start`].
    pub async fn start_caddy(&self, version: caddy::Version, what: &str) -> Option<Server> {
        let text = |place: &Place| self.text(Proxy::Caddy, place.http(), &[]);
        caddy::start(version, what, text).await
    }
}
