//! Headers by which some apps take another method or path than the one that was decided.

use http::HeaderName;

/// Whether a header asks the app to act on another method or path than the one that was decided
/// (H-10).
#[must_use]
pub fn is_override(name: &HeaderName) -> bool {
    let plain: String = name
        .as_str()
        .chars()
        .map(|mark| {
            if mark.is_ascii_alphanumeric() {
                mark
            } else {
                '-'
            }
        })
        .collect();
    matches!(
        &*plain,
        "x-http-method-override"
            | "x-http-method"
            | "x-method-override"
            | "x-original-url"
            | "x-original-uri"
            | "x-original-method"
            | "x-original-host"
            | "x-rewrite-url"
    )
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
