//! What a proxy's configuration is made from.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use auth_core::{
    authority::Authority,
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        diagnostic::PolicyError,
        settings::{Address, Network, Settings},
        source::{Disk, Document},
    },
};

use super::tls::{AskedTls, TlsArgs};
use crate::{decide, exit::Exit, failure::Failure, output};

/// The headers with which a proxy tells the app who calls.
pub(super) const IDENTITY: [&str; 5] = [
    "Sidegate-Subject",
    "Sidegate-Session",
    "Sidegate-Operation",
    "Sidegate-Decision-Id",
    "Sidegate-Call",
];

/// The other headers of ours: none of them is for the app, and none of all for clients.
pub(super) const OTHERS: [&str; 9] = [
    "Sidegate-Outcome",
    "Sidegate-Login",
    "Sidegate-Cookie-1",
    "Sidegate-Cookie-2",
    "Sidegate-Session-Set",
    "Sidegate-Session-Patch",
    "Sidegate-Session-Clear",
    // Only our own reverse proxy writes them.
    "Sidegate-Assertion",
    "Sidegate-Token",
];

/// Headers by which some apps let a request name another method or path than its own (H-10).
pub(super) const OVERRIDES: [&str; 8] = [
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Method",
    "X-Original-Host",
    "X-Rewrite-URL",
];

/// What a configuration is made from.
#[derive(Debug)]
pub(super) struct Facts {
    /// Where the proxy listens.
    pub(super) listen: SocketAddr,
    /// Host and port of the app.
    pub(super) upstream: String,
    /// The platform's part of the policy file.
    pub(super) settings: Settings,
    /// The policy.
    pub(super) policy: Policy,
    /// What was said of TLS.
    tls: TlsArgs,
    file: String,
}

impl Facts {
    /// Reads the policy file, and that of the Sidegate that decides where it is another one.
    pub(super) fn read(
        file: &Path,
        decides: Option<&Path>,
        upstream: &str,
        listen: SocketAddr,
        tls: TlsArgs,
    ) -> Result<Self, Failure> {
        let bad = |err: PolicyError| Failure::policy(&err);
        let documents = Document::load(file, &Disk).map_err(bad)?;
        let settings = Settings::from_documents(&documents, None, []).map_err(bad)?;
        let policy = match (&settings.remote, decides) {
            (None, None) => decide::load(file).map_err(bad)?,
            (Some(_), Some(decides)) => {
                let policy = decided(&documents, decides).map_err(bad)?;
                check_exceptions(&settings, &policy, decides)?;
                policy
            }
            (Some(remote), None) => {
                let message = format!(
                    "`{}` has no operations: the Sidegate at `{}` decides",
                    file.display(),
                    remote.address
                );
                let failure = Failure::new(Exit::BadFile, message);
                return Err(failure.next("name the policy file of that one with `--policy FILE`"));
            }
            (None, Some(_)) => {
                let message = format!("`{}` decides by itself", file.display());
                return Err(Failure::usage(message).next("leave `--policy` out"));
            }
        };
        Ok(Self {
            listen,
            upstream: authority(upstream)?,
            settings,
            policy,
            tls,
            file: file.display().to_string(),
        })
    }

    /// Where the proxy asks by forward-auth, and how over TLS.
    pub(super) fn forward_auth(&self) -> Result<(SocketAddr, Option<AskedTls>), Failure> {
        let key = "listen.forward_auth";
        let Some(settings) = &self.settings.listen.forward_auth else {
            return Err(self.nowhere(key).next(
                "add `forward_auth: { address: 127.0.0.1:7483, trusted_proxies: [ 127.0.0.1 ], \
                 caller: NAME }` to `listen`",
            ));
        };
        let Address::Tcp(address) = &settings.address else {
            let message =
                format!("`{key}` listens on a unix socket, which has no address to trust");
            return Err(Failure::new(Exit::BadFile, message).next("write an IP address and a port"));
        };
        self.check_port(key, *address)?;
        // What is on this machine is reached from an address of this machine.
        let own = match address.ip() {
            IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
            own @ IpAddr::V6(_) => own,
        };
        if !Network::any_contains(&settings.trusted_proxies, own) {
            output::say(&format!(
                "`{key}.trusted_proxies` does not name {own}, from where this proxy will ask"
            ));
        }
        self.warn_of_cors();
        self.warn_of_grpc();
        Ok((*address, self.asked_tls(key, *address, false)?))
    }

    /// A preflight is answered with headers of ours, and forward-auth knows an answer only as a
    /// refusal; nor does an allow take headers back to the client.
    fn warn_of_cors(&self) {
        let operations = self.policy.apps.all.iter().flat_map(|app| &app.operations);
        let with_cors = operations.filter(|operation| operation.cors.is_some());
        let names: Vec<_> = with_cors.map(|it| format!("`{}`", it.name)).collect();
        if !names.is_empty() {
            output::say(&format!(
                "`cors` of {} has no effect here: pages of other origins are refused, since \
                 this proxy relays no answer to their preflight. Envoy and `listen.proxy` do",
                names.join(", ")
            ));
        }
    }

