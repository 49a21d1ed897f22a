//! Text of a target or a form, read as the type that its field declares.

use std::borrow::Cow;

use super::DataValue;
use crate::{expression::Type, value::Value};

/// What a text is read as, where a wire has nothing but texts: targets and forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextType {
    /// A text; every type that has no other entry here.
    #[default]
    String,
    /// An integer of 64 bits, in decimal digits.
    Int,
    /// A floating-point number.
    Double,
    /// `true` or `false`.
    Bool,
}

impl From<&Type> for TextType {
    fn from(kind: &Type) -> Self {
        match kind {
            Type::Int => Self::Int,
            Type::Double => Self::Double,
            Type::Bool => Self::Bool,
            Type::Dyn
            | Type::String
            | Type::Timestamp
            | Type::Duration
            | Type::List(_)
            | Type::Map => Self::String,
        }
    }
}

/// Reads the text of a target as the declared type. What does not fit stays text, which is then of
/// a wrong type for every check that reads it (R4).
pub(super) fn read_text<'a>(text: Cow<'a, str>, kind: TextType) -> DataValue<'a> {
    match value(&text, kind) {
        Some(value) => DataValue::Value(value),
        None => text.into(),
    }
}

/// What a text says as this type; `None` where it is a text and nothing else.
pub(crate) fn value(text: &str, kind: TextType) -> Option<Value> {
    match kind {
        // `+1` and `01` are other spellings of what somebody else may compare as text.
        TextType::Int => text
            .parse::<i64>()
            .ok()
            .filter(|_| is_canonical_integer(text))
            .map(Value::Int),
        TextType::Bool => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        TextType::Double => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(Value::Double),
        TextType::String => None,
    }
}

/// Whether digits, perhaps after a minus, are the one spelling of their number.
fn is_canonical_integer(text: &str) -> bool {
    match text.strip_prefix('-').unwrap_or(text).as_bytes() {
        [b'0'] => text == "0",
        [first, ..] => first.is_ascii_digit() && *first != b'0',
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_has_one_spelling() {
        for (text, is_number) in [
            ("0", true),
            ("10", true),
            ("-1", true),
            ("9223372036854775807", true),
            ("9223372036854775808", false),
            ("-0", false),
            ("+1", false),
            ("01", false),
            ("-01", false),
            ("", false),
            ("-", false),
            ("1 ", false),
        ] {
            let read = read_text(text.into(), TextType::Int);
            let is_int = matches!(read, DataValue::Value(Value::Int(_)));
            assert_eq!(is_int, is_number, "{text:?}");
        }
    }
}
