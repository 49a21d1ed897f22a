//! Collects what is wrong, each with its place in the file or the environment.

use std::collections::BTreeMap;

use super::outside;
use crate::policy::{
    diagnostic::{Diagnostic, PolicyError},
    scalar::At,
    source::Document,
};

/// What was found wrong so far.
pub(super) struct Faults<'a> {
    main: &'a Document,
    /// The variables that took the place of a key of the file.
    overridden: BTreeMap<String, String>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Faults<'a> {
    pub(super) const fn new(main: &'a Document) -> Self {
        Self {
            main,
            overridden: BTreeMap::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Notes that the value of `key` (as `sessions.idle`) is a variable's.
    pub(super) fn note_override(&mut self, key: String, variable: String) {
        self.overridden.insert(key, variable);
    }

    /// The variable that the value of `key` came from, if it came from one.
    pub(super) fn variable_of(&self, key: &str) -> Option<&str> {
        self.overridden.get(key).map(String::as_str)
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Something is wrong with the value of `key`.
    pub(super) fn add<T>(&mut self, key: &str, at: &At<T>, message: &str, help: Option<&str>) {
        let help = help.map(str::to_owned);
        let diagnostic = match self.variable_of(key) {
            Some(variable) => outside(
                format!("the environment variable {variable}"),
                message.to_owned(),
                help,
            ),
            None => self.main.error(at, message, help),
        };
        self.push(diagnostic);
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, PolicyError> {
        if self.diagnostics.is_empty() {
            return Ok(value);
        }
        Err(PolicyError {
            diagnostics: self.diagnostics,
        })
    }
}
