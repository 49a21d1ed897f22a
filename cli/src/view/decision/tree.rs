//! How a decision came about, as a tree for people.

use serde_json::{Map, Value};

use crate::{output, style};

/// The credential, the scopes, and each requirement with its keys (one is enough) and their checks
/// (all are needed).
pub(super) fn render(
    credential: &Value,
    requirements: &Value,
    more: &Map<String, Value>,
) -> String {
    let mut lines = vec![format!(
        "{} {}",
        style::dim("credential "),
        fate(credential)
    )];
    if let Some(scopes) = more.get("scopes") {
        let needed: Vec<String> = list(scopes, "needed")
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        lines.push(format!(
            "{} {} {}",
            style::dim("scopes     "),
            mark(scopes, "held"),
            needed.join(" ")
        ));
    }
    if let Some(failure) = more.get("failure").and_then(Value::as_str) {
        lines.push(format!(
            "{} {}",
            style::dim("failure    "),
            output::printable(failure)
        ));
    }
    for requirement in requirements.as_array().into_iter().flatten() {
        push_requirement(requirement, &mut lines);
    }
    lines.join("\n")
}

fn push_requirement(requirement: &Value, lines: &mut Vec<String>) {
    let place = style::dim(&text(requirement, "place"));
    let name = text(requirement, "name");
    if requirement.get("applies") == Some(&Value::Bool(false)) {
        lines.push(format!("{} {name}  {place}", style::dim("n/a")));
        return;
    }
    lines.push(format!("{} {name}  {place}", mark(requirement, "value")));
    for key in list(requirement, "keys") {
        // The key of a plain `require` bears the name of its check.
        let name = match text(key, "name") {
            name if is_only_check(key, &name) => String::new(),
            name => name,
        };
        let depth = if name.is_empty() { "  " } else { "      " };
        if !name.is_empty() {
            lines.push(format!("    {} {name}", mark(key, "value")));
        }
        for check in list(key, "checks") {
            let error = match text(check, "error") {
                error if error.is_empty() => error,
                error => style::dim(&format!("  {error}")),
            };
            lines.push(format!(
                "{depth}  {} {}{error}",
                mark(check, "value"),
                text(check, "name")
            ));
        }
    }
}

fn is_only_check(key: &Value, name: &str) -> bool {
    let mut checks = list(key, "checks");
    let first = checks.next().map(|check| text(check, "name"));
    first.as_deref() == Some(name) && checks.next().is_none()
}

fn fate(credential: &Value) -> String {
    let state = text(credential, "state");
    let by = match text(credential, "strategy") {
        strategy if strategy.is_empty() || strategy == state => String::new(),
        strategy => format!(" {strategy}"),
    };
    let whose = match text(credential, "principal") {
        principal if principal.is_empty() => principal,
        principal => format!(" for {principal}"),
    };
    let refused = match text(credential, "refused") {
        why if why.is_empty() => why,
        why => format!(": {why}"),
    };
    format!("{state}{by}{whose}{refused}")
}

/// Whether it held, in three letters so that names stand in line.
fn mark(node: &Value, name: &str) -> String {
    match node.get(name) {
        Some(Value::Bool(true)) => style::good("yes"),
        Some(Value::Bool(false)) => style::bad("no "),
        Some(Value::String(word)) if word == "true" => style::good("yes"),
        Some(Value::String(word)) if word == "false" => style::bad("no "),
        _ => style::unsure("?  "),
    }
}

fn list<'v>(node: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    node.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text(node: &Value, name: &str) -> String {
    output::printable(node.get(name).and_then(Value::as_str).unwrap_or_default())
}
