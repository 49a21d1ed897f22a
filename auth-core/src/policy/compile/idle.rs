//! Keys that say something which nothing heeds. None passes in silence: where a whole file's meaning
//! would be lost it is an error, else a warning.

use super::{Faults, target::ParsedTarget};
use crate::{
    policy::{
        file::{Actors, DataFile, OperationFile, SessionNeed, StrategyFile},
        platform::place_of_key,
        scalar::At,
        source::Document,
    },
    wire::WireKind,
};

/// A main file that only includes is no app, so what it says of itself as one has no meaning.
pub(super) fn refuse_app_of_no_app(main: &Document, faults: &mut Faults) {
    let place = |at: &At<String>| at.with(());
    let keys = [
        ("app", main.file.app.as_ref().map(place)),
        ("hosts", main.file.hosts.first().map(place)),
        ("cors", main.file.cors.as_ref().map(|at| at.with(()))),
    ];
    for (key, at) in keys {
        let Some(at) = at else { continue };
        let message =
            format!("`{key}` has no meaning here: the file includes apps and has no operations");
        let help = format!("move `{key}` to the included file that it is about, or add operations");
        faults.error_help(main, &at, &message, &help);
    }
}

/// Warns of keys of the platform's part that need another key to mean something.
pub(super) fn warn_of_platform_part(main: &Document, faults: &mut Faults) {
    let sessions = main.file.sessions.as_ref();
    if sessions.is_some_and(|file| file.beyond_limit.is_some() && file.max_per_subject.is_none()) {
        let (line, column) = place_of_key(&main.text, "sessions");
        let message = "`beyond_limit` has no effect without `max_per_subject`";
        faults
            .warnings
            .push(main.error_at(line, column, "sessions".len(), message, None));
    }
    for strategy in main.file.strategies.iter().flatten() {
        let StrategyFile::Bearer(bearer) = &strategy.value else {
            continue;
        };
        for issuer in &bearer.issuers {
            if let Some(keys_file) = issuer.keys_file.as_ref().filter(|_| issuer.private_address) {
                let message =
                    "`private_address` has no effect: with `keys_file` nothing is fetched";
                warn(main, keys_file, message, faults);
            }
        }
    }
}

/// Warns of keys of an operation that no call of it can be touched by.
pub(super) fn warn_of_operation(
    document: &Document,
    file: &At<OperationFile>,
    targets: &[ParsedTarget<'_>],
    faults: &mut Faults,
) {
    let is_sessionless = file
        .session
        .as_ref()
        .is_some_and(|need| need.value == SessionNeed::None);
    if is_sessionless && file.actors == Some(Actors::Allow) {
        let message = "`actors: allow` has no effect with `session: none`";
        warn(document, file, message, faults);
    }
    let of_http = [
        ("cross_site", file.cross_site.as_ref().map(|at| at.with(()))),
        ("cors", file.cors.as_ref().map(|at| at.with(()))),
    ];
    let has_http = targets.iter().any(|target| target.kind() == WireKind::Http);
    for (key, at) in of_http {
        if let Some(at) = at.filter(|_| !has_http) {
            let message =
                format!("`{key}` has no effect here: the operation has no target on http");
            warn(document, &at, &message, faults);
        }
    }
    for field in file.data.values() {
        for (kind, path) in places(field) {
            if !targets.iter().any(|target| target.kind() == kind) {
                let message =
                    format!("`{kind}` has no effect here: the operation has no target on {kind}");
                warn(document, path, &message, faults);
            }
        }
    }
}

/// Where a field stands, by wire, as far as the file says.
fn places(file: &DataFile) -> impl Iterator<Item = (WireKind, &At<String>)> {
    [
        (WireKind::Http, &file.http),
        (WireKind::Grpc, &file.grpc),
        (WireKind::WebSocket, &file.websocket),
        (WireKind::Cli, &file.cli),
        (WireKind::Mcp, &file.mcp),
        (WireKind::Queue, &file.queue),
        (WireKind::Schedule, &file.schedule),
        (WireKind::Rpc, &file.rpc),
    ]
    .into_iter()
    .filter_map(|(kind, path)| path.as_ref().map(|path| (kind, path)))
}

fn warn<T>(document: &Document, at: &At<T>, message: &str, faults: &mut Faults) {
    faults.warnings.push(document.error(at, message, None));
}
