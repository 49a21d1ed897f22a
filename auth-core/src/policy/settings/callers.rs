//! The processes that may ask, as the file names them (R25).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{CallerSettings, Faults, join};
use crate::{
    caller::{Caller, Grant},
    policy::{
        file::{CallerFile, PolicyFile},
        scalar::At,
    },
    principal::is_namespace,
    session::Tenant,
    wire::WireKind,
};

const NAME_HELP: &str =
    "write 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter";

pub(super) fn read(
    file: &PolicyFile,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Vec<CallerSettings> {
    let tls = file.listen.as_ref().and_then(|listen| listen.tls.as_ref());
    let asks_for_certificates = tls.is_some_and(|tls| tls.client_ca.is_some());
    let mut uids = BTreeMap::new();
    let mut identities = BTreeMap::new();
    file.callers
        .iter()
        .map(|(name, file)| {
            known_by(name, file, faults);
            if let Some(uid) = file.uid
                && let Some(other) = uids.insert(uid.value, name)
            {
                let message = format!("user id `{}` names caller `{other}` already", uid.value);
                let help = "one user id names one caller";
                faults.add("callers", &uid, &message, Some(help));
            }
            let identity = file.identity.as_ref().map(|at| {
                certified(at, asks_for_certificates, faults);
                let identity = identity_text(at);
                if let Some(other) = identities.insert(identity.clone(), name) {
                    let message = format!("`{identity}` names caller `{other}` already");
                    let help = "one identity names one caller";
                    faults.add("callers", at, &message, Some(help));
                }
                identity
            });
            CallerSettings {
                caller: Arc::new(caller(name, file, faults)),
                token_file: file
                    .token_file
                    .as_ref()
                    .map(|path| join(folder, &*path.value)),
                uid: file.uid.map(|uid| uid.value),
                identity,
            }
        })
        .collect()
}

/// Each caller must be told from the others, in a way that its grants can be used.
fn known_by(name: &str, file: &At<CallerFile>, faults: &mut Faults<'_>) {
    if !is_namespace(name) {
        let message = format!("`{}` is no name for a caller", name.escape_debug());
        faults.add("callers", file, &message, Some(NAME_HELP));
    }
    if file.token_file.is_none() && file.uid.is_none() && file.identity.is_none() {
        let message = format!("nothing tells caller `{name}` from others");
        let help = "give it a `uid`, by which it is known on a unix socket, a `token_file`, whose \
                    text it presents as a bearer token, or an `identity`, which its certificate \
                    names";
        faults.add("callers", file, &message, Some(help));
    }
    let more = file.may.iter().find(|may| may.needs_more_than_a_token());
    if let Some(grant) = more
        && file.uid.is_none()
        && file.identity.is_none()
        && file.token_file.is_some()
    {
        let message = format!(
            "`{}` may be used over a unix socket, or with a client certificate, only",
            grant.value
        );
        let help = "give the caller a `uid`, by which it is known on a unix socket, or an \
                    `identity`, which its certificate names";
        faults.add("callers", grant, &message, Some(help));
    }
    if let Some(path) = file.token_file.as_ref().filter(|path| path.is_empty()) {
        faults.add("callers", path, "the file's name is empty", None);
    }
}

/// Where certificates are to name a caller, they must be asked for, and the name be one.
fn certified(at: &At<String>, asks_for_certificates: bool, faults: &mut Faults<'_>) {
    if !asks_for_certificates {
        let message = "no client is asked for a certificate, so that none can name this caller";
        let help = "add `client_ca: FILE` to `listen: { tls: ... }`";
        faults.add("callers", at, message, Some(help));
    }
    let is_text = at.bytes().all(|byte| byte.is_ascii_graphic());
    let is_name = match identity_text(at).strip_prefix("spiffe://") {
        Some(id) => !id.is_empty() && !id.starts_with('/') && !id.contains(['?', '#']),
        None => !at.is_empty() && !at.contains([':', '/', '*', '@']),
    };
    if !is_text || !is_name {
        let message = format!(
            "`{}` is nothing that a certificate names",
            at.escape_debug()
        );
        let help = "write a SPIFFE id as `spiffe://shop.example/checkout`, or a host name";
        faults.add("callers", at, &message, Some(help));
    }
}

/// As certificates are read: the case of a host name says nothing, that of a path does.
fn identity_text(at: &At<String>) -> String {
    if at.starts_with("spiffe://") {
        at.value.clone()
    } else {
        at.to_ascii_lowercase()
    }
}

fn caller(name: &str, file: &CallerFile, faults: &mut Faults<'_>) -> Caller {
    Caller {
        tenant: tenant(file, faults),
        grants: file
            .may
            .iter()
            .map(|may| may.value)
            .collect::<BTreeSet<Grant>>(),
        wires: file.wires.as_ref().map(|wires| {
            let kinds = wires.iter().filter_map(|wire| kind(wire, faults));
            kinds.collect()
        }),
        sign_in: namespaces(file, faults),
        claims: Some(file.claims.iter().map(|at| at.value.clone()).collect()),
        ..Caller::new(name)
    }
}

fn tenant(file: &CallerFile, faults: &mut Faults<'_>) -> Tenant {
    let Some(at) = &file.tenant else {
        return Tenant::default();
    };
    Tenant::new(&at.value).unwrap_or_else(|| {
        let message = format!("`{}` is no name for a tenant", at.escape_debug());
        faults.add("callers", at, &message, Some(NAME_HELP));
        Tenant::default()
    })
}

fn namespaces(file: &CallerFile, faults: &mut Faults<'_>) -> BTreeSet<String> {
    for at in file.sign_in.iter().filter(|at| !is_namespace(at)) {
        let message = format!("`{}` is no namespace", at.escape_debug());
        faults.add("callers", at, &message, Some(NAME_HELP));
    }
    file.sign_in.iter().map(|at| at.value.clone()).collect()
}

fn kind(at: &At<String>, faults: &mut Faults<'_>) -> Option<WireKind> {
    let kind = WireKind::parse(at);
    if kind.is_none() {
        let message = format!("`{}` is no kind of wire", at.escape_debug());
        let names = WireKind::BUILT_IN
            .map(|kind| format!("`{kind}`"))
            .join(", ");
        let help = format!("write one of {names}, or the name of a wire of your own");
        faults.add("callers", at, &message, Some(&help));
    }
    kind
}
