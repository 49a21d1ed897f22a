//! What all parts of an app are compiled with, and how they read names and types.

use std::collections::HashMap;

use super::{Faults, Natives, Sources};
use crate::{
    data::FieldId,
    expression::Type,
    policy::{scalar::At, source::Document},
};

/// What the parts of an app are compiled with.
pub(super) struct Context<'d> {
    /// The main file.
    pub(super) main: &'d Document,
    /// The file of the app; the main file itself where it is an app.
    pub(super) own: &'d Document,
    /// The sources.
    pub(super) sources: &'d Sources,
    /// What the program registered.
    pub(super) natives: &'d Natives,
}

impl<'d> Context<'d> {
    /// The files whose checks and claims the app may use: its own and the main one.
    pub(super) fn documents(&self) -> impl Iterator<Item = &'d Document> {
        let shared = (!std::ptr::eq(self.main, self.own)).then_some(self.main);
        std::iter::once(self.own).chain(shared)
    }
}

/// The names of data of an app.
pub(super) type Fields = HashMap<String, FieldId>;

pub(super) fn read_type(document: &Document, kind: &At<String>, faults: &mut Faults) -> Type {
    kind.parse().unwrap_or_else(|_| {
        faults.error_help(
            document,
            kind,
            &format!("unknown type `{}`", kind.escape_debug()),
            "types are `string`, `int`, `double`, `bool`, `timestamp`, `duration`, `list(TYPE)` \
             and `map`",
        );
        Type::Dyn
    })
}

pub(super) fn is_identifier(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(super) fn not_an_identifier(name: &str) -> String {
    format!(
        "`{}` is no identifier: letters, digits and `_`, not a digit first",
        name.escape_debug()
    )
}
