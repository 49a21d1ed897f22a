//! What a proxy that asks by forward-auth cannot supply: the body (R24).

use super::{Faults, context::Context};
use crate::{
    check::Check,
    operation::{Apps, Operation},
    policy::{scalar::At, source::Document},
    wire::WireKind,
};

/// Refuses operations of an app with a check that could never hold when a proxy asks.
pub(super) fn check(
    context: &Context<'_>,
    operations: &[Operation],
    checks: &[Check],
    faults: &mut Faults,
) {
    for operation in operations {
        let Some(file) = context.own.file.operations.get(&*operation.name) else {
            continue;
        };
        if file.http.is_empty() || is_excepted(context.main, &operation.name) {
            continue;
        }
        let Some((check, field)) = operation.data_check(checks, &WireKind::Http) else {
            continue;
        };
        let (name, check) = (&operation.name, check.name());
        let message = format!(
            "check `{check}` of operation `{name}` reads `data.{}` from the body, which \
             `listen.forward_auth` is never given",
            field.name
        );
        let help = format!(
            "take it from the path or the query, as `http: query.{}`; or add `without_body: [ \
             {name} ]` to `listen.forward_auth`, where the check then never holds",
            field.name
        );
        match file.data.get(&*field.name) {
            Some(at) => faults.error_help(context.own, at, &message, &help),
            None => faults.error_help(context.own, file, &message, &help),
        }
    }
}

/// Whether forward-auth is off, or knowingly does without the body of this operation.
fn is_excepted(main: &Document, name: &str) -> bool {
    excepted(main).is_none_or(|names| names.iter().any(|listed| *listed.value == *name))
}

fn excepted(main: &Document) -> Option<&[At<String>]> {
    let listen = main.file.listen.as_ref()?;
    Some(&listen.forward_auth.as_ref()?.without_body)
}

/// Refuses exceptions for operations that are not there.
pub(super) fn refuse_unknown(main: &Document, apps: &Apps, faults: &mut Faults) {
    let names = || {
        let operations = apps.all.iter().flat_map(|app| &app.operations);
        operations.map(|operation| &*operation.name)
    };
    for at in excepted(main).unwrap_or_default() {
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

    fn load(operation: &str, more: &str) -> Result<Policy, PolicyError> {
        let text = format!(
            "listen:\n  forward_auth: {{ address: 127.0.0.1:1, trusted_proxies: [ 127.0.0.1 ], \
             caller: edge{more} }}\n\
             checks: {{ is_small: data.amount < 10 }}\n\
             operations:\n  pay: {{ {operation} }}\n"
        );
        Policy::load(Path::new("f.yaml"), &One(text), &Natives::default())
    }

    #[test]
    fn r24_only_what_http_reaches_and_a_check_reads_from_the_body_is_refused() {
        for (operation, is_good) in [
            (
                "require: is_small, data: { amount: { type: int } }, http: POST /pay",
                false,
            ),
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
        ] {
            assert_eq!(load(operation, "").is_ok(), is_good, "{operation}");
        }
    }

    #[test]
    fn r24_an_operation_may_do_without_its_body() {
        let pay = "require: is_small, data: { amount: { type: int } }, http: POST /pay";
        assert!(load(pay, ", without_body: [ pay ]").is_ok());
    }
}
