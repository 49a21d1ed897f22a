use super::printable;

/// What an API-key header presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKey<'a> {
    /// There is no such header.
    Absent,
    /// One value, taken as it stands.
    One(&'a str),
    /// A value that no key has; it counts as presented.
    Malformed,
    /// Two or more values, in several lines or joined by a comma.
    Joined,
}

/// Reads all lines of an API-key header; more than one is [`ApiKey::Joined`] (T-16).
pub fn api_key_values<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> ApiKey<'a> {
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (None, _) => ApiKey::Absent,
        (Some(value), None) => api_key(value),
        (Some(_), Some(_)) => ApiKey::Joined,
    }
}

/// Reads the value of one line: visible ASCII without blanks or commas, and not trimmed.
#[must_use]
pub fn api_key(value: &[u8]) -> ApiKey<'_> {
    match printable(value) {
        Some(text) if text.contains(',') => ApiKey::Joined,
        Some(text) if !text.is_empty() && !text.contains(' ') => ApiKey::One(text),
        _ => ApiKey::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ApiKey::{Joined, Malformed, One};

    #[test]
    fn a_key_is_taken_as_it_stands() {
        for (value, expected) in [
            ("k", One("k")),
            ("sgk_abc", One("sgk_abc")),
            ("a=b;c\"d\"", One("a=b;c\"d\"")),
            ("", Malformed),
            (" ", Malformed),
            (" k", Malformed),
            ("k ", Malformed),
            ("k k", Malformed),
            ("k\t", Malformed),
            ("k\r\n", Malformed),
            ("k\0", Malformed),
            ("ä", Malformed),
            ("k,k", Joined),
            ("k1, k2", Joined),
            ("k,", Joined),
            (",", Joined),
        ] {
            assert_eq!(api_key(value.as_bytes()), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(value in prop::collection::vec(any::<u8>(), 0..64)) {
            if let One(key) = api_key(&value) {
                prop_assert_eq!(key.as_bytes(), value.as_slice());
            }
        }
    }
}
