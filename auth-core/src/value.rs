//! Values as policies see them: I-JSON with exact integers, and instants and spans of time.

use std::{cmp::Ordering, fmt};

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::{clock::Timestamp, session::JsonObject};

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing: an absent claim, field or row.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer, exact.
    Int(i64),
    /// A finite floating-point number.
    Double(f64),
    /// A text.
    String(Box<str>),
    /// An instant.
    Timestamp(Timestamp),
    /// A span of time, in microseconds; it may be negative.
    Duration(i64),
    /// A list.
    List(Box<[Value]>),
    /// Members by name, sorted by name.
    Map(Box<[(Box<str>, Value)]>),
}

/// A value as an expression handles it: borrowed where it can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Val<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A text that stands elsewhere.
    Str(&'a str),
    /// A text that was computed.
    Text(Box<str>),
    /// An instant.
    Timestamp(Timestamp),
    /// A span of time, in microseconds.
    Duration(i64),
    /// A list that stands elsewhere.
    List(&'a [Value]),
    /// Members by name, sorted by name.
    Map(&'a [(Box<str>, Value)]),
}

impl Value {
    /// The value, borrowed.
    #[inline]
    #[must_use]
    pub fn as_val(&self) -> Val<'_> {
        match self {
            Self::Null => Val::Null,
            Self::Bool(value) => Val::Bool(*value),
            Self::Int(value) => Val::Int(*value),
            Self::Double(value) => Val::Double(*value),
            Self::String(text) => Val::Str(text),
            Self::Timestamp(time) => Val::Timestamp(*time),
            Self::Duration(span) => Val::Duration(*span),
            Self::List(list) => Val::List(list),
            Self::Map(map) => Val::Map(map),
        }
    }

    /// The text, where it is one.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// A member of a map; `None` when there is none, or the value is no map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => member(map, name),
            _ => None,
        }
    }

    /// Reads I-JSON (RFC 7493), strictly: members are unique, integers exact, texts without NUL.
    ///
    /// # Errors
    ///
    /// Returns [`JsonError`] that says what is wrong and where.
    pub fn from_json(json: &[u8], limits: &JsonLimits) -> Result<Self, JsonError> {
        if json.len() > limits.max_bytes {
            return Err(JsonError(format!(
                "it is longer than {} bytes",
                limits.max_bytes
            )));
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let error = |err: serde_json::Error| JsonError(err.to_string());
        let value = Seed {
            depth: limits.max_depth,
        }
        .deserialize(&mut reader)
        .map_err(error)?;
        reader.end().map_err(error)?;
        Ok(value)
    }
}

/// Looks a member up. Most maps are so small that it is found sooner by asking each.
#[inline]
#[must_use]
pub fn member<'m>(map: &'m [(Box<str>, Value)], name: &str) -> Option<&'m Value> {
    let found = if map.len() <= 8 {
        map.iter().find(|(key, _)| **key == *name)
    } else {
        let index = map.binary_search_by(|(key, _)| (**key).cmp(name));
        index.ok().and_then(|index| map.get(index))
    };
    found.map(|(_, value)| value)
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::Double(value),
                (None, None) => Self::Null,
            },
            serde_json::Value::String(text) => Self::String(text.as_str().into()),
            serde_json::Value::Array(list) => Self::List(list.iter().map(Self::from).collect()),
            serde_json::Value::Object(object) => Self::from(object),
        }
    }
}

impl From<&JsonObject> for Value {
    fn from(object: &JsonObject) -> Self {
        let pairs = object
            .iter()
            .map(|(name, value)| (name.as_str().into(), Self::from(value)));
        map(pairs.collect())
    }
}

fn map(mut members: Vec<(Box<str>, Value)>) -> Value {
    members.sort_by(|one, other| one.0.cmp(&other.0));
    Value::Map(members.into())
}

impl Val<'_> {
    /// Whether it is nothing.
    #[inline]
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, where it is one.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value, owned.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Str(text) => Value::String((*text).into()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Timestamp(time) => Value::Timestamp(*time),
            Self::Duration(span) => Value::Duration(*span),
            Self::List(list) => Value::List((*list).into()),
            Self::Map(map) => Value::Map((*map).into()),
        }
    }

    /// Whether two values are equal as CEL has it: numbers by value, else like with like.
    #[must_use]
    pub fn equals(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Self::Null, Val::Null) => true,
            (Self::Bool(one), Val::Bool(other)) => one == other,
            (Self::Timestamp(one), Val::Timestamp(other)) => one == other,
            (Self::Duration(one), Val::Duration(other)) => one == other,
            (Self::List(one), Val::List(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .zip(*other)
                        .all(|(a, b)| a.as_val().equals(&b.as_val()))
            }
            (Self::Map(one), Val::Map(other)) => {
                one.len() == other.len()
                    && one.iter().zip(*other).all(|((name, a), (other, b))| {
                        name == other && a.as_val().equals(&b.as_val())
                    })
            }
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// Which of two values comes first; `None` where they have no order.
    #[must_use]
    pub fn compare(&self, other: &Val<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(one), Val::Int(other)) => Some(one.cmp(other)),
            (Self::Double(one), Val::Double(other)) => one.partial_cmp(other),
            (Self::Int(one), Val::Double(other)) => compare_mixed(*one, *other),
            (Self::Double(one), Val::Int(other)) => {
                compare_mixed(*other, *one).map(Ordering::reverse)
            }
            (Self::Bool(one), Val::Bool(other)) => Some(one.cmp(other)),
            (Self::Timestamp(one), Val::Timestamp(other)) => Some(one.cmp(other)),
            (Self::Duration(one), Val::Duration(other)) => Some(one.cmp(other)),
            _ => Some(self.as_str()?.cmp(other.as_str()?)),
        }
    }
}

