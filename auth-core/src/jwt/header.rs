//! The protected header: what it may say, and what it is never asked.

use serde_json::{Map, Value};

use super::{Algorithm, Part, Rejection, json};
use crate::text::is_hidden;

/// The longest key id, in bytes.
pub const MAX_KEY_ID_BYTES: usize = 256;

/// Members that carry or point to a key. Keys come from configuration only (T-03): these are never
/// followed, and a token that has one is refused unless its issuer is known to send them for no use.
const EMBEDDED_KEYS: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];

/// A header that is well formed. It still has to suit the issuer.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    /// Only ever a key of a look-up table in memory; it reaches no file, query or URL.
    pub(super) key_id: Option<String>,
    /// In lower case, without `application/`.
    pub(super) token_type: Option<String>,
    pub(super) embedded_key: Option<&'static str>,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Rejection> {
        let members = json::object(bytes).map_err(|fault| Rejection::Json {
            part: Part::Header,
            fault,
        })?;
        refuse_extensions(&members)?;
        Ok(Self {
            algorithm: algorithm(&members)?,
            key_id: key_id(&members)?,
            token_type: string(&members, "typ")?.map(token_type),
            embedded_key: EMBEDDED_KEYS
                .into_iter()
                .find(|name| members.contains_key(*name)),
        })
    }
}

/// A media type as it is compared: in lower case, without the `application/` that RFC 7515
/// section 4.1.9 lets senders leave out.
pub(super) fn token_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower
        .strip_prefix("application/")
        .map_or(lower.clone(), str::to_owned)
}

/// Refuses what changes how the rest is to be read.
fn refuse_extensions(members: &Map<String, Value>) -> Result<(), Rejection> {
    if members.contains_key("crit") {
        // We understand no extension, so RFC 7515 section 4.1.11 leaves no choice; an empty list is malformed.
        return Err(Rejection::Critical);
    }
    if members.contains_key("b64") {
        return Err(Rejection::UnencodedPayload); // RFC 7797.
    }
    if members.contains_key("zip") {
        return Err(Rejection::Compressed);
    }
    match string(members, "cty")?.map(token_type).as_deref() {
        Some("jwt") => Err(Rejection::Nested), // RFC 7519 section 5.2.
        _ => Ok(()),
    }
}

fn algorithm(members: &Map<String, Value>) -> Result<Algorithm, Rejection> {
    let name = string(members, "alg")?.ok_or(Rejection::HeaderMember { name: "alg" })?;
    if name.trim().eq_ignore_ascii_case("none") {
        return Err(Rejection::Unsigned);
    }
    Algorithm::from_name(name).ok_or(Rejection::AlgorithmNotAllowed)
}

fn key_id(members: &Map<String, Value>) -> Result<Option<String>, Rejection> {
    let id = string(members, "kid")?;
    if id.is_some_and(|id| !is_key_id(id)) {
        return Err(Rejection::KeyId);
    }
    Ok(id.map(str::to_owned))
}

/// Whether a key id is of a sane length and free of control characters.
pub(super) fn is_key_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_KEY_ID_BYTES && !id.contains(is_hidden)
}

fn string<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, Rejection> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Rejection::HeaderMember { name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_compared_in_lower_case_without_its_tree() {
        for text in [
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/At+JWT",
        ] {
            assert_eq!(token_type(text), "at+jwt");
        }
        assert_eq!(
            token_type("application/application/at+jwt"),
            "application/at+jwt"
        );
    }

    #[test]
    fn a_key_id_is_text_of_a_sane_length() {
        for (id, good) in [
            ("2026-11", true),
            ("../../etc/passwd", true), // Odd, but no more than a key of a map.
            ("", false),
            ("a\0", false),
            ("a\r\nb", false),
            ("a\u{85}", false),
        ] {
            assert_eq!(is_key_id(id), good, "{id:?}");
        }
        assert!(is_key_id(&"k".repeat(MAX_KEY_ID_BYTES)));
        assert!(!is_key_id(&"k".repeat(MAX_KEY_ID_BYTES + 1)));
    }
}
