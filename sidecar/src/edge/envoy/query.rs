//! Credentials in the query of a target, which the app need not see (SECURITY T-18).

use std::borrow::Cow;

/// The names in the query of `target` that a reader takes for one of `names`, each as it is written
/// there and as it is read: Envoy compares text.
pub(super) fn to_remove(target: &str, names: &[String]) -> Vec<String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let mut found = Vec::new();
    if names.is_empty() {
        return found;
    }
    for pair in query.split('&') {
        let written = pair.split_once('=').map_or(pair, |(name, _)| name);
        let read = read(written);
        if names.iter().any(|name| *name == read) {
            found.extend([written.to_owned(), read.into_owned()]);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A name as forms encode it.
fn read(name: &str) -> Cow<'_, str> {
    match name.contains(['%', '+']) {
        false => Cow::Borrowed(name),
        true => {
            let spaced = name.replace('+', " ");
            let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy();
            Cow::Owned(decoded.into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let names = ["key".to_owned(), "my key".to_owned()];
        for (target, expected) in [
            ("/a", &[][..]),
            ("/a?x=1", &[]),
            ("/key?keys=1&Key=2", &[]),
            ("/a?key=1", &["key"]),
            ("/a?x=1&key", &["key"]),
            ("/a?%6bey=1", &["%6bey", "key"]),
            ("/a?key=1&k%65y=2", &["k%65y", "key"]),
            ("/a?my+key=1", &["my key", "my+key"]),
        ] {
            assert_eq!(to_remove(target, &names), expected, "{target}");
        }
        assert!(to_remove("/a?key=1", &[]).is_empty());
    }
}
