//! Refuses what the configured edges could never let pass, since they cannot supply what its checks
//! read (R24).

use super::{Faults, context::Context};
use crate::{
    check::Check,
    operation::{Apps, Operation},
    policy::{
        file::OperationFile,
        scalar::At,
        settings::{Lack, Lacking},
        source::Document,
    },
    wire::WireKind,
};

/// Refuses operations of an app with a check that could never hold when an edge asks.
pub(super) fn check(
    context: &Context<'_>,
    operations: &[Operation],
    checks: &[Check],
    faults: &mut Faults,
) {
    for lack in Lack::of(&context.main.file) {
        for operation in operations {
            let Some(file) = context.own.file.operations.get(&*operation.name) else {
                continue;
            };
            let is_reached = match lack.kind {
                WireKind::Grpc => !file.grpc.is_empty(),
                _ => !file.http.is_empty(),
            };
            if is_reached && !lack.excepts(&operation.name) {
                refuse(&lack, context.own, file, (operation, checks), faults);
            }
        }
    }
}

fn refuse(
    lack: &Lack,
    own: &Document,
    file: &At<OperationFile>,
    (operation, checks): (&Operation, &[Check]),
    faults: &mut Faults,
) {
    let (name, edge, key) = (&operation.name, lack.edge, lack.what.key());
    let then = match lack.what {
        Lacking::Peer => "`workload.identity` is then `null`, so that a check with `!=` holds",
        Lacking::Body | Lacking::Message => "the check then never holds",
    };
    let besides = format!("add `{key}: [ {name} ]` to `{edge}`, where {then}");
    let data = |from: &str, mend: &dyn Fn(&str) -> String, faults: &mut Faults| {
        let Some((check, field)) = operation.data_check(checks, &lack.kind) else {
            return;
        };
        let (check, field) = (check.name(), &field.name);
        let message = format!(
            "check `{check}` of operation `{name}` reads `data.{field}` from {from}, which \
             `{edge}` is never given"
        );
        let help = format!("{}{besides}", mend(field));
        match file.data.get(&**field) {
            Some(at) => faults.error_help(own, at, &message, &help),
            None => faults.error_help(own, file, &message, &help),
        }
    };
    match lack.what {
        Lacking::Body => {
            let mend = |field: &str| {
                format!("take it from the path or the query, as `http: query.{field}`; or ")
            };
            data("the body", &mend, faults);
        }
        Lacking::Message => data("the message of gRPC", &|_| String::new(), faults),
        Lacking::Peer => {
            let Some(check) = operation.peer_check(checks, &lack.kind) else {
                return;
            };
            let check = check.name();
            let message = format!(
                "check `{check}` of operation `{name}` reads `workload`, which `{edge}` is never \
                 told of"
            );
            let help = match edge {
                "listen.proxy" => format!("give it `tls` with `client_ca`; or {besides}"),
                "listen.envoy" => format!("let its caller `peer.assert`; or {besides}"),
                _ => besides,
            };
            faults.error_help(own, file, &message, &help);
        }
    }
}

