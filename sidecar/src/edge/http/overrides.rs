//! Headers by which some apps take another method or path than the one that was decided.

use http::HeaderName;

const OVERRIDES: [&str; 8] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-rewrite-url",
];

/// Whether a header asks the app to act on another method or path than the one that was decided
/// (H-10).
#[must_use]
pub fn is_override(name: &HeaderName) -> bool {
    OVERRIDES.iter().any(|known| reads_as(name.as_str(), known))
}

/// Whether some server reads a header's name as this one: any mark may stand for the hyphen.
#[must_use]
pub fn reads_as(name: &str, known: &str) -> bool {
    let (name, known) = (name.as_bytes(), known.as_bytes());
    name.len() == known.len()
        && name
            .iter()
            .zip(known)
            .all(|(mark, known)| plain(*mark) == *known)
}

const fn plain(mark: u8) -> u8 {
    if mark.is_ascii_alphanumeric() {
        mark
    } else {
        b'-'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h10_every_spelling_that_an_app_may_read_is_one() {
        for (name, expected) in [
            ("x-http-method-override", true),
            ("x_http_method_override", true),
            ("x.http.method", true),
            ("x-original-url", true),
            ("x-rewrite_url", true),
            ("x-original-path", false),
            ("x-http-methods", false),
            ("x-forwarded-for", false),
        ] {
            assert_eq!(
                is_override(&HeaderName::from_static(name)),
                expected,
                "{name}"
            );
        }
    }
}
