//! Routes of Envoy for the operations with a check that reads the body: of those alone is it handed
//! over, and all others stay streams.

use std::cmp::Ordering;

use auth_core::{
    operation::App,
    policy::Policy,
    route::{Method, Pattern},
    wire::{MAX_DATA_BYTES, WireKind},
};

/// One byte more than a decision reads: what is longer is then seen to be.
const MAX_REQUEST_BYTES: usize = MAX_DATA_BYTES + 1;

/// How large a regular expression Envoy is told to take: its own limit of 100 is soon reached.
const PROGRAM_SIZE: usize = 100_000;

/// Another spelling of a segment: with an escape that a plain comparison does not know.
const ESCAPED: &str = "[^/]*%[^/]*";

/// A route of an app.
#[derive(Clone, Copy, Debug)]
struct Row<'p> {
    method: &'p Method,
    pattern: &'p Pattern,
    reads_body: bool,
}

/// The routes, the most specific first as Envoy wants them; empty where no check reads a body.
pub(super) fn routes(policy: &Policy) -> String {
    let apps = &policy.apps.all;
    let mut rows: Vec<_> = apps.iter().flat_map(rows).collect();
    // The paths of several apps are told apart by their hosts, which stand in no route.
    if apps.len() > 1 {
        rows.retain(|row| row.reads_body);
    }
    let with_body: Vec<_> = rows.iter().copied().filter(|row| row.reads_body).collect();
    rows.retain(|row| row.reads_body || with_body.iter().any(|other| goes_before(*row, *other)));
    rows.sort_by(|one, other| order(*one, *other));
    rows.iter().map(|row| row.printed()).collect()
}

/// What Envoy must be told to take such routes.
pub(super) fn runtime(routes: &str) -> String {
    match routes.is_empty() {
        true => String::new(),
        false => format!(
            "layered_runtime: {{ layers: [ {{ name: regexes, static_layer: {{ re2: {{ \
             max_program_size: {{ error_level: {PROGRAM_SIZE} }} }} }} }} ] }}\n"
        ),
    }
}

fn rows(app: &App) -> impl Iterator<Item = Row<'_>> {
    app.http.iter().filter_map(|(method, pattern, index)| {
        let operation = app.operations.get(*index)?;
        Some(Row {
            method,
            pattern,
            reads_body: operation.data_check(&app.checks, &WireKind::Http).is_some(),
        })
    })
}

/// Whether some calls of `row`, which reads no body, would else be taken for some of `other`.
fn goes_before(row: Row<'_>, other: Row<'_>) -> bool {
    let is_head_of = |one: &str, two: &str| one == "HEAD" && two == "GET";
    let share_methods = match (row.method, other.method) {
        (Method::Exactly(one), Method::Exactly(two)) => {
            one == two || is_head_of(one, two) || is_head_of(two, one)
        }
        (Method::Any, _) | (_, Method::Any) => true,
    };
    share_methods
        && order(row, other) == Ordering::Less
        && share_paths(parts(row.pattern), parts(other.pattern))
}

/// Whether two patterns match some path both.
fn share_paths<'p>(
    mut one: impl Iterator<Item = &'p str>,
    mut other: impl Iterator<Item = &'p str>,
) -> bool {
    loop {
        match (one.next(), other.next()) {
            (Some("**"), _) | (_, Some("**")) | (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some(one), Some(other)) if rank(one) + rank(other) == 0 && one != other => {
                return false;
            }
            (Some(_), Some(_)) => {}
        }
    }
}

/// From the left a literal goes before one segment, this before the rest; then a method before any.
fn order(one: Row<'_>, other: Row<'_>) -> Ordering {
    let ranks = |row: Row<'_>| parts(row.pattern).map(rank).collect::<Vec<_>>();
    let methods = |row: Row<'_>| match row.method {
        Method::Exactly(method) => u8::from(&**method == "GET"),
        Method::Any => 2,
    };
    (ranks(one), methods(one)).cmp(&(ranks(other), methods(other)))
}

fn parts(pattern: &Pattern) -> impl Iterator<Item = &str> {
    pattern.as_str().split('/').skip(1)
}

/// How little a segment says.
fn rank(part: &str) -> u8 {
    match part {
        "**" => 2,
        _ if part == "*" || part.starts_with('{') => 1,
        _ => 0,
    }
}

impl Row<'_> {
    fn printed(&self) -> String {
        let method = match self.method {
            Method::Any => String::new(),
            // What GET does, HEAD reaches too.
            Method::Exactly(method) if &**method == "GET" => {
                ", headers: [ { name: \":method\", string_match: { safe_regex: { regex: 'GET|HEAD' } \
                 } } ]"
                    .to_owned()
            }
            Method::Exactly(method) => format!(
                ", headers: [ {{ name: \":method\", string_match: {{ exact: {} }} }} ]",
                quoted(method)
            ),
        };
        let body = match self.reads_body {
            false => String::new(),
            true => format!(
                "                typed_per_filter_config:
                  envoy.filters.http.ext_authz:
                    \"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                    check_settings:
                      with_request_body: {{ max_request_bytes: {MAX_REQUEST_BYTES}, allow_partial_message: true, pack_as_bytes: true }}
"
            ),
        };
        format!(
            "              - match: {{ safe_regex: {{ regex: {} }}{method} }}
                route: {{ cluster: app, timeout: 0s }}
{body}",
            quoted(&self.regex())
        )
    }

    /// Matches the paths of its pattern as clients write them. A body that a check reads is to be
    /// there however its path is spelled, so that any escape may stand for a literal; where none is
    /// read, another spelling is left to the routes behind.
    fn regex(&self) -> String {
        let mut regex = String::new();
        for part in parts(self.pattern) {
            match rank(part) {
                2 => regex.push_str("(?:/.*)?"),
                1 => regex.push_str("/[^/]+"),
                _ if part.is_empty() || !self.reads_body => {
                    regex.push('/');
                    regex.push_str(&literal(part));
                }
                _ => regex.push_str(&format!("/(?:{}|{ESCAPED})", literal(part))),
            }
        }
        regex
    }
}

/// A literal as a regular expression of the bytes that clients send for it.
fn literal(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                written.push(char::from(byte));
            }
            // These stand for themselves in a path, and for something else in an expression.
            b'.' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':'
            | b'@' | b'[' | b']' | b'|' | b'^' => {
                written.push('\\');
                written.push(char::from(byte));
            }
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

/// As YAML has it, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
