//! Where to listen. Beyond this machine nothing is served in the clear.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Address, CallerSettings, Envoy, Faults, ForwardAuth, Lack, Listen, Network, Tls, proxy, tls,
};
use crate::{
    caller::{Caller, Grant},
    policy::{
        file::{EnvoyFile, ForwardAuthFile, PolicyFile, TlsFile},
        scalar::{At, OneOrMany},
    },
};

mod guard;
mod texts;

pub(super) use guard::Guard;
use texts::{check_login, host, origin};

const ADDRESS_HELP: &str = "write `unix:PATH`, or an IP address and a port as `127.0.0.1:7480`";

/// Reads addresses and sees that each is taken once.
pub(super) struct Addresses<'f, 'd> {
    folder: &'f Path,
    taken: BTreeMap<Address, &'static str>,
    /// What `listen.tls` says.
    tls: Option<Tls>,
    pub(super) faults: &'f mut Faults<'d>,
}

pub(super) fn read(
    file: &PolicyFile,
    folder: &Path,
    data_dir: &Path,
    callers: &[CallerSettings],
    faults: &mut Faults<'_>,
) -> Listen {
    let listen = file.listen.clone().unwrap_or_default();
    let lacks = Lack::of(file);
    let mut addresses = Addresses {
        folder,
        taken: BTreeMap::new(),
        tls: tls::read("listen.tls", listen.tls.as_ref(), folder, faults),
        faults,
    };
    let socket = Address::Unix(data_dir.join("sidegate.sock"));
    // Whoever does not decide has nothing to answer there.
    let answers = file.decide.is_none();
    let default = |addresses: Vec<Address>| if answers { addresses } else { Vec::new() };
    let grpc = addresses.many(
        "listen.grpc",
        listen.grpc,
        default(vec![socket, loopback(7480)]),
    );
    let http = addresses.many("listen.http", listen.http, default(vec![loopback(7481)]));
    let admin = addresses.admin(listen.admin, data_dir.join("admin.sock"));
    let telemetry = addresses.one("listen.telemetry", listen.telemetry, loopback(7482));
    let forward_auth = listen
        .forward_auth
        .as_ref()
        .and_then(|file| addresses.forward_auth(file, callers));
    let proxy = listen
        .proxy
        .as_ref()
        .and_then(|file| proxy::read(&mut addresses, file, callers));
    let envoy = listen.envoy.as_ref();
    let envoy = envoy.and_then(|file| addresses.envoy(file, callers));
    let origins = listen.origins.iter();
    let origins = origins.map(|at| origin(at, addresses.faults)).collect();
    let edges = [
        forward_auth.as_ref().map(|edge| &edge.address),
        envoy.as_ref().map(|edge| &edge.address),
    ];
    let served = grpc.iter().chain(&http).chain(edges.into_iter().flatten());
    addresses.spoken(listen.tls.as_ref(), served);
    let tls = addresses.tls;
    Listen {
        grpc,
        http,
        admin,
        telemetry,
        forward_auth,
        proxy,
        envoy,
        hosts: listen.hosts.iter().map(|at| host(at, faults)).collect(),
        origins,
        tls,
        lacks,
    }
}

