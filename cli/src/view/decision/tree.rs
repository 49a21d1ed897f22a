//! How a decision came about, as a tree for people.

use serde_json::Value;

use crate::{output, style};

/// Each requirement, its keys (one is enough) and their checks (all are needed).
pub(super) fn render(requirements: &Value) -> String {
    let mut lines = Vec::new();
    for requirement in list(requirements) {
        let name = text(requirement, "name");
        let place = match text(requirement, "place") {
            place if place.is_empty() => place,
            place => style::dim(&format!("  {place}")),
        };
        lines.push(format!("{} {name}{place}", mark(requirement)));
        for key in requirement.get("keys").map(list).unwrap_or_default() {
            render_key(key, &mut lines);
        }
    }
    lines.join("\n")
}

fn render_key(key: &Value, lines: &mut Vec<String>) {
    let checks = key.get("checks").map(list).unwrap_or_default();
    let name = text(key, "key");
    let name = if name.is_empty() {
        text(key, "name")
    } else {
        name
    };
    let depth = if name.is_empty() {
        "  "
    } else {
        lines.push(format!("  {} {name}", mark(key)));
        "    "
    };
    for check in checks {
        let name = text(check, "name");
        let name = if name.is_empty() {
            text(check, "check")
        } else {
            name
        };
        let place = text(check, "place");
        let place = if place.is_empty() {
            place
        } else {
            style::dim(&format!("  {place}"))
        };
        lines.push(format!("{depth}{} {name}{place}", mark(check)));
    }
}

/// Whether it held, in a word of three letters so that names stand in line.
fn mark(node: &Value) -> String {
    let verdict = ["held", "value", "outcome"]
        .iter()
        .find_map(|name| node.get(name));
    match verdict {
        Some(Value::Bool(true)) => style::good("yes"),
        Some(Value::Bool(false)) => style::bad("no "),
        Some(Value::String(word)) if word == "true" || word == "held" => style::good("yes"),
        Some(Value::String(word)) if word == "false" || word == "refused" => style::bad("no "),
        Some(Value::String(word)) if word == "undetermined" => style::unsure("?  "),
        _ => style::dim("-  "),
    }
}

fn list(value: &Value) -> Vec<&Value> {
    value
        .as_array()
        .map(|list| list.iter().collect())
        .unwrap_or_default()
}

fn text(node: &Value, name: &str) -> String {
    output::printable(node.get(name).and_then(Value::as_str).unwrap_or_default())
}
