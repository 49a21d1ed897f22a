//! What an edge should send for a kind of wire.

use std::{collections::HashSet, sync::Arc};

use crate::{
    check::Check,
    cors, cross_site,
    data::FieldSource,
    decision_point::{DataName, OperationTags, WireProfile},
    operation::{App, Operation},
    policy::Policy,
    strategy::Strategy,
    wire::{CredentialSource, WireKind},
};

/// Made once for a policy and each kind that has a name of ours.
pub(super) fn profile(policy: &Policy, kind: &WireKind) -> Arc<WireProfile> {
    let mut kinds = WireKind::BUILT_IN.iter().zip(&policy.profiles);
    match kinds.find(|(own, _)| *own == kind) {
        Some((_, made)) => Arc::clone(made.get_or_init(|| Arc::new(make(policy, kind)))),
        None => Arc::new(make(policy, kind)),
    }
}

fn make(policy: &Policy, kind: &WireKind) -> WireProfile {
    let mut credentials = Vec::new();
    for strategy in &policy.strategies.all {
        credentials.push(match strategy {
            // It is no part of the message.
            Strategy::Peer(_) => continue,
            Strategy::Bearer(_) => (CredentialSource::Authorization, String::new()),
            Strategy::ApiKey(key) => (CredentialSource::Header, key.header.to_string()),
            Strategy::Cookie(cookie) => (CredentialSource::Cookie, cookie.cookie.name.clone()),
            Strategy::Native { name, .. } => (CredentialSource::Envelope, name.to_string()),
        });
    }
    let query_parameters = policy.strategies.all.iter().filter_map(query_parameter);
    let apps = policy.apps.all.iter();
    let operations = apps.flat_map(|app| {
        let reached = reached(app, kind);
        let operations = app.operations.iter().enumerate();
        operations
            .filter_map(move |(index, operation)| reached.contains(&index).then_some(operation))
    });
    let (mut data, mut tags) = (Vec::new(), Vec::new());
    for operation in operations {
        data.extend(fields(operation, kind));
        if !operation.tags.is_empty() {
            tags.push(OperationTags {
                operation: operation.name.clone(),
                tags: operation.tags.to_vec(),
            });
        }
    }
    WireProfile {
        credentials,
        query_parameters: query_parameters.collect(),
        attributes: attributes(policy, kind),
        data,
        tags,
        peer_identity: reads_peer(policy),
        peer_certificate: policy.strategies.all.iter().any(|strategy| match strategy {
            Strategy::Bearer(bearer) => bearer.issuers.is_some(),
            // It is handed the whole call.
            Strategy::Native { .. } => true,
            Strategy::ApiKey(_) | Strategy::Cookie(_) | Strategy::Peer(_) => false,
        }),
        policy_version: policy.version.clone(),
    }
}

/// Whether the identity of a peer makes a difference.
fn reads_peer(policy: &Policy) -> bool {
    let strategies = &policy.strategies;
    let is_native = |strategy: &Strategy| matches!(strategy, Strategy::Native { .. });
    let mut checks = policy.apps.all.iter().flat_map(|app| &app.checks);
    strategies.peer().is_some()
        || strategies.all.iter().any(is_native)
        || checks.any(Check::reads_workload)
}

/// What tells where a request comes from.
fn attributes(policy: &Policy, kind: &WireKind) -> Vec<String> {
    if *kind != WireKind::Http {
        return Vec::new();
    }
    let mut operations = policy.apps.all.iter().flat_map(|app| &app.operations);
    let has_cors = operations.any(|operation| operation.cors.is_some());
    let cookies = policy.strategies.cookies();
    let csrf = cookies.filter_map(|cookie| Some(&*cookie.csrf.as_ref()?.header));
    let mut names: Vec<_> = cross_site::ATTRIBUTES
        .into_iter()
        .chain(has_cors.then_some(cors::REQUEST_METHOD))
        .chain(csrf)
        .map(str::to_owned)
        .collect();
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The parameter of a query that a strategy reads.
fn query_parameter(strategy: &Strategy) -> Option<String> {
    match strategy {
        Strategy::ApiKey(key) => key.query.as_deref().map(str::to_owned),
        Strategy::Bearer(_) | Strategy::Cookie(_) | Strategy::Peer(_) | Strategy::Native { .. } => {
            None
        }
    }
}

/// The operations that have a target on this kind of wire, by their places.
fn reached(app: &App, kind: &WireKind) -> HashSet<usize> {
    match kind {
        WireKind::Http => app.http.iter().map(|(_, _, index)| *index).collect(),
        WireKind::Grpc => app.grpc.values().copied().collect(),
        other => {
            let names = app.names.get(other).into_iter();
            names.flat_map(|names| names.values().copied()).collect()
        }
    }
}

fn fields(operation: &Operation, kind: &WireKind) -> Vec<DataName> {
    let path = |field: &crate::data::Field| match (kind, &field.http) {
        (WireKind::Http, FieldSource::Body(path)) => Some(path.to_string()),
        (WireKind::Http, _) => None,
        (other, _) => {
            let named = field
                .elsewhere
                .iter()
                .find(|(wire, _)| **wire == *other.as_str());
            Some(named.map_or(&field.name, |(_, path)| path).to_string())
        }
    };
    operation
        .fields
        .iter()
        .filter_map(|field| {
            Some(DataName {
                operation: operation.name.clone(),
                field: field.name.to_string(),
                path: path(field)?,
                text: (&field.kind).into(),
            })
        })
        .collect()
}
