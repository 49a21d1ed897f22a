//! Reading the targets of operations.

use super::Faults;
use crate::{
    policy::{
        file::OperationFile,
        scalar::{At, OneOrMany},
        source::Document,
    },
    route::Route,
    target::{Target, parse_name},
    wire::WireKind,
};

/// A target, read.
pub(super) struct ParsedTarget<'d> {
    /// What the file says.
    pub(super) at: &'d At<String>,
    /// What it means.
    pub(super) parsed: Parsed,
}

/// What a target means.
pub(super) enum Parsed {
    /// A method and a pattern of paths.
    Http(Route),
    /// A gRPC path.
    Grpc(Box<str>),
    /// A name on another wire.
    Name(WireKind, Box<str>),
}

impl ParsedTarget<'_> {
    /// The kind of wire.
    pub(super) fn kind(&self) -> WireKind {
        match &self.parsed {
            Parsed::Http(_) => WireKind::Http,
            Parsed::Grpc(_) => WireKind::Grpc,
            Parsed::Name(kind, _) => kind.clone(),
        }
    }
}

/// The targets of an operation.
pub(super) fn targets<'d>(
    document: &'d Document,
    file: &'d OperationFile,
    faults: &mut Faults,
) -> Vec<ParsedTarget<'d>> {
    let mut targets = Vec::new();
    for at in file.http.iter() {
        match Route::parse(at) {
            Ok(route) => targets.push(ParsedTarget {
                at,
                parsed: Parsed::Http(route),
            }),
            Err(err) => faults.error(document, at, &err.to_string()),
        }
    }
    for at in file.grpc.iter() {
        // The file leaves the slash out, as people write gRPC methods; the wire has it.
        let path = format!("/{}", at.strip_prefix('/').unwrap_or(at));
        match Target::parse_grpc(path.as_bytes()) {
            Ok(_) => targets.push(ParsedTarget {
                at,
                parsed: Parsed::Grpc(path.into()),
            }),
            Err(err) => faults.error_help(
                document,
                at,
                &err.to_string(),
                "write `package.Service/Method`",
            ),
        }
    }
    for (kind, names) in named_wires(file) {
        for at in names.iter() {
            match parse_name(at.as_bytes()) {
                Ok(name) => {
                    let parsed = Parsed::Name(kind.clone(), name.into());
                    targets.push(ParsedTarget { at, parsed });
                }
                Err(err) => faults.error(document, at, &err.to_string()),
            }
        }
    }
    targets
}

/// The targets on wires that know them by a name.
pub(super) fn named_wires(file: &OperationFile) -> Vec<(WireKind, &OneOrMany<String>)> {
    let mut wires = vec![
        (WireKind::WebSocket, &file.websocket),
        (WireKind::Cli, &file.cli),
        (WireKind::Mcp, &file.mcp),
        (WireKind::Queue, &file.queue),
        (WireKind::Schedule, &file.schedule),
        (WireKind::Rpc, &file.rpc),
    ];
    for (name, names) in &file.custom {
        if let Some(kind @ WireKind::Custom(_)) = WireKind::parse(name) {
            wires.push((kind, names));
        }
    }
    wires
}
