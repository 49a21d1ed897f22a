//! Another Sidegate that decides: edges in a process of their own.

use std::path::Path;

use super::{Address, Remote, RemoteAddress, RemoteTls, address::join, faults::Faults};
use crate::{
    authority::Authority,
    policy::{
        file::{DecideFile, PolicyFile, RemoteFile},
        scalar::At,
    },
};

const KEY: &str = "decide";

/// Reads where decisions are made; `None` is here.
pub(super) fn read(file: &PolicyFile, folder: &Path, faults: &mut Faults<'_>) -> Option<Remote> {
    let Some(DecideFile::Remote(remote)) = &file.decide else {
        return None;
    };
    refuse_what_belongs_there(file, &remote.address, faults);
    let address = match remote.address.strip_prefix("https://") {
        Some(rest) => over_tls(remote, rest, folder, faults).map(RemoteAddress::Tls),
        None => local(remote, folder, faults).map(RemoteAddress::Local),
    };
    let token_file = remote.token_file.as_ref();
    let is_named = match &address {
        Some(RemoteAddress::Local(address)) => matches!(address, Address::Unix(_)),
        Some(RemoteAddress::Tls(tls)) => tls.identity.is_some(),
        None => true,
    };
    if !is_named && token_file.is_none() {
        let message = "over TCP the other Sidegate knows nobody without a token";
        let help = "add `token_file`, the same file that a caller there has";
        faults.add(KEY, &remote.address, message, Some(help));
    }
    Some(Remote {
        address: address?,
        token_file: token_file.map(|at| join(folder, &*at.value)),
    })
}

/// An address of this machine, which is asked in the clear.
fn local(remote: &RemoteFile, folder: &Path, faults: &mut Faults<'_>) -> Option<Address> {
    let files = [&remote.ca, &remote.certificate, &remote.key];
    for at in files.into_iter().flatten() {
        let message = "this is for an address with TLS";
        let help = "write `address: https://HOST:PORT`, or remove it";
        faults.add(KEY, at, message, Some(help));
    }
    let address = match Address::parse(&remote.address, folder) {
        Ok(address) => address,
        Err(message) => {
            let help = "write `unix:PATH`, `https://HOST:PORT`, or a loopback address and a port \
                        as `127.0.0.1:7480`";
            faults.add(KEY, &remote.address, &message, Some(help));
            return None;
        }
    };
    if !address.is_local() {
        let message = format!("`{address}` is on another machine");
        let help = "write `https://HOST:PORT` and the `ca` that vouches for it, a loopback \
                    address, or `unix:PATH`";
        faults.add(KEY, &remote.address, &message, Some(help));
    }
    Some(address)
}

/// Any host, whose certificate is verified.
fn over_tls(
    remote: &RemoteFile,
    authority: &str,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<RemoteTls> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let parsed = Authority::parse(authority.as_bytes());
    if parsed.is_err() || authority.contains(['/', '?', '#', '@', '*']) {
        let message = format!("`{}` is no address", remote.address.escape_debug());
        let help = "write host and port, as `https://sidegate.internal:7480`";
        faults.add(KEY, &remote.address, &message, Some(help));
    }
    if remote.ca.is_none() {
        let message = "nothing tells the other Sidegate from somebody else";
        let help = "add `ca: FILE`, the authority that signed its certificate";
        faults.add(KEY, &remote.address, message, Some(help));
    }
    let file = |at: &At<String>| join(folder, &*at.value);
    let identity = match (&remote.certificate, &remote.key) {
        (Some(certificate), Some(key)) => Some((file(certificate), file(key))),
        (None, None) => None,
        (Some(alone), None) | (None, Some(alone)) => {
            let message = "a certificate and its key are of use together only";
            let help = "write both `certificate` and `key`";
            faults.add(KEY, alone, message, Some(help));
            None
        }
    };
    Some(RemoteTls {
        authority: authority.to_owned(),
        ca: remote.ca.as_ref().map(file)?,
        identity,
    })
}

/// What would be decided by here is for the other Sidegate to know, and nothing is ignored.
fn refuse_what_belongs_there(file: &PolicyFile, at: &At<String>, faults: &mut Faults<'_>) {
    let listen = file.listen.clone().unwrap_or_default();
    let present = [
        ("operations", !file.operations.is_empty()),
        ("checks", !file.checks.is_empty()),
        ("rules", !file.rules.is_empty()),
        ("strategies", file.strategies.is_some()),
        ("sources", !file.sources.is_empty()),
        ("sessions", file.sessions.is_some()),
        ("store", file.store.is_some()),
        ("include", !file.include.is_empty()),
        ("listen.grpc", listen.grpc.is_some()),
        ("listen.http", listen.http.is_some()),
    ];
    for (key, _) in present.into_iter().filter(|(_, present)| *present) {
        let message =
            format!("with `decide: {{ remote: ... }}`, `{key}` is for the other Sidegate");
        let help = format!("move `{key}` to the file of the Sidegate that decides");
        faults.add(KEY, at, &message, Some(&help));
    }
}
