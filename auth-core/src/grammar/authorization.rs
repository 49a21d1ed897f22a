use super::{is_token_byte, printable};

/// What an `Authorization` header presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// There is no such header.
    Absent,
    /// One credential of another scheme, which is no business of ours.
    Other,
    /// One bearer token.
    Bearer(&'a str),
    /// A credential that cannot be used; it counts as presented.
    Malformed,
    /// Two or more credentials, in several lines or joined by a comma.
    Joined,
}

/// Reads all `Authorization` lines of a call; more than one is [`Authorization::Joined`] (H-09, T-16).
pub fn authorization_values<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Authorization<'a> {
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (None, _) => Authorization::Absent,
        (Some(value), None) => authorization(value),
        (Some(_), Some(_)) => Authorization::Joined,
    }
}

/// Reads the value of one `Authorization` line.
///
/// `Bearer`, in any case, one or more spaces, and a `token68` (RFC 6750 section 2.1, RFC 9110 section 11.2). A
/// comma behind it means that a proxy joined two lines. Another scheme is told from two credentials by the
/// commas of RFC 9110 section 11.6.1, so that all proxies give the same answer.
#[must_use]
pub fn authorization(value: &[u8]) -> Authorization<'_> {
    let Some(text) = printable(value) else {
        return Authorization::Malformed;
    };
    let (scheme, rest) = split_token(text);
    if scheme.is_empty() {
        return no_credential(text);
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return bearer(rest);
    }
    match rest.as_bytes().first() {
        None => Authorization::Other,
        Some(b' ') => other(rest),
        Some(_) => no_credential(rest),
    }
}

/// What has not the form of a credential is several if a comma is in it: a proxy may have joined it to
/// others, or an empty line to them.
fn no_credential(text: &str) -> Authorization<'_> {
    match text.contains(',') {
        true => Authorization::Joined,
        false => Authorization::Malformed,
    }
}

/// Reads what follows the scheme of a bearer token.
fn bearer(rest: &str) -> Authorization<'_> {
    let token = rest.trim_start_matches(' ');
    // No comma is in what a token may be of, so it is looked for only where there is none.
    match rest.starts_with(' ') && is_token68(token) {
        true => Authorization::Bearer(token),
        false => no_credential(rest),
    }
}

/// Tells one credential of another scheme from several.
///
/// A comma outside quotes separates parameters (`name=`) or credentials (anything else; also nothing, which is
/// how an empty line looks when it was joined).
fn other(rest: &str) -> Authorization<'_> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (index, byte) in rest.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted && rest.get(index + 1..).is_some_and(begins_credential) => {
                return Authorization::Joined;
            }
            _ => {}
        }
    }
    if is_quoted {
        Authorization::Malformed
    } else {
        Authorization::Other
    }
}

/// Reports whether what follows a comma is something else than a parameter.
fn begins_credential(text: &str) -> bool {
    let (name, rest) = split_token(text.trim_start_matches(' '));
    name.is_empty() || !rest.trim_start_matches(' ').starts_with('=')
}

/// Splits behind the token that `text` begins with, which may be empty.
fn split_token(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !is_token_byte(byte))
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Authorization::{Bearer, Joined, Malformed, Other};

    #[test]
    fn one_line_is_read_as_the_rfcs_have_it() {
        for (value, expected) in [
            ("Bearer abc", Bearer("abc")),
            ("bearer abc", Bearer("abc")),
            ("BEARER abc", Bearer("abc")),
            ("Bearer   abc", Bearer("abc")),
            ("Bearer aZ09-._~+/==", Bearer("aZ09-._~+/==")),
            ("", Malformed),
            (" ", Malformed),
            ("Bearer", Malformed),
            ("Bearer ", Malformed),
            ("Bearer =", Malformed),
            ("Bearer a=b", Malformed),
            ("Bearer abc ", Malformed),
            (" Bearer abc", Malformed),
            ("Bearer abc def", Malformed),
            ("Bearer Bearer abc", Malformed),
            ("Bearer \"abc\"", Malformed),
            ("Bearer abc;x", Malformed),
            ("Bearer\tabc", Malformed),
            ("Bearer abc\t", Malformed),
            ("Bearer abc\r\nx: y", Malformed),
            ("Bearer abc\0", Malformed),
            ("Bearer äbc", Malformed),
            ("Bearer=abc", Malformed),
            ("Bearer:abc", Malformed),
            ("Bearer\u{a0}abc", Malformed),
            ("Bearer a,b", Joined),
            ("Bearer abc, Bearer abc", Joined),
            ("Bearer abc,Basic abc", Joined),
            ("Bearer abc,", Joined),
            ("Bearer ,", Joined),
            ("Bearer,abc", Joined),
            ("Basic dXNlcjpwYXNz", Other),
            ("Negotiate", Other),
            ("Bearerabc", Other),
            ("eyJ.eyJ.sig", Other),
            ("Digest username=\"a, Bearer b\", realm=\"c\"", Other),
            ("Digest a=1, b = 2, c=\"x\\\"y, z\"", Other),
            ("Digest username=\"a, Bearer b", Malformed),
            ("Basic:abc", Malformed),
            ("Basic abc,Bearer def", Joined),
            ("Basic abc, Bearer", Joined),
            ("Basic abc,bearer def", Joined),
            ("Basic abc,Basic abc", Joined),
            ("Basic,Bearer abc", Joined),
            ("Digest a=\"x\",Bearer def", Joined),
            ("Digest a=1, \"x\"", Joined),
            ("Digest a=1,, b=2", Joined),
            ("Basic abc,", Joined),
            ("Basic:abc,Bearer def", Joined),
            (",Bearer abc", Joined),
            (", Bearer abc", Joined),
            (" ,Bearer abc", Joined),
            (",", Joined),
        ] {
            assert_eq!(authorization(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn a_value_beyond_the_limit_is_malformed() {
        let value = format!(
            "Bearer {}",
            "a".repeat(super::super::MAX_CREDENTIAL_BYTES - 7)
        );
        assert!(matches!(authorization(value.as_bytes()), Bearer(_)));
        assert_eq!(authorization((value + "a").as_bytes()), Malformed);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = authorization(&value);
        }

        #[test]
        fn joined_lines_are_never_one_bearer_token(a in "[ -~]{0,20}", b in "[ -~]{0,20}") {
            let joined = format!("Bearer {a},{b}");
            prop_assert_eq!(authorization(joined.as_bytes()), Joined);
            let joined = format!("{a},Bearer {b}");
            prop_assert!(!matches!(authorization(joined.as_bytes()), Bearer(_)));
        }
    }
}
