//! Credentials in the query of a target: they stay here (SECURITY T-18).

use std::borrow::Cow;

/// A target without the parameters of its query that have these names. Borrowed when it has none
/// of them.
pub(crate) fn without<'t>(target: &'t str, names: &[String]) -> Cow<'t, str> {
    let Some((path, query)) = target.split_once('?') else {
        return Cow::Borrowed(target);
    };
    let is_kept = |pair: &&str| {
        let written = pair.split('=').next().unwrap_or_default();
        !names.iter().any(|name| is_name(written, name))
    };
    if query.split('&').all(|pair| is_kept(&pair)) {
        return Cow::Borrowed(target);
    }
    let kept: Vec<_> = query.split('&').filter(is_kept).collect();
    Cow::Owned(match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", kept.join("&")),
    })
}

/// Whether a name of a query, which may be percent-encoded, is this one.
fn is_name(written: &str, name: &str) -> bool {
    let mut rest = written.as_bytes();
    let mut wanted = name.bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = match after {
            [high, low, ..] if *first == b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high).zip(digit(low))
            }
            _ => None,
        };
        let byte = match escape {
            Some((high, low)) => u8::try_from(high * 16 + low).unwrap_or(*first),
            None if *first == b'+' => b' ',
            None => *first,
        };
        let length = if escape.is_some() { 3 } else { 1 };
        if wanted.next() != Some(byte) {
            return false;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    wanted.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t18_a_credential_of_the_query_stays_here_however_it_is_written() {
        let withheld = ["api_key".to_owned()];
        for (target, expected) in [
            ("/a", "/a"),
            ("/a?x=1", "/a?x=1"),
            ("/a?api_key=s", "/a"),
            ("/a?x=1&api_key=s&y=2", "/a?x=1&y=2"),
            ("/a?api%5fkey=s&x=%31", "/a?x=%31"),
            ("/a?%61pi_key=s", "/a"),
            (
                "/a?api_keys=1&api_ke=2&API_KEY=3",
                "/a?api_keys=1&api_ke=2&API_KEY=3",
            ),
            ("/a?api_key", "/a"),
        ] {
            assert_eq!(without(target, &withheld), expected, "{target}");
        }
    }
}