/// Compares an integer with a floating-point number without rounding the integer.
fn compare_mixed(int: i64, double: f64) -> Option<Ordering> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        None
    } else if double >= TWO_TO_63 {
        Some(Ordering::Less)
    } else if double < -TWO_TO_63 {
        Some(Ordering::Greater)
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "within the range of i64")]
        let whole = double.trunc() as i64;
        let by_fraction = 0.0_f64.partial_cmp(&double.fract());
        Some(int.cmp(&whole).then(by_fraction.unwrap_or(Ordering::Equal)))
    }
}

/// How large JSON may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// The longest text, in bytes.
    pub max_bytes: usize,
    /// How deep lists and objects may nest.
    pub max_depth: u8,
}

/// 64 KiB and 16 levels.
impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            max_bytes: crate::wire::MAX_DATA_BYTES,
            max_depth: 16,
        }
    }
}

/// What is wrong with a JSON text. Names members, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads one value, and counts how deep it may still nest.
pub(crate) struct Seed {
    pub(crate) depth: u8,
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("it nests too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value)
            .map(Value::Int)
            .map_err(|_| E::custom(OUT_OF_RANGE))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // An integer that does not fit arrives here rounded, so a whole number of that size may
        // not be what was sent.
        if value.abs() >= 9_007_199_254_740_992.0 || !value.is_finite() {
            return Err(E::custom(OUT_OF_RANGE));
        }
        Ok(Value::Double(value))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        if text.contains('\0') {
            return Err(E::custom("a text holds a NUL character"));
        }
        Ok(Value::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(self.deeper()?)? {
            list.push(value);
        }
        Ok(Value::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members: Vec<(Box<str>, Value)> = Vec::new();
        while let Some(name) = access.next_key::<String>()? {
            if name.contains('\0') {
                return Err(A::Error::custom("a member's name holds a NUL character"));
            }
            let value = access.next_value_seed(self.deeper()?)?;
            members.push((name.into(), value));
        }
        members.sort_by(|one, other| one.0.cmp(&other.0));
        let twin = members.windows(2).find_map(|pair| match pair {
            [one, other] if one.0 == other.0 => Some(&one.0),
            _ => None,
        });
        match twin {
            Some(name) => Err(A::Error::custom(format_args!(
                "member `{}` stands twice",
                name.escape_debug()
            ))),
            None => Ok(Value::Map(members.into())),
        }
    }
}

const OUT_OF_RANGE: &str = "a number is out of range: integers have 64 bits";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Value, JsonError> {
        Value::from_json(json.as_bytes(), &JsonLimits::default())
    }

    #[test]
    fn integers_stay_exact_and_what_does_not_fit_is_refused() {
        assert_eq!(read("9223372036854775807"), Ok(Value::Int(i64::MAX)));
        assert_eq!(read("-9223372036854775808"), Ok(Value::Int(i64::MIN)));
        assert_eq!(read("1.0"), Ok(Value::Double(1.0)));
        for json in [
            "9223372036854775808",
            "123456789012345678901234567890",
            "1e400",
            "1e16",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for json in [
            "{\"a\":1,\"a\":2}",
            "{\"a\":{\"b\":1,\"b\":1}}",
            "\"a\\u0000\"",
            "{\"\\u0000\":1}",
            "\"\\ud800\"",
            "1 2",
            "{} x",
            "NaN",
            "[1,]",
            "\u{feff}{}",
            "",
            "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(Value::from_json(b"\"\xff\"", &JsonLimits::default()).is_err());
    }

    #[test]
    fn members_are_found_by_name() {
        let value = read("{\"b\":1,\"a\":[true,null]}").unwrap();
        assert_eq!(value.get("b"), Some(&Value::Int(1)));
        assert_eq!(value.get("c"), None);
    }

    #[test]
    fn an_integer_and_a_double_compare_by_value() {
        let big = i64::MAX;
        #[expect(clippy::cast_precision_loss, reason = "that is what is tested")]
        let rounded = big as f64;
        for (int, double, order) in [
            (1, 1.0, Some(Ordering::Equal)),
            (1, 1.5, Some(Ordering::Less)),
            (-1, -1.5, Some(Ordering::Greater)),
            (big, rounded, Some(Ordering::Less)),
            (0, f64::NAN, None),
        ] {
            assert_eq!(
                Val::Int(int).compare(&Val::Double(double)),
                order,
                "{int} {double}"
            );
        }
    }

    #[test]
    fn values_of_different_kinds_are_not_equal_and_have_no_order() {
        assert!(!Val::Null.equals(&Val::Str("x")));
        assert!(!Val::Int(1).equals(&Val::Str("1")));
        assert_eq!(Val::Null.compare(&Val::Int(3)), None);
    }
}
