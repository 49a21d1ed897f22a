//! The processes that may ask, as the file names them (R25).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{CallerSettings, Faults, join};
use crate::{
    caller::{Caller, Grant},
    policy::{file::CallerFile, scalar::At},
    principal::is_namespace,
    session::Tenant,
    wire::WireKind,
};

const NAME_HELP: &str =
    "write 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter";

pub(super) fn read(
    files: &BTreeMap<String, At<CallerFile>>,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Vec<CallerSettings> {
    let mut uids = BTreeMap::new();
    files
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
            CallerSettings {
                caller: Arc::new(caller(name, file, faults)),
                token_file: file
                    .token_file
                    .as_ref()
                    .map(|path| join(folder, &*path.value)),
                uid: file.uid.map(|uid| uid.value),
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
    if file.token_file.is_none() && file.uid.is_none() {
        let message = format!("nothing tells caller `{name}` from others");
        let help = "give it a `uid`, by which it is known on a unix socket, or a `token_file`, \
                    whose text it presents as a bearer token";
        faults.add("callers", file, &message, Some(help));
    }
    let needs_socket = file.may.iter().find(|may| may.needs_unix_socket());
    if let Some(grant) = needs_socket
        && file.uid.is_none()
        && file.token_file.is_some()
    {
        let message = format!("`{}` may be used over a unix socket only", grant.value);
        let help = "give the caller a `uid`, by which it is known there";
        faults.add("callers", grant, &message, Some(help));
    }
    if let Some(path) = file.token_file.as_ref().filter(|path| path.is_empty()) {
        faults.add("callers", path, "the file's name is empty", None);
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
