//! Another Sidegate that decides: edges in a process of their own.

use std::path::Path;

use super::{Address, Remote, address::join, faults::Faults};
use crate::policy::{
    file::{DecideFile, PolicyFile},
    scalar::At,
};

const KEY: &str = "decide";

/// Reads where decisions are made; `None` is here.
pub(super) fn read(file: &PolicyFile, folder: &Path, faults: &mut Faults<'_>) -> Option<Remote> {
    let Some(DecideFile::Remote(remote)) = &file.decide else {
        return None;
    };
    refuse_what_belongs_there(file, &remote.address, faults);
    let address = match Address::parse(&remote.address, folder) {
        Ok(address) => address,
        Err(message) => {
            let help = "write `unix:PATH`, or an IP address and a port as `127.0.0.1:7480`";
            faults.add(KEY, &remote.address, &message, Some(help));
            return None;
        }
    };
    if !address.is_local() {
        let message = format!("`{address}` is on another machine");
        let help = "this build has no TLS and asks on this machine only: write a loopback address, \
                    or `unix:PATH`";
        faults.add(KEY, &remote.address, &message, Some(help));
    }
    let token_file = remote.token_file.as_ref();
    if matches!(address, Address::Tcp(_)) && token_file.is_none() {
        let message = "over TCP the other Sidegate knows nobody without a token";
        let help = "add `token_file`, the same file that a caller there has";
        faults.add(KEY, &remote.address, message, Some(help));
    }
    Some(Remote {
        address,
        token_file: token_file.map(|at| join(folder, &*at.value)),
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
