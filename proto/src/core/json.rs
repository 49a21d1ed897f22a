//! JSON objects in fields of bytes.
//!
//! They are read as I-JSON (RFC 7493): a key that stands twice is an error at every depth, since
//! two readers could take different values for the truth.

use std::fmt;

use auth_core::session::JsonObject;
use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::ConvertError;

/// Reads a JSON object; empty bytes stand for an empty one.
///
/// # Errors
///
/// Returns [`ConvertError`] for `field` when the bytes take more than `max` or are no JSON object
/// with unique keys.
pub fn object(field: &str, json: &[u8], max: usize) -> Result<JsonObject, ConvertError> {
    if json.len() > max {
        return Err(super::too_long(field, json.len(), max));
    }
    if json.is_empty() {
        return Ok(JsonObject::new());
    }
    match serde_json::from_slice(json) {
        Ok(Unique(Value::Object(object))) => Ok(object),
        Ok(Unique(_)) => Err(ConvertError::new(field, "is not a JSON object")),
        Err(error) => Err(ConvertError::new(field, problem(&error))),
    }
}

/// Writes a JSON object; an empty one is `{}`.
#[must_use]
pub fn bytes(object: &JsonObject) -> Bytes {
    if object.is_empty() {
        return Bytes::from_static(b"{}");
    }
    serde_json::to_vec(object).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
}

/// What is wrong, without the values at that place.
fn problem(error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    if error.is_data() {
        format!("has a key twice, at {place}")
    } else {
        format!("is not well-formed JSON, at {place}")
    }
}

/// A JSON value in which no object has a key twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Unique(pub Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with unique keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = JsonObject::new();
        while let Some((key, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if object.insert(key, value).is_some() {
                return Err(de::Error::custom("a key stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_comes_back_as_it_was() {
        let json = br#"{"a":[1,-2,1.5,null,true,"x"],"n":9007199254740993}"#;
        let read = object("claims_json", json, 1024).unwrap();
        assert_eq!(&bytes(&read)[..], json);
    }

    #[test]
    fn what_is_no_object_with_unique_keys_is_refused_without_its_values() {
        for (json, problem) in [
            ("[]", "is not a JSON object"),
            ("{", "is not well-formed JSON, at line 1 column 1"),
            ("{} x", "is not well-formed JSON, at line 1 column 4"),
            (r#"{"a":1,"a":2}"#, "has a key twice, at line 1 column 10"),
            (
                r#"{"o":{"s":"secret","s":2}}"#,
                "has a key twice, at line 1 column 22",
            ),
        ] {
            let error = object("f", json.as_bytes(), 1024).unwrap_err();
            assert!(!error.problem.contains("secret"), "{json}");
            assert_eq!(
                error.problem.split(", ").next(),
                problem.split(", ").next(),
                "{json}"
            );
        }
    }

    #[test]
    fn the_limit_counts_bytes() {
        assert!(object("f", b"{}", 2).is_ok());
        assert_eq!(
            object("f", b"{ }", 2).unwrap_err().problem,
            "takes 3 bytes, the limit is 2"
        );
    }
}
