//! Which keys of a policy file are the platform's, and stand in the main file alone.

use super::{diagnostic::Diagnostic, source::Document};

/// The platform's keys in an included file, which is a team's part: operations and checks only.
pub(super) fn misplaced(document: &Document) -> Vec<Diagnostic> {
    let file = &document.file;
    let keys = [
        ("listen", file.listen.is_some()),
        ("decide", file.decide.is_some()),
        ("store", file.store.is_some()),
        ("sessions", file.sessions.is_some()),
        ("keys", file.keys.is_some()),
        ("telemetry", file.telemetry.is_some()),
        ("callers", !file.callers.is_empty()),
        ("strategies", file.strategies.is_some()),
        ("sources", !file.sources.is_empty()),
    ];
    let present = keys.into_iter().filter(|(_, present)| *present);
    let fault = |(key, _): (&str, bool)| {
        let (line, column) = place_of_key(&document.text, key);
        let message = format!("`{key}` belongs to the platform and stands in the main file only");
        let help = format!("move `{key}` to the file that includes this one");
        document.error_at(line, column, key.len(), &message, Some(help))
    };
    present.map(fault).collect()
}

/// Where a top-level key stands in a text, from 1; the first line when it is not found.
pub(super) fn place_of_key(text: &str, key: &str) -> (usize, usize) {
    let found = text.lines().enumerate().find_map(|(index, line)| {
        let at = line.find(key)?;
        let (before, rest) = line.split_at_checked(at)?;
        let after = rest.get(key.len()..)?.trim_start_matches(['"', '\'']);
        let stands_first = before.trim_matches(['{', '"', '\'', ' ']).is_empty();
        (stands_first && after.trim_start().starts_with(':'))
            .then(|| (index + 1, before.chars().count() + 1))
    });
    found.unwrap_or((1, 1))
}