/// Refuses exceptions for operations that are not there. Where another Sidegate decides, its file
/// has them.
pub(super) fn refuse_unknown(main: &Document, apps: &Apps, faults: &mut Faults) {
    let Some(listen) = main
        .file
        .listen
        .as_ref()
        .filter(|_| main.file.decide.is_none())
    else {
        return;
    };
    let names = || {
        let operations = apps.all.iter().flat_map(|app| &app.operations);
        operations.map(|operation| &*operation.name)
    };
    let lists = [
        listen.forward_auth.as_ref().map(|file| &file.without_body),
        listen.forward_auth.as_ref().map(|file| &file.without_peer),
        listen.proxy.as_ref().map(|file| &file.without_message),
        listen.proxy.as_ref().map(|file| &file.without_peer),
        listen.envoy.as_ref().map(|file| &file.without_message),
        listen.envoy.as_ref().map(|file| &file.without_peer),
    ];
    for at in lists.into_iter().flatten().flatten() {
        if !names().any(|name| *name == *at.value) {
            faults.unknown(main, at, "operation", at, names());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::policy::{Natives, Policy, diagnostic::PolicyError, source::Files};

    #[derive(Debug)]
    struct One(String);

    impl Files for One {
        fn read(&self, _: &Path) -> std::io::Result<String> {
            Ok(self.0.clone())
        }

        fn expand(&self, _: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
            Ok(Vec::new())
        }

        fn read_secret(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    /// One operation, asked about by this edge.
    fn asked(edge: &str, operation: &str) -> Result<Policy, PolicyError> {
        let text = format!(
            "listen:\n  {edge}\n\
             checks:\n  is_small: data.amount < 10\n  is_mesh: workload.identity == \"mesh\"\n\
             operations:\n  pay: {{ {operation} }}\n  \
             declares: {{ data: {{ amount: {{ type: int }} }}, queue: declares }}\n"
        );
        Policy::load(Path::new("f.yaml"), &One(text), &Natives::default())
    }

    fn by_forward_auth(operation: &str, more: &str) -> Result<Policy, PolicyError> {
        let edge = format!(
            "forward_auth: {{ address: 127.0.0.1:1, trusted_proxies: [ 127.0.0.1 ], \
             caller: edge{more} }}"
        );
        asked(&edge, operation)
    }

    fn by_proxy(operation: &str, more: &str) -> Result<Policy, PolicyError> {
        let edge = format!(
            "proxy: {{ address: 127.0.0.1:1, upstream: \"http://a:1\", caller: edge{more} }}"
        );
        asked(&edge, operation)
    }

    fn by_envoy(operation: &str, more: &str) -> Result<Policy, PolicyError> {
        let edge = format!("envoy: {{ address: 127.0.0.1:1, caller: edge{more} }}");
        asked(&edge, operation)
    }

    const BODY: &str = "require: is_small, data: { amount: { type: int } }, http: POST /pay";
    const MESSAGE: &str = "require: is_small, data: { amount: { type: int } }, grpc: a.v1.Bank/Pay";
    const PEER: &str = "session: none, require: is_mesh, http: POST /pay, grpc: a.v1.Bank/Pay";

    #[test]
    fn r24_only_what_http_reaches_and_a_check_reads_from_the_body_is_refused() {
        for (operation, is_good) in [
            (BODY, false),
            ("data: { amount: { type: int } }, http: POST /pay", true),
            (
                "require: is_small, data: { amount: { type: int, http: query.amount } }, \
                 http: POST /pay",
                true,
            ),
            (
                "require: is_small, data: { amount: { type: int } }, http: \"POST /pay/{amount}\"",
                true,
            ),
            (
                "require: is_small, data: { amount: { type: int } }, queue: payments",
                true,
            ),
            (MESSAGE, true),
        ] {
            let loaded = by_forward_auth(operation, "");
            assert_eq!(loaded.is_ok(), is_good, "{operation}: {loaded:?}");
        }
    }

    #[test]
    fn r24_each_edge_is_asked_only_about_what_it_can_supply() {
        let authority = ", tls: { certificate: a, key: b, client_ca: c }";
        for (edge, loaded, is_good) in [
            ("forward_auth, peer", by_forward_auth(PEER, ""), false),
            ("proxy, body", by_proxy(BODY, ""), true),
            ("proxy, message", by_proxy(MESSAGE, ""), false),
            ("proxy, peer", by_proxy(PEER, ""), false),
            ("proxy, certified peer", by_proxy(PEER, authority), true),
            ("envoy, body", by_envoy(BODY, ""), true),
            ("envoy, message", by_envoy(MESSAGE, ""), false),
            ("envoy, peer", by_envoy(PEER, ""), false),
        ] {
            assert_eq!(loaded.is_ok(), is_good, "{edge}: {loaded:?}");
        }
    }

    #[test]
    fn r24_an_operation_may_do_without_what_is_not_there() {
        let (body, message, peer) = (
            ", without_body: [ pay ]",
            ", without_message: [ pay ]",
            ", without_peer: [ pay ]",
        );
        for (edge, loaded) in [
            ("forward_auth, body", by_forward_auth(BODY, body)),
            ("forward_auth, peer", by_forward_auth(PEER, peer)),
            ("proxy, message", by_proxy(MESSAGE, message)),
            ("proxy, peer", by_proxy(PEER, peer)),
            ("envoy, message", by_envoy(MESSAGE, message)),
            ("envoy, peer", by_envoy(PEER, peer)),
        ] {
            assert!(loaded.is_ok(), "{edge}: {loaded:?}");
        }
    }
}
