//! JSON bodies to messages and back.
//!
//! A body is proto3 JSON: names in lowerCamelCase or as in the contract, bytes in base64, enums by
//! name, and anything unknown an error. Two conveniences are added on the way in:
//!
//! - A field of bytes that holds JSON (`data_json`, `claims_json` ...) may be given as `data`,
//!   `claims` and so on: a JSON object as it is. On the way out it always is.
//! - A field of bytes called `value` (of a credential or an attribute) may be given as `text`: a
//!   string as it is. On the way out it never is.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use proto::core::{ConvertError, json::Unique};
use serde_json::{Map, Value};

mod culprit;

/// Reads a JSON body as the message of this shape, encoded.
///
/// # Errors
///
/// Returns [`ConvertError`], which names the field, when the body is no such message.
pub fn from_json(shape: &MessageDescriptor, body: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let Unique(json) = serde_json::from_slice(body).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let problem = if error.is_data() {
            "has a key twice"
        } else {
            "is not well-formed JSON"
        };
        ConvertError::new("body", format!("{problem}, at {place}"))
    })?;
    if !json.is_object() {
        return Err(ConvertError::new("body", "must be a JSON object"));
    }
    let json = message(shape, json, "")?;
    match DynamicMessage::deserialize(shape.clone(), &json) {
        Ok(message) => Ok(message.encode_to_vec()),
        Err(_) => Err(culprit::find(shape, &json)),
    }
}

/// Writes an encoded message of this shape as JSON; `None` when it is none.
#[must_use]
pub fn to_json(shape: &MessageDescriptor, encoded: &[u8]) -> Option<Vec<u8>> {
    let message = DynamicMessage::decode(shape.clone(), encoded).ok()?;
    let mut json = serde_json::to_value(&message).ok()?;
    reveal(shape, &mut json);
    serde_json::to_vec(&json).ok()
}

/// Whether a message has a JSON form of its own, as timestamps and durations do.
fn is_well_known(shape: &MessageDescriptor) -> bool {
    shape.package_name() == "google.protobuf"
}

/// How much of a key is named.
const MAX_KEY_CHARS: usize = 64;

/// The path of a key, which anybody may have made up: errors stand in logs and on terminals.
fn join(path: &str, key: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    let key = key.chars().take(MAX_KEY_CHARS);
    let key: String = key.flat_map(char::escape_debug).collect();
    format!("{path}{dot}{key}")
}

/// A field and how its value is given.
enum Given {
    /// As proto3 JSON has it.
    Plain(FieldDescriptor),
    /// Bytes of JSON, given as an object.
    Object(FieldDescriptor),
    /// Bytes, given as a string.
    Text(FieldDescriptor),
}

impl Given {
    /// The field that a key stands for.
    fn of(shape: &MessageDescriptor, key: &str) -> Option<Self> {
        if let Some(field) = shape
            .get_field_by_json_name(key)
            .or_else(|| shape.get_field_by_name(key))
        {
            return Some(Self::Plain(field));
        }
        if let Some(field) = shape.fields().find(|field| alias(field) == Some(key)) {
            return Some(Self::Object(field));
        }
        let value = shape.get_field_by_name("value").filter(is_bytes);
        value.filter(|_| key == "text").map(Self::Text)
    }

    fn field(&self) -> &FieldDescriptor {
        match self {
            Self::Plain(field) | Self::Object(field) | Self::Text(field) => field,
        }
    }
}

fn is_bytes(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Bytes) && !field.is_list()
}

/// The name under which a field of JSON is an object. The words of the contract are one word each,
/// so that it needs no camel case.
fn alias(field: &FieldDescriptor) -> Option<&str> {
    let alias = field
        .full_name()
        .rsplit('.')
        .next()?
        .strip_suffix("_json")?;
    is_bytes(field).then_some(alias)
}

/// Puts the names of the contract in place of all others, and checks that each is one, given once.
fn message(shape: &MessageDescriptor, json: Value, path: &str) -> Result<Value, ConvertError> {
    if is_well_known(shape) {
        return Ok(json);
    }
    let Value::Object(entries) = json else {
        return Err(ConvertError::new(path, "must be an object"));
    };
    let mut plain = Map::new();
    let mut oneofs: Vec<(String, String)> = Vec::new();
    for (key, value) in entries {
        let path = join(path, &key);
        let given = Given::of(shape, &key).ok_or_else(|| unknown(shape, &path))?;
        if value.is_null() {
            continue;
        }
        let field = given.field();
        if let Some(oneof) = field.containing_oneof().filter(|_| !is_optional(field)) {
            if let Some((_, other)) = oneofs.iter().find(|(name, _)| name == oneof.name()) {
                let problem = format!("may not stand beside `{other}`");
                return Err(ConvertError::new(path, problem));
            }
            oneofs.push((oneof.name().to_owned(), key.clone()));
        }
        let name = field.json_name().to_owned();
        if plain.contains_key(&name) {
            let problem = format!("gives the field `{name}` a second time");
            return Err(ConvertError::new(path, problem));
        }
        plain.insert(name, self::value(&given, value, &path)?);
    }
    Ok(Value::Object(plain))
}

/// Whether the field is the only one of a oneof that stands for `optional`.
fn is_optional(field: &FieldDescriptor) -> bool {
    field
        .containing_oneof()
        .is_some_and(|oneof| oneof.fields().len() == 1 && oneof.name().starts_with('_'))
}

fn unknown(shape: &MessageDescriptor, path: &str) -> ConvertError {
    let known: Vec<String> = shape
        .fields()
        .map(|field| format!("`{}`", field.json_name()))
        .collect();
    let problem = format!("is no field of this message; it has {}", known.join(", "));
    ConvertError::new(path, problem)
}

fn value(given: &Given, json: Value, path: &str) -> Result<Value, ConvertError> {
    match given {
        Given::Object(_) => match json {
            Value::Object(_) => Ok(Value::String(STANDARD.encode(json.to_string()))),
            _ => Err(ConvertError::new(path, "must be a JSON object")),
        },
        Given::Text(_) => match json {
            Value::String(text) => Ok(Value::String(STANDARD.encode(text))),
            _ => Err(ConvertError::new(path, "must be a string")),
        },
        Given::Plain(field) => match (field.kind(), json) {
            (Kind::Message(shape), Value::Array(items)) if field.is_list() => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| message(&shape, item, &format!("{path}[{index}]")))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            (Kind::Message(shape), json) if !field.is_list() => message(&shape, json, path),
            (_, json) => Ok(json),
        },
    }
}

/// Puts objects in place of the bytes that hold them.
fn reveal(shape: &MessageDescriptor, json: &mut Value) {
    let Value::Object(entries) = json else {
        return;
    };
    if is_well_known(shape) {
        return;
    }
    for field in shape.fields() {
        if let Some(alias) = alias(&field) {
            if let Some(encoded) = entries.remove(field.json_name()) {
                entries.insert(alias.to_owned(), decoded(&encoded));
            }
            continue;
        }
        let Kind::Message(inner) = field.kind() else {
            continue;
        };
        match entries.get_mut(field.json_name()) {
            Some(Value::Array(items)) => items.iter_mut().for_each(|item| reveal(&inner, item)),
            Some(item) => reveal(&inner, item),
            None => {}
        }
    }
}

fn decoded(encoded: &Value) -> Value {
    let text = encoded.as_str().unwrap_or_default();
    let bytes = STANDARD
        .decode(text)
        .or_else(|_| STANDARD_NO_PAD.decode(text))
        .or_else(|_| URL_SAFE_NO_PAD.decode(text))
        .unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests;
