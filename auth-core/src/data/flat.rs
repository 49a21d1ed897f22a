//! The JSON of most calls: an object of a few plain members, read in one pass and in place.
//!
//! It knows less than JSON. Escapes, fractions, nesting, many members and whatever is malformed it
//! leaves to [`Value::from_json`](crate::value::Value::from_json), so it has no errors of its own;
//! what it takes, it reads as that does, which a property test holds it to.

use crate::wire::MAX_DATA_BYTES;

/// The most members that are read in place.
const MAX_MEMBERS: usize = 8;

/// The most digits that fit every integer of 64 bits.
const MAX_DIGITS: usize = 18;

/// A value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(&'a str),
}

/// The members of an object, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Flat<'a> {
    members: [Option<(&'a str, Plain<'a>)>; MAX_MEMBERS],
}

impl<'a> Flat<'a> {
    /// Reads an object; `None` where that is left to others, and what was read then means nothing.
    pub(super) fn read(&mut self, json: &'a [u8]) -> Option<()> {
        if json.len() > MAX_DATA_BYTES {
            return None;
        }
        let whole = std::str::from_utf8(json).ok()?;
        let mut text = Text { whole, rest: json };
        text.take(b'{')?;
        if text.take(b'}').is_none() {
            let mut count = 0;
            loop {
                let name = text.name()?;
                // A name that stands twice is refused, and whoever reads it again says so.
                if self.get(name).is_some() {
                    return None;
                }
                *self.members.get_mut(count)? = Some((name, text.value()?));
                count += 1;
                if text.take(b',').is_none() {
                    break;
                }
            }
            text.take(b'}')?;
        }
        text.skip_blanks();
        text.rest.is_empty().then_some(())
    }

    /// The member of this name.
    pub(super) fn get(&self, name: &str) -> Option<Plain<'a>> {
        let mut members = self.members.iter().map_while(Option::as_ref);
        members
            .find(|(other, _)| *other == name)
            .map(|(_, value)| *value)
    }
}

/// A text on its way to its end.
struct Text<'a> {
    whole: &'a str,
    /// What of it was not read yet.
    rest: &'a [u8],
}

