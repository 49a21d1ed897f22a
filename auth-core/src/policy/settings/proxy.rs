//! The reverse proxy of our own.

use std::time::Duration;

use super::{
    Address, CallerSettings, Proxy, Tls,
    listen::{Addresses, Guard},
};
use crate::{
    assertion::{AssertionSettings, DEFAULT_TTL, MAX_TTL},
    policy::{
        file::{AssertionFile, PassedCredentials, ProxyFile},
        scalar::At,
    },
};

const KEY: &str = "listen.proxy";

/// How long a silence may last when nothing is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest silence.
const MAX_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Reads the proxy's part; `None` when it has faults.
pub(super) fn read(
    addresses: &mut Addresses<'_, '_>,
    file: &ProxyFile,
    callers: &[CallerSettings],
) -> Option<Proxy> {
    let tls = addresses.tls(KEY, file.tls.as_ref());
    let guard = match tls {
        Some(_) => Guard::Tls,
        None => Guard::Missing(KEY),
    };
    let address = addresses.read_guarded(KEY, &file.address, guard);
    check_tls(addresses, file, address.as_ref(), tls.as_ref());
    let trusted_proxies = addresses.networks(KEY, &file.trusted_proxies);
    let caller = addresses.caller(KEY, &file.caller, callers);
    let upstream = match upstream(&file.upstream) {
        Ok(upstream) => Some(upstream),
        Err((message, help)) => {
            addresses
                .faults
                .add(KEY, &file.upstream, &message, Some(help));
            None
        }
    };
    let login = addresses.login(KEY, file.login.as_ref());
    let timeout = file.timeout.as_ref().map_or(DEFAULT_TIMEOUT, |at| {
        if at.value.0 < Duration::from_secs(1) || at.value.0 > MAX_TIMEOUT {
            let message = "a silence is from `1s` to `1h`";
            addresses.faults.add(KEY, at, message, None);
        }
        at.value.0
    });
    let assertion = file
        .assertion
        .as_ref()
        .map(|file| assertion(addresses, file));
    Some(Proxy {
        address: address?,
        upstream: upstream?,
        caller: caller?,
        trusted_proxies,
        login,
        passes_credentials: file.credentials == Some(PassedCredentials::Pass),
        timeout,
        max_body_bytes: file.max_body_bytes.map(|at| at.value),
        assertion,
        tls,
    })
}

/// TLS is for TCP.
fn check_tls(
    addresses: &mut Addresses<'_, '_>,
    file: &ProxyFile,
    address: Option<&Address>,
    tls: Option<&Tls>,
) {
    if let (Some(Address::Unix(_)), Some(_)) = (address, tls) {
        let message = "TLS is not spoken on a unix socket";
        let help = "remove `tls`, or write an IP address and a port as `0.0.0.0:443`";
        addresses
            .faults
            .add(KEY, &file.address, message, Some(help));
    }
}

fn assertion(addresses: &mut Addresses<'_, '_>, file: &AssertionFile) -> AssertionSettings {
    let issuer = file.issuer.as_ref();
    for at in [Some(&file.audience), issuer].into_iter().flatten() {
        if at.is_empty() || at.chars().any(char::is_control) {
            let message = format!("`{}` names nobody", at.escape_debug());
            let help = "write what the app compares with, as `books` or `https://books.example`";
            addresses.faults.add(KEY, at, &message, Some(help));
        }
    }
    let ttl = file.ttl.as_ref().map_or(DEFAULT_TTL, |at| {
        if at.value.0 < Duration::from_secs(1) || at.value.0 > MAX_TTL {
            addresses
                .faults
                .add(KEY, at, "an assertion is good from `1s` to `5m`", None);
        }
        at.value.0
    });
    AssertionSettings {
        issuer: issuer.map_or_else(|| "sidegate".to_owned(), |at| at.value.clone()),
        audience: file.audience.value.clone(),
        ttl,
    }
}

type Fault = (String, &'static str);

/// Host and port of an `http://` URL without a path.
fn upstream(at: &At<String>) -> Result<String, Fault> {
    let help = "write where the app listens, as `http://127.0.0.1:3000`";
    let shown = at.escape_debug();
    if at.starts_with("https://") {
        let message = format!("`{shown}`: this build speaks plain HTTP to the app");
        return Err((message, help));
    }
    let authority = at.strip_prefix("http://").unwrap_or_default();
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let is_plain = !authority.contains(['/', '?', '#', '@', '*']);
    match crate::authority::Authority::parse(authority.as_bytes()) {
        Ok(_) if is_plain => Ok(authority.to_owned()),
        _ => Err((format!("`{shown}` names no app"), help)),
    }
}
