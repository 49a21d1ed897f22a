//! The book shop's requirement in three branches: what P-1 and P-3 are measured with.

use std::path::Path;

use auth_core::{
    live::{Origin, Session},
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        source::{Disk, Document},
    },
    principal::Principal,
    scope::ScopeMatching,
    session::{Identity, JsonObject},
};

/// The file.
pub(crate) const POLICY: &str = include_str!("three_branches.yaml");

/// Compiles a file.
pub(crate) fn compile(text: &str) -> Policy {
    let document = Document::parse(Path::new("shop.yaml"), text.into()).unwrap();
    Policy::compile(&[document], &Disk, &BuiltInSources, &Natives::default()).unwrap()
}

/// A reader `u1` in this role.
pub(crate) fn identity(role: &str) -> Identity {
    Identity {
        subject: Principal::local("u1").ok(),
        claims: JsonObject::from_iter([("role".to_owned(), role.into())]),
        ..Identity::default()
    }
}

/// Their session.
pub(crate) fn session(role: &str) -> Session {
    let (attributes, matching) = (JsonObject::new(), ScopeMatching::Hierarchical);
    Session::new(
        Origin::Stated,
        "cookie".into(),
        identity(role),
        attributes,
        matching,
    )
}