impl<'a> Text<'a> {
    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes a byte, and blanks before it; leaves it where another one stands.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_blanks();
        let (first, rest) = self.rest.split_first()?;
        (*first == byte).then(|| self.rest = rest)
    }

    fn name(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let name = self.quoted()?;
        self.take(b':')?;
        Some(name)
    }

    fn value(&mut self) -> Option<Plain<'a>> {
        self.skip_blanks();
        let (value, rest) = match self.rest {
            [b'"', rest @ ..] => {
                self.rest = rest;
                return self.quoted().map(Plain::Text);
            }
            [b't', b'r', b'u', b'e', rest @ ..] => (Plain::Bool(true), rest),
            [b'f', b'a', b'l', b's', b'e', rest @ ..] => (Plain::Bool(false), rest),
            [b'n', b'u', b'l', b'l', rest @ ..] => (Plain::Null, rest),
            _ => return self.integer().map(Plain::Int),
        };
        self.rest = rest;
        Some(value)
    }

    /// Reads up to the quote that ends a text.
    fn quoted(&mut self) -> Option<&'a str> {
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        let end = self.rest.iter().position(ends)?;
        let start = self.whole.len() - self.rest.len();
        let (_, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.strip_prefix(b"\"")?;
        self.whole.get(start..start + end)
    }

    /// Reads an integer; what makes it another number is found to follow it.
    fn integer(&mut self) -> Option<i64> {
        let (sign, digits) = match self.rest {
            [b'-', digits @ ..] => (-1, digits),
            digits => (1, digits),
        };
        let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = digits.split_at_checked(count)?;
        match digits {
            [] | [b'0', _, ..] => return None,
            // Minus zero is no integer.
            [b'0'] if sign < 0 => return None,
            _ if count > MAX_DIGITS => return None,
            _ => self.rest = rest,
        }
        let number = digits
            .iter()
            .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        Some(sign * number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        data::DataValue,
        value::{JsonLimits, Value},
    };

    fn members(json: &[u8]) -> Option<Vec<(&str, Value)>> {
        let mut flat = Flat::default();
        flat.read(json)?;
        let mut members: Vec<_> = flat
            .members
            .iter()
            .flatten()
            .map(|(name, value)| (*name, DataValue::from(*value).as_val().to_value()))
            .collect();
        members.sort_by_key(|(name, _)| *name);
        Some(members)
    }

    /// What it takes, the reader of all JSON takes too, and reads the same; tells whether it did.
    fn agrees(json: &[u8]) -> Result<bool, TestCaseError> {
        let Some(members) = members(json) else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(json).into_owned();
        let whole = Value::from_json(json, &JsonLimits::default());
        let Ok(Value::Map(map)) = whole else {
            return Err(TestCaseError::fail(format!("{text:?}: {whole:?}")));
        };
        let map: Vec<_> = map.iter().map(|(name, v)| (&**name, v.clone())).collect();
        prop_assert_eq!(members, map, "{:?}", text);
        Ok(true)
    }

    #[test]
    fn plain_objects_are_read_in_place() {
        for json in [
            "{}",
            " {\t}\r\n",
            "{\"a\":\"x\"}",
            "{ \"a\" : true , \"b\" : false , \"c\" : null }\n",
            "{\"\":0,\"ü\":\"日本\",\"c\":\"\u{7f}\"}",
            "{\"a\":-1,\"b\":999999999999999999,\"c\":-999999999999999999,\"d\":10}",
            "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8}",
        ] {
            assert!(agrees(json.as_bytes()).unwrap(), "{json}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_others() {
        for json in [
            "",
            "{",
            "[]",
            "1",
            "{}}",
            "{} {}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":\"\\n\"}",
            "{\"\\u0061\":1}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\0\"}",
            "{\"a\":\"x}",
            "{\"a\":[]}",
            "{\"a\":{}}",
            "{\"a\":1.0}",
            "{\"a\":1e3}",
            "{\"a\":01}",
            "{\"a\":-0}",
            "{\"a\":-}",
            "{\"a\":+1}",
            "{\"a\":1000000000000000000}",
            "{\"a\":truex}",
            "{\"a\":tru}",
            "{\"a\":NaN}",
            "\u{feff}{}",
            "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9}",
        ] {
            assert_eq!(members(json.as_bytes()), None, "{json}");
        }
        assert_eq!(members(b"{\"a\":\"\xff\"}"), None);
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_DATA_BYTES));
        assert_eq!(members(long.as_bytes()), None);
    }

    /// Pieces that JSON is made of, and some that it is not.
    const FIXED: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"b\"",
        "\"a\":",
        "\"b\":",
        "true",
        "false",
        "null",
        "0",
        "-",
        "1",
        "-0",
        "00",
        ".",
        "e",
        "1.5",
        "1e2",
        " ",
        "\n",
        "\t",
        "\u{b}",
        "\u{a0}",
        "\u{feff}",
        "\0",
        "\\u0061",
        "\\\"",
        "ü",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
    ];

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => prop::sample::select(FIXED).prop_map(str::to_owned),
            1 => any::<i64>().prop_map(|number| number.to_string()),
            1 => "[ -~]{0,4}",
        ]
    }

    /// Something that is at least close to an object.
    fn object() -> impl Strategy<Value = String> {
        let blank = || prop::sample::select(&["", "", " ", "\n\t", "\r"]);
        let name = prop::sample::select(&["\"a\"", "\"b\"", "\"\"", "\"ü\"", "\"\\u0061\""]);
        let value = prop_oneof![
            4 => piece(),
            2 => any::<i64>().prop_map(|number| number.to_string()),
            2 => "[ !#-\\[\\]-~é]{0,6}".prop_map(|text| format!("\"{text}\"")),
        ];
        let member = (blank(), name, blank(), blank(), value, blank())
            .prop_map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}{value}{d}"));
        prop::collection::vec(member, 0..4).prop_map(|all| format!("{{{}}}", all.join(",")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn it_reads_objects_as_the_reader_of_all_json_does(json in object()) {
            agrees(json.as_bytes())?;
        }

        #[test]
        fn it_takes_no_text_that_the_reader_of_all_json_refuses(
            pieces in prop::collection::vec(piece(), 0..12),
        ) {
            agrees(pieces.concat().as_bytes())?;
            agrees(format!("{{{}}}", pieces.concat()).as_bytes())?;
        }

        #[test]
        fn it_takes_no_bytes_that_the_reader_of_all_json_refuses(
            json in object(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut json = json.into_bytes();
            let place = place.index(json.len());
            json[place] = byte;
            agrees(&json)?;
        }
    }
}
