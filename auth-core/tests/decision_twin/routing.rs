//! Which app and operation a call reaches, and what is below a prefix: every route is looked at.

use auth_core::wire::WireKind;

use super::{
    calls::Asked,
    model::{App, File, Operation},
};

/// The app of a host: by name, then by the longest wildcard, then the app of every other host.
pub fn app<'f>(file: &'f File, host: &str) -> Result<Option<&'f App>, ()> {
    let fallback = file.apps.iter().find(|app| app.hosts.is_empty());
    if host.is_empty() {
        return Ok(match &*file.apps {
            [only] => Some(only),
            _ => fallback,
        });
    }
    if host.contains(' ') {
        return Err(());
    }
    let host = host.to_lowercase();
    let host = host
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let named = |app: &&App| app.hosts.contains(&host);
    let below = |app: &&App| {
        let wildcards = app.hosts.iter().filter_map(|host| host.strip_prefix('*'));
        wildcards
            .into_iter()
            .any(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
    };
    Ok(file
        .apps
        .iter()
        .find(named)
        .or(file.apps.iter().find(below))
        .or(fallback))
}

/// The canonical path or name; `None` when it is malformed or ambiguous.
pub fn canonical(kind: &WireKind, target: &str) -> Option<String> {
    match kind {
        WireKind::Http => {
            let path = target.split('?').next()?;
            let strange = ["//", "%2f", "%2e"].iter().any(|part| path.contains(part));
            let dots = path
                .split('/')
                .any(|segment| segment == "." || segment == "..");
            (path.starts_with('/') && !strange && !dots).then(|| path.replace("%61", "a"))
        }
        WireKind::Grpc => {
            let parts: Vec<_> = target.split('/').collect();
            let word = |part: &str| {
                let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let digit = |c: char| c.is_ascii_digit();
                part.split('.').all(|part| {
                    !part.is_empty() && !part.starts_with(digit) && part.chars().all(letter)
                })
            };
            match &*parts {
                ["", service, method] if word(service) && word(method) => Some(target.into()),
                _ => None,
            }
        }
        _ => (!target.is_empty() && target.trim() == target).then(|| target.into()),
    }
}

/// The operation of a target, and the target as the file has it.
pub fn reached<'f>(app: &'f App, asked: &Asked, path: &str) -> Option<(&'f Operation, &'f str)> {
    let mut found = vec![];
    for operation in &app.operations {
        for (kind, target) in &operation.targets {
            let matches = *kind == asked.kind
                && match kind {
                    WireKind::Http => {
                        let (method, pattern) = target.split_once(' ')?;
                        (method == "ANY" || method == asked.method) && matches(pattern, path)
                    }
                    WireKind::Grpc => format!("/{target}") == path,
                    _ => target == path,
                };
            if matches {
                found.push((operation, &**target));
            }
        }
    }
    // The most specific wins: from the left, a literal before one segment before the rest; on equal
    // patterns a method before any.
    found.sort_by_key(|(_, target)| {
        let (method, pattern) = target.split_once(' ').unwrap_or_default();
        let ranks = segments(pattern).into_iter().map(|segment| match segment {
            "**" => 2,
            "*" => 1,
            segment if segment.starts_with('{') => 1,
            _ => 0,
        });
        (ranks.collect::<Vec<_>>(), method == "ANY")
    });
    found.first().copied()
}

pub fn segments(path: &str) -> Vec<&str> {
    path.split('/').skip(1).collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (segments(pattern), segments(path));
    if let Some((&"**", front)) = pattern.split_last() {
        return path.len() >= front.len() && all_match(front, &path[..front.len()]);
    }
    pattern.len() == path.len() && all_match(&pattern, &path)
}

fn all_match(pattern: &[&str], path: &[&str]) -> bool {
    pattern
        .iter()
        .zip(path)
        .all(|(pattern, part)| match *pattern {
            pattern if pattern == "*" || pattern.starts_with('{') => !part.is_empty(),
            literal => literal == *part,
        })
}

/// The path of a prefix, however it is written; empty for the root.
pub fn root(prefix: &str) -> &str {
    let prefix = prefix.trim_end_matches('*');
    prefix.trim_end_matches('/')
}

pub fn is_below(prefix: &str, path: &str) -> bool {
    let root = root(prefix);
    path == root || path.starts_with(&format!("{root}/"))
}

/// How many of a target's paths are below a prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    All,
    Some,
    None,
}

pub fn covered(prefix: &str, pattern: &str) -> Covered {
    let pattern = segments(pattern);
    let mut covered = Covered::All;
    for (at, wanted) in segments(root(prefix)).into_iter().enumerate() {
        match pattern.get(at).copied() {
            Some("**") => return Covered::Some,
            Some(segment) if segment == "*" || segment.starts_with('{') => covered = Covered::Some,
            Some(segment) if segment == wanted => {}
            _ => return Covered::None,
        }
    }
    covered
}