    /// The configurations by forward-auth speak HTTP/1 to the app.
    fn warn_of_grpc(&self) {
        if self.has_grpc() {
            output::say(
                "operations with `grpc` are out of reach here: this proxy speaks HTTP/1.1 to the \
                 app, and gRPC needs HTTP/2. Envoy and `listen.proxy` pass it",
            );
        }
    }

    /// Whether any operation is called over gRPC.
    pub(super) fn has_grpc(&self) -> bool {
        self.policy.apps.all.iter().any(|app| !app.grpc.is_empty())
    }

    /// How to ask where the TCP listener `key` speaks TLS.
    fn asked_tls(
        &self,
        key: &str,
        address: SocketAddr,
        needs_certificate: bool,
    ) -> Result<Option<AskedTls>, Failure> {
        if self.settings.listen.tls.is_some() {
            let asked = self.tls.asked(key, address, needs_certificate);
            return asked.map(Some);
        }
        if self.tls.is_given() {
            let message = format!("`{key}` speaks no TLS");
            let next = "leave `--ca-file`, `--cert-file` and `--server-name` out, or add `tls` to \
                        `listen`";
            return Err(Failure::usage(message).next(next));
        }
        Ok(None)
    }

    /// Where Envoy asks, and how over TLS.
    pub(super) fn envoy(&self) -> Result<(&Address, Option<AskedTls>), Failure> {
        let key = "listen.envoy";
        let Some(settings) = &self.settings.listen.envoy else {
            let next = "add `envoy: { address: 127.0.0.1:7484, caller: NAME }` to `listen`";
            return Err(self.nowhere(key).next(next));
        };
        if let Address::Tcp(address) = &settings.address {
            self.check_port(key, *address)?;
            let tls = self.asked_tls(key, *address, settings.needs_certificate)?;
            return Ok((&settings.address, tls));
        }
        Ok((&settings.address, None))
    }

    fn nowhere(&self, key: &str) -> Failure {
        let message = format!("`{}` has no `{key}`, where this proxy asks", self.file);
        Failure::new(Exit::BadFile, message)
    }

    fn check_port(&self, key: &str, address: SocketAddr) -> Result<(), Failure> {
        if address.port() != 0 {
            return Ok(());
        }
        let message = format!("`{key}` takes any free port, so that no proxy could find it");
        Err(Failure::new(Exit::BadFile, message).next("write a port"))
    }

    /// The names of the cookies that Sidegate sets.
    pub(super) fn cookies(&self) -> Vec<&str> {
        let strategies = self.policy.strategies.cookies();
        let cookies = strategies.flat_map(|strategy| {
            let csrf = strategy.csrf.as_ref().map(|csrf| &csrf.cookie);
            std::iter::once(&strategy.cookie).chain(csrf)
        });
        cookies.map(|cookie| &*cookie.name).collect()
    }
}

/// What is decided by the file `decides` when the edges of these documents ask: what they cannot
/// supply to its checks is an error, as it is where one file has both (R24).
fn decided(edges: &[Document], decides: &Path) -> Result<Policy, PolicyError> {
    let mut documents = Document::load(decides, &Disk)?;
    if let (Some(main), Some(edge)) = (documents.first_mut(), edges.first()) {
        main.file.listen.clone_from(&edge.file.listen);
        main.file.decide.clone_from(&edge.file.decide);
    }
    Policy::compile(&documents, &Disk, &BuiltInSources, &Natives::default())
}

/// Each operation that an edge may do without something for must be there.
fn check_exceptions(settings: &Settings, policy: &Policy, decides: &Path) -> Result<(), Failure> {
    let apps = &policy.apps.all;
    let is_there = |name: &str| apps.iter().any(|app| app.operation(name).is_some());
    for lack in &settings.listen.lacks {
        if let Some(name) = lack.excepted.iter().find(|name| !is_there(name)) {
            let message = format!(
                "`{}` of `{}` lists `{}`, of which `{}` has no operation",
                lack.what.key(),
                lack.edge,
                output::printable(name),
                decides.display()
            );
            let failure = Failure::new(Exit::BadFile, message);
            return Err(failure.next("remove it, or correct its name"));
        }
    }
    Ok(())
}

/// Host and port of an `http://` URL without a path.
fn authority(url: &str) -> Result<String, Failure> {
    let authority = url.strip_prefix("http://").unwrap_or_default();
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    // It is written into configurations, whose own signs it must not hold.
    let is_plain = authority
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    match Authority::parse(authority.as_bytes()) {
        Ok(_) if is_plain => Ok(authority.to_owned()),
        _ => Err(Failure::usage(format!(
            "`--upstream {}` names no app",
            output::printable(url)
        ))
        .next("write where the app listens, as `http://127.0.0.1:3000`")),
    }
}
