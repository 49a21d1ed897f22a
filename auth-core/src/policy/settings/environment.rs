//! Overrides by environment: `SIDEGATE__SECTION__KEY`, or `SIDEGATE__SECTION__KEY_FILE` for the
//! name of a file that holds the value.
//!
//! Only scalars of the platform's part can be overridden. Checks, rules and operations never can:
//! a variable that tries is an error, and so is one that is not known.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IntoDeserializer, value::Error as ValueError};

use super::{Faults, outside};
use crate::policy::{
    file::{EmbeddedFile, PolicyFile, StoreFile},
    scalar::{At, OneOrMany, Span},
};

const PREFIX: &str = "SIDEGATE__";
const FILE_SUFFIX: &str = "_FILE";

/// What can be overridden.
pub(super) const KEYS: [&str; 15] = [
    "listen.grpc",
    "listen.http",
    "listen.admin",
    "listen.telemetry",
    "store.embedded.path",
    "sessions.lifetime",
    "sessions.idle",
    "sessions.renew",
    "sessions.max_per_subject",
    "sessions.beyond_limit",
    "keys.dir",
    "keys.overlap",
    "telemetry.log",
    "telemetry.log_filter",
    "telemetry.log_one_allow_in",
];

/// Puts the variables in the place of what the file says.
pub(super) fn apply(
    file: &mut PolicyFile,
    environment: impl IntoIterator<Item = (String, String)>,
    faults: &mut Faults<'_>,
) {
    let ours: BTreeMap<String, String> = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    for (variable, given) in &ours {
        match read(variable, given, &ours) {
            Ok((key, value)) => {
                faults.note_override(key.clone(), variable.clone());
                if let Err(problem) = set(file, &key, &value) {
                    faults.push(fault(variable, problem, None));
                }
            }
            Err((problem, help)) => faults.push(fault(variable, problem, help)),
        }
    }
}

fn fault(
    variable: &str,
    problem: String,
    help: Option<String>,
) -> crate::policy::diagnostic::Diagnostic {
    outside(
        format!("the environment variable {variable}"),
        problem,
        help,
    )
}

/// The key that a variable names, and the value for it.
fn read(
    variable: &str,
    given: &str,
    all: &BTreeMap<String, String>,
) -> Result<(String, String), (String, Option<String>)> {
    let named = variable.strip_prefix(PREFIX).unwrap_or_default();
    let key_of = |name: &str| name.to_ascii_lowercase().replace("__", ".");
    let key = key_of(named);
    if KEYS.contains(&&*key) {
        return Ok((key, given.to_owned()));
    }
    let by_file = named
        .strip_suffix(FILE_SUFFIX)
        .map(|name| (name, key_of(name)))
        .filter(|(_, key)| KEYS.contains(&&**key));
    let Some((name, key)) = by_file else {
        let names =
            KEYS.map(|key| format!("`{PREFIX}{}`", key.to_ascii_uppercase().replace('.', "__")));
        let help = format!("what can be set is {}", names.join(", "));
        let problem = format!("`{variable}` can not be set by environment");
        return Err((problem, Some(help)));
    };
    if all.contains_key(&format!("{PREFIX}{name}")) {
        let problem = format!("both `{PREFIX}{name}` and `{variable}` are set");
        return Err((problem, Some("set one of them".to_owned())));
    }
    std::fs::read_to_string(given)
        .map(|text| (key, text.trim_end_matches(['\r', '\n']).to_owned()))
        .map_err(|err| {
            (
                format!("the file that it names cannot be read: {err}"),
                None,
            )
        })
}

fn set(file: &mut PolicyFile, key: &str, value: &str) -> Result<(), String> {
    let listen = file.listen.get_or_insert_default();
    let sessions = file.sessions.get_or_insert_default();
    let keys = file.keys.get_or_insert_default();
    let telemetry = file.telemetry.get_or_insert_default();
    match key {
        "listen.grpc" => listen.grpc = Some(list(value)),
        "listen.http" => listen.http = Some(list(value)),
        "listen.admin" => listen.admin = text(value),
        "listen.telemetry" => listen.telemetry = text(value),
        "store.embedded.path" => {
            file.store = Some(StoreFile::Embedded(EmbeddedFile {
                path: At::nowhere(value.to_owned()),
            }));
        }
        "sessions.lifetime" => sessions.lifetime = span(value)?,
        "sessions.idle" => sessions.idle = span(value)?,
        "sessions.renew" => sessions.renew = span(value)?,
        "sessions.max_per_subject" => sessions.max_per_subject = number(value)?,
        "sessions.beyond_limit" => sessions.beyond_limit = Some(word(value)?),
        "keys.dir" => keys.dir = text(value),
        "keys.overlap" => keys.overlap = span(value)?,
        "telemetry.log" => telemetry.log = Some(word(value)?),
        "telemetry.log_filter" => telemetry.log_filter = text(value),
        "telemetry.log_one_allow_in" => telemetry.log_one_allow_in = number(value)?,
        other => return Err(format!("`{other}` can not be set by environment")),
    }
    Ok(())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "stands in a row with those that can fail"
)]
fn text(value: &str) -> Option<At<String>> {
    Some(At::nowhere(value.to_owned()))
}

/// Addresses, divided by commas.
fn list(value: &str) -> OneOrMany<String> {
    let parts = value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    OneOrMany(parts.map(|part| At::nowhere(part.to_owned())).collect())
}

fn span(value: &str) -> Result<Option<At<Span>>, String> {
    let span = Span::parse(value).ok_or_else(|| {
        let shown = value.escape_debug();
        format!("`{shown}` is no span of time: write a number and a unit, as `90s` or `7d`")
    })?;
    Ok(Some(At::nowhere(span)))
}

fn number(value: &str) -> Result<Option<At<u32>>, String> {
    let number = value.parse().map_err(|_| {
        format!(
            "`{}` is no number from 0 to {}",
            value.escape_debug(),
            u32::MAX
        )
    })?;
    Ok(Some(At::nowhere(number)))
}

/// One of the words of an enum.
fn word<T: DeserializeOwned>(value: &str) -> Result<T, String> {
    T::deserialize(value.into_deserializer()).map_err(|err: ValueError| err.to_string())
}
