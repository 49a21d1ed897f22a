//! Text of a target, read as the type that its field declares.

use std::borrow::Cow;

use super::DataValue;
use crate::{expression::Type, value::Value};

/// Reads the text of a target as the declared type. What does not fit stays text, which is then of
/// a wrong type for every check that reads it (R4).
pub(super) fn read_text<'a>(text: Cow<'a, str>, kind: &Type) -> DataValue<'a> {
    let value = match kind {
        // `+1` and `01` are other spellings of what somebody else may compare as text.
        Type::Int => text
            .parse::<i64>()
            .ok()
            .filter(|_| is_canonical_integer(&text))
            .map(Value::Int),
        Type::Bool => match &*text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Type::Double => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(Value::Double),
        _ => None,
    };
    value.map_or_else(|| text.into(), DataValue::Value)
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
            let read = read_text(text.into(), &Type::Int);
            let is_int = matches!(read, DataValue::Value(Value::Int(_)));
            assert_eq!(is_int, is_number, "{text:?}");
        }
    }
}