fn loopback(port: u16) -> Address {
    Address::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

impl Addresses<'_, '_> {
    fn many(
        &mut self,
        key: &'static str,
        asked: Option<OneOrMany<String>>,
        default: Vec<Address>,
    ) -> Vec<Address> {
        match asked {
            None => default,
            Some(asked) => {
                let read = asked.iter().filter_map(|at| self.read(key, at));
                read.collect()
            }
        }
    }

    fn one(&mut self, key: &'static str, asked: Option<At<String>>, default: Address) -> Address {
        asked.and_then(|at| self.read(key, &at)).unwrap_or(default)
    }

    fn admin(&mut self, asked: Option<At<String>>, default: PathBuf) -> PathBuf {
        let key = "listen.admin";
        let Some(at) = asked else {
            return default;
        };
        match self.read(key, &at) {
            Some(Address::Unix(path)) => path,
            None => default,
            Some(Address::Tcp(_)) => {
                let message = "administration is served on a unix socket only";
                let help = "write `unix:./admin.sock`";
                self.faults.add(key, &at, message, Some(help));
                default
            }
        }
    }

    /// What is written must be of use.
    fn spoken<'s>(
        &mut self,
        file: Option<&TlsFile>,
        served: impl IntoIterator<Item = &'s Address>,
    ) {
        let is_tcp = |address: &Address| matches!(address, Address::Tcp(_));
        if let Some(file) = file
            && !served.into_iter().any(is_tcp)
        {
            let message = "no listener would speak TLS: all are unix sockets";
            let help = "remove `tls`, or give one an IP address and a port; for the proxy, write \
                        `tls` under `listen.proxy`";
            self.faults
                .add("listen.tls", &file.certificate, message, Some(help));
        }
    }

    /// Reads TLS of a listener's own.
    pub(super) fn tls(&mut self, key: &'static str, file: Option<&TlsFile>) -> Option<Tls> {
        tls::read(key, file, self.folder, self.faults)
    }

    /// Reads one address that `listen.tls` is for.
    fn read(&mut self, key: &'static str, at: &At<String>) -> Option<Address> {
        let guard = match (key, &self.tls) {
            ("listen.admin", _) => Guard::Elsewhere,
            ("listen.telemetry", _) => Guard::Never,
            (_, Some(_)) => Guard::Tls,
            (_, None) => Guard::Missing("listen"),
        };
        self.read_guarded(key, at, guard)
    }

    /// Reads one address and notes that it is taken.
    pub(super) fn read_guarded(
        &mut self,
        key: &'static str,
        at: &At<String>,
        guard: Guard,
    ) -> Option<Address> {
        let address = match Address::parse(at, self.folder) {
            Ok(address) => address,
            Err(message) => {
                self.faults.add(key, at, &message, Some(ADDRESS_HELP));
                return None;
            }
        };
        if !address.is_local()
            && let Some(help) = guard.help()
        {
            let message = format!("`{address}` can be reached from other machines");
            self.faults.add(key, at, &message, Some(&help));
        }
        let picks_a_port = matches!(&address, Address::Tcp(tcp) if tcp.port() == 0);
        if !picks_a_port && let Some(other) = self.taken.insert(address.clone(), key) {
            let message = format!("`{address}` is taken by `{other}` already");
            let help = "give each listener an address of its own";
            self.faults.add(key, at, &message, Some(help));
        }
        Some(address)
    }

    fn forward_auth(
        &mut self,
        file: &ForwardAuthFile,
        callers: &[CallerSettings],
    ) -> Option<ForwardAuth> {
        let key = "listen.forward_auth";
        let address = self.read(key, &file.address);
        let trusted_proxies = self.networks(key, &file.trusted_proxies);
        if file.trusted_proxies.is_empty() {
            let message = "`trusted_proxies` is empty, so that nobody may ask";
            let help = "name the proxies, as `trusted_proxies: [ 127.0.0.1 ]`";
            self.faults.add(key, &file.address, message, Some(help));
        }
        let caller = self.caller(key, &file.caller, callers);
        let login = self.login(key, file.login.as_ref());
        Some(ForwardAuth {
            address: address?,
            trusted_proxies,
            caller: caller?,
            login,
        })
    }

    /// Where browsers sign in.
    pub(super) fn login(
        &mut self,
        key: &'static str,
        asked: Option<&At<String>>,
    ) -> Option<String> {
        let at = asked?;
        if let Err((message, help)) = check_login(at) {
            self.faults.add(key, at, &message, Some(help));
        }
        Some(at.value.clone())
    }

    fn envoy(&mut self, file: &EnvoyFile, callers: &[CallerSettings]) -> Option<Envoy> {
        let key = "listen.envoy";
        let address = self.read(key, &file.address);
        let caller = self.caller(key, &file.caller, callers);
        let known = callers
            .iter()
            .find(|known| *known.caller.name == **file.caller);
        let needs_certificate = known.is_some_and(|known| known.identity.is_some());
        // Whoever reaches an address of this machine alone is on this machine.
        if self.tls.is_some()
            && !needs_certificate
            && address.as_ref().is_some_and(|address| !address.is_local())
        {
            let message = format!("nothing tells Envoy from others at `{}`", *file.address);
            let help = "give its caller an `identity`, which the certificate of Envoy names";
            self.faults.add(key, &file.address, &message, Some(help));
        }
        Some(Envoy {
            address: address?,
            caller: caller?,
            error_response: file.error_response,
            needs_certificate,
        })
    }

    pub(super) fn networks(&mut self, key: &'static str, asked: &[At<String>]) -> Vec<Network> {
        let mut networks = Vec::new();
        for at in asked {
            match at.parse::<Network>() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    let message = error.to_string();
                    let help = "write an address as `127.0.0.1`, or a network as `10.0.0.0/8`";
                    self.faults.add(key, at, &message, Some(help));
                }
            }
        }
        networks
    }

    /// The caller of this name, who must be able to ask for decisions.
    pub(super) fn caller(
        &mut self,
        key: &'static str,
        at: &At<String>,
        callers: &[CallerSettings],
    ) -> Option<Arc<Caller>> {
        let found = callers.iter().find(|known| *known.caller.name == *at.value);
        let Some(found) = found else {
            let message = format!("there is no caller `{}`", at.escape_debug());
            let help = "declare it under `callers`, with `may: [authorize]`";
            self.faults.add(key, at, &message, Some(help));
            return None;
        };
        if !found.caller.may(Grant::Authorize) {
            let message = format!("caller `{}` lacks the grant `authorize`", at.value);
            let help = "add `authorize` to its `may`";
            self.faults.add(key, at, &message, Some(help));
        }
        Some(Arc::clone(&found.caller))
    }
}
