//! Strict JSON for headers, claims and key sets (T-09): UTF-8 without a BOM, unique members at
//! every level, bounded depth, numbers that fit, nothing after the object.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep objects and lists may nest; the object itself is level 1.
pub const MAX_JSON_DEPTH: usize = 16;

/// Integers from here on would be rounded to floats, so that two of them could look alike.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// What is wrong with a piece of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// No well-formed JSON text in UTF-8, or more than one.
    #[error("not well-formed JSON")]
    Syntax,
    /// A member name occurs twice in one object; readers differ in which one they believe.
    #[error("a member occurs twice")]
    DuplicateMember,
    /// Nested deeper than [`MAX_JSON_DEPTH`].
    #[error("nested too deep")]
    TooDeep,
    /// A number beyond what is kept exactly.
    #[error("a number is out of range")]
    NumberRange,
    /// The top level is no object.
    #[error("not an object")]
    NotAnObject,
}

/// Reads one JSON object and nothing else.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault::Syntax)?;
    let fault = Cell::new(JsonFault::Syntax);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict {
        depth: 0,
        fault: &fault,
    }
    .deserialize(&mut reader)
    .and_then(|value| reader.end().map(|()| value))
    .map_err(|_| fault.get())?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(JsonFault::NotAnObject),
    }
}

/// Builds one value; `depth` counts the containers around it.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<JsonFault>,
}

impl Strict<'_> {
    fn fail<E: serde::de::Error>(self, fault: JsonFault) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_JSON_DEPTH {
            return Err(self.fail(JsonFault::TooDeep));
        }
        Ok(Self {
            depth: self.depth + 1,
            fault: self.fault,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) if value.abs() < TOO_LARGE => Ok(Value::Number(number)),
            _ => Err(self.fail(JsonFault::NumberRange)),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper::<A::Error>()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper::<A::Error>()?;
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if map.contains_key(&name) {
                self.fault.set(JsonFault::DuplicateMember);
                return Err(A::Error::custom(JsonFault::DuplicateMember));
            }
            map.insert(name, access.next_value_seed(inner)?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_named() {
        let deep = |levels: usize| {
            format!(
                "{{\"a\":{}1{}}}",
                "[".repeat(levels - 1),
                "]".repeat(levels - 1)
            )
        };
        for (text, expected) in [
            ("{}".to_owned(), None),
            (deep(MAX_JSON_DEPTH), None),
            (deep(MAX_JSON_DEPTH + 1), Some(JsonFault::TooDeep)),
            (
                r#"{"a":1,"a":1}"#.to_owned(),
                Some(JsonFault::DuplicateMember),
            ),
            (
                r#"{"a":1,"\u0061":1}"#.to_owned(),
                Some(JsonFault::DuplicateMember),
            ),
            (
                r#"{"a":{"b":1,"b":2}}"#.to_owned(),
                Some(JsonFault::DuplicateMember),
            ),
            (r#"{"a":18446744073709551615}"#.to_owned(), None),
            (
                r#"{"a":18446744073709551616}"#.to_owned(),
                Some(JsonFault::NumberRange),
            ),
            ("\u{feff}{}".to_owned(), Some(JsonFault::Syntax)),
            ("{}{}".to_owned(), Some(JsonFault::Syntax)),
            ("[]".to_owned(), Some(JsonFault::NotAnObject)),
        ] {
            assert_eq!(object(text.as_bytes()).err(), expected, "{text}");
        }
    }
}
