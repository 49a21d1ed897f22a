//! What an edge should send for a kind of wire.

use crate::{
    data::FieldSource,
    decision_point::WireProfile,
    operation::{App, Operation},
    policy::Policy,
    strategy::Strategy,
    wire::{CredentialSource, WireKind},
};

pub(super) fn profile(policy: &Policy, kind: &WireKind) -> WireProfile {
    let mut credentials = Vec::new();
    for strategy in &policy.strategies.all {
        credentials.push(match strategy {
            Strategy::Bearer(_) => (CredentialSource::Authorization, String::new()),
            Strategy::ApiKey(key) => (CredentialSource::Header, key.header.to_string()),
            Strategy::Cookie(cookie) => (CredentialSource::Cookie, cookie.cookie.name.clone()),
            Strategy::Native { name, .. } => (CredentialSource::Envelope, name.to_string()),
        });
    }
    let query_parameters = policy.strategies.all.iter().filter_map(query_parameter);
    let apps = policy.apps.all.iter();
    let data = apps
        .flat_map(|app| app.operations.iter().map(move |operation| (app, operation)))
        .filter(|(app, operation)| is_reached(app, operation, kind))
        .flat_map(|(_, operation)| fields(operation, kind))
        .collect();
    WireProfile {
        credentials,
        query_parameters: query_parameters.collect(),
        attributes: Vec::new(),
        data,
        policy_version: policy.version.clone(),
    }
}

/// The parameter of a query that a strategy reads.
fn query_parameter(strategy: &Strategy) -> Option<String> {
    match strategy {
        Strategy::ApiKey(key) => key.query.as_deref().map(str::to_owned),
        Strategy::Bearer(_) | Strategy::Cookie(_) | Strategy::Native { .. } => None,
    }
}

/// Whether the operation has a target on this kind of wire.
fn is_reached(app: &App, operation: &Operation, kind: &WireKind) -> bool {
    let is_own = |index: &usize| {
        app.operations
            .get(*index)
            .is_some_and(|other| std::ptr::eq(other, operation))
    };
    match kind {
        WireKind::Http => app.http.iter().any(|(_, _, index)| is_own(index)),
        WireKind::Grpc => app.grpc.values().any(is_own),
        other => app
            .names
            .get(other)
            .is_some_and(|names| names.values().any(is_own)),
    }
}

fn fields(operation: &Operation, kind: &WireKind) -> Vec<(std::sync::Arc<str>, String, String)> {
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
        .filter_map(|field| Some((operation.name.clone(), field.name.to_string(), path(field)?)))
        .collect()
}
