//! Which field made a message fail, and what it should have been. Its value is not named.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use proto::core::ConvertError;
use serde_json::{Map, Value};

use super::{is_well_known, join};

/// The first field that fails by itself, as deep as can be seen. Called only when one does.
pub(super) fn find(shape: &MessageDescriptor, json: &Value) -> ConvertError {
    inside(shape, json, "").unwrap_or_else(|| ConvertError::new("body", "is no such message"))
}

fn inside(shape: &MessageDescriptor, json: &Value, path: &str) -> Option<ConvertError> {
    json.as_object()?.iter().find_map(|(key, value)| {
        let field = shape.get_field_by_json_name(key)?;
        if passes(shape, key, value.clone()) {
            return None;
        }
        Some(at(shape, &field, key, value, &join(path, key)))
    })
}

fn at(
    shape: &MessageDescriptor,
    field: &FieldDescriptor,
    key: &str,
    value: &Value,
    path: &str,
) -> ConvertError {
    let Some(items) = value.as_array().filter(|_| field.is_list()) else {
        return field_inside(field, value, path);
    };
    let bad = items
        .iter()
        .enumerate()
        .find(|(_, item)| !passes(shape, key, Value::Array(vec![(*item).clone()])));
    match bad {
        Some((index, item)) => field_inside(field, item, &format!("{path}[{index}]")),
        None => ConvertError::new(path, "must be a list"),
    }
}

fn field_inside(field: &FieldDescriptor, value: &Value, path: &str) -> ConvertError {
    let deeper = match field.kind() {
        Kind::Message(inner) if !is_well_known(&inner) => inside(&inner, value, path),
        _ => None,
    };
    deeper.unwrap_or_else(|| {
        let problem = if field.is_list() && !path.ends_with(']') {
            "must be a list".to_owned()
        } else {
            expected(&field.kind())
        };
        ConvertError::new(path, problem)
    })
}

fn passes(shape: &MessageDescriptor, key: &str, value: Value) -> bool {
    let alone = Value::Object(Map::from_iter([(key.to_owned(), value)]));
    DynamicMessage::deserialize(shape.clone(), &alone).is_ok()
}

fn expected(kind: &Kind) -> String {
    let words = match kind {
        Kind::Double | Kind::Float => "must be a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "must be an integer of 32 bits",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "must be an integer of 64 bits",
        Kind::Uint32 | Kind::Fixed32 => "must be an integer of 32 bits, not negative",
        Kind::Uint64 | Kind::Fixed64 => "must be an integer of 64 bits, not negative",
        Kind::Bool => "must be true or false",
        Kind::String => "must be a string",
        Kind::Bytes => "must be a string in base64",
        Kind::Message(shape) => match shape.name() {
            "Timestamp" => "must be a time, as `2026-01-01T00:00:00Z`",
            "Duration" => "must be a span in seconds, as `60s`",
            _ => "must be an object",
        },
        Kind::Enum(names) => {
            let names = names.values().skip(1);
            let names: Vec<String> = names.map(|value| format!("`{}`", value.name())).collect();
            return format!("must be one of {}", names.join(", "));
        }
    };
    words.to_owned()
}
