//! A table of attacks and how it is run.

use auth_core::jwt::Rejection;

use crate::kit::kit;

/// One attack: what it is called, the token, and why it must be refused.
pub struct Row(pub String, pub String, pub Rejection);

pub fn row(name: impl Into<String>, token: impl Into<String>, expected: Rejection) -> Row {
    Row(name.into(), token.into(), expected)
}

/// Runs the rows of a group, all of them, and fails with those that went wrong.
pub fn refuse_all(group: &str, requirement: &str, at_least: usize, rows: &[Row]) {
    let mut wrong = Vec::new();
    for Row(name, token, expected) in rows {
        match kit().verdict(token) {
            Err(rejection) if rejection == *expected => {}
            other => wrong.push(format!("{name}: {other:?} instead of {expected:?}")),
        }
    }
    println!(
        "{requirement} {group}: {} of {} refused",
        rows.len() - wrong.len(),
        rows.len()
    );
    assert!(wrong.is_empty(), "{requirement} {group}: {wrong:#?}");
    assert!(
        rows.len() >= at_least,
        "{requirement} {group}: only {} rows",
        rows.len()
    );
}
