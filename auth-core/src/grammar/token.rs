use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// What every session token begins with, so that scanners and people recognise one.
pub const SESSION_TOKEN_PREFIX: &str = "sg1_";

/// What every API key begins with.
pub const API_KEY_PREFIX: &str = "sgk_";

const TOKEN_BYTES: usize = 34;
/// How long the text of a session token is.
pub(crate) const TOKEN_CHARS: usize = 4 + 46;
const KEY_BYTES: usize = 32;
const CHECKED_KEY_BYTES: usize = KEY_BYTES + 4;
const KEY_CHARS: usize = 4 + 48;

/// The text of a session token: `sg1_` and the base64url of two shard bytes and 32 random bytes (R12).
///
/// It holds the secret, so it prints as `TokenText(..)`.
#[derive(Clone)]
pub struct TokenText([u8; TOKEN_CHARS]);

impl TokenText {
    /// Writes a token.
    #[must_use]
    pub fn new(bytes: &[u8; TOKEN_BYTES]) -> Self {
        Self(encode(SESSION_TOKEN_PREFIX, bytes))
    }

    /// Reads a token. There is exactly one text for every token; all else is refused (S-15).
    #[must_use]
    pub fn parse(text: &str) -> Option<[u8; TOKEN_BYTES]> {
        decode(text, SESSION_TOKEN_PREFIX, TOKEN_CHARS)
    }

    /// The text, which is secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        as_str(&self.0)
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}

/// The text of an API key: `sgk_` and the base64url of 32 random bytes and their CRC-32 (T-19).
///
/// The checksum is public. It tells a slip of the pen from a key without asking the store, as any change of
/// one character and nearly any other shows; it is no protection against an attacker. The text holds the
/// secret, so it prints as `ApiKeyText(..)`.
#[derive(Clone)]
pub struct ApiKeyText([u8; KEY_CHARS]);

impl ApiKeyText {
    /// Writes a key.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut checked = [0; CHECKED_KEY_BYTES];
        let checksum = crc32(bytes).to_le_bytes();
        for (to, from) in checked.iter_mut().zip(bytes.iter().chain(&checksum)) {
            *to = *from;
        }
        Self(encode(API_KEY_PREFIX, &checked))
    }

    /// Reads a key. There is exactly one text for every key; all else is refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<[u8; KEY_BYTES]> {
        let checked: [u8; CHECKED_KEY_BYTES] = decode(text, API_KEY_PREFIX, KEY_CHARS)?;
        let (bytes, checksum) = checked.split_first_chunk::<KEY_BYTES>()?;
        (crc32(bytes).to_le_bytes() == checksum).then_some(*bytes)
    }

    /// The text, which is secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        as_str(&self.0)
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyText(..)")
    }
}

/// The text is ASCII by construction.
fn as_str(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

fn encode<const N: usize>(prefix: &str, bytes: &[u8]) -> [u8; N] {
    let mut text = [0; N];
    if let Some((head, body)) = text.split_at_mut_checked(prefix.len()) {
        head.copy_from_slice(prefix.as_bytes());
        // It fits: `N` is the length of the prefix and of the encoded bytes.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, body);
    }
    text
}

fn decode<const N: usize>(text: &str, prefix: &str, chars: usize) -> Option<[u8; N]> {
    if text.len() != chars {
        return None;
    }
    // Room for the engine's estimate, which rounds up to whole groups of three.
    let mut bytes = [0; CHECKED_KEY_BYTES];
    let length = URL_SAFE_NO_PAD
        .decode_slice(text.strip_prefix(prefix)?, &mut bytes)
        .ok()?;
    bytes.get(..length)?.try_into().ok()
}

/// CRC-32 as of IEEE 802.3 (reflected, polynomial 0x04c11db7), bit by bit: keys are short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// Every text of the same length that differs from `text` in one ASCII character.
    fn neighbours(text: &str) -> impl Iterator<Item = String> {
        (0..text.len()).flat_map(move |at| {
            (0..=127u8)
                .map(char::from)
                .filter(move |c| !text[at..].starts_with(*c))
                .map(move |c| {
                    let mut other = text.to_owned();
                    other.replace_range(at..=at, c.encode_utf8(&mut [0; 4]));
                    other
                })
        })
    }

    fn shortened(text: &str) -> impl Iterator<Item = &str> {
        (0..text.len()).flat_map(|at| [&text[..at], &text[at + 1..]])
    }

    fn lengthened(text: &str) -> impl Iterator<Item = String> {
        ["A", "=", " ", "\0", "\n", ",", "ä", "sg1_", "sgk_"]
            .into_iter()
            .flat_map(move |more| [format!("{text}{more}"), format!("{more}{text}")])
    }

    #[test]
    fn the_formats_stay_as_they_are() {
        let token: [u8; 34] = std::array::from_fn(|i| i as u8);
        let key: [u8; 32] = std::array::from_fn(|i| i as u8);
        assert_eq!(
            TokenText::new(&token).as_str(),
            "sg1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gIQ"
        );
        assert_eq!(
            ApiKeyText::new(&key).as_str(),
            "sgk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-KfiaR"
        );
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926); // The check value of the catalogues.
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", TokenText::new(&[7; 34])), "TokenText(..)");
        assert_eq!(format!("{:?}", ApiKeyText::new(&[7; 32])), "ApiKeyText(..)");
    }

    #[test]
    fn one_is_not_the_other() {
        assert_eq!(TokenText::parse(ApiKeyText::new(&[7; 32]).as_str()), None);
        assert_eq!(ApiKeyText::parse(TokenText::new(&[7; 34]).as_str()), None);
    }

    #[test]
    fn a_token_has_one_text() {
        for bytes in [[0; 34], [0xff; 34], std::array::from_fn(|i| (i * 37) as u8)] {
            let token = TokenText::new(&bytes);
            let token = token.as_str();
            assert_eq!(TokenText::parse(token), Some(bytes));
            assert!(shortened(token).all(|text| TokenText::parse(text).is_none()));
            assert!(lengthened(token).all(|text| TokenText::parse(&text).is_none()));
            for other in neighbours(token) {
                // Without a checksum another body may be another token, but never this one.
                let parsed = TokenText::parse(&other);
                assert_ne!(parsed, Some(bytes), "{other:?}");
                assert!(parsed.is_none_or(|parsed| TokenText::new(&parsed).as_str() == other));
            }
        }
    }

    #[test]
    fn a_key_with_one_slip_is_refused() {
        for bytes in [[0; 32], [0xff; 32], std::array::from_fn(|i| (i * 37) as u8)] {
            let key = ApiKeyText::new(&bytes);
            let key = key.as_str();
            assert_eq!(ApiKeyText::parse(key), Some(bytes));
            assert!(shortened(key).all(|text| ApiKeyText::parse(text).is_none()));
            assert!(lengthened(key).all(|text| ApiKeyText::parse(&text).is_none()));
            assert!(neighbours(key).all(|text| ApiKeyText::parse(&text).is_none()));
        }
    }

    #[test]
    fn hostile_tokens_are_refused() {
        // S-15: whatever stands in them, the store is never asked.
        let body = "A".repeat(42);
        for text in [
            "",
            "sg1_",
            "sgk_",
            "sg1_*",
            "{sg1_}",
            "' or 1=1 --",
            "../..",
            &"a".repeat(1 << 20),
        ] {
            assert_eq!(
                (TokenText::parse(text), ApiKeyText::parse(text)),
                (None, None)
            );
        }
        for tail in [
            "\0\0\0\0", "\r\n\r\n", "''''", "{}{}", "****", "+/+/", "====", "éé", "AAA=", "AAAB",
        ] {
            let text = format!("sg1_{body}{tail}");
            assert_eq!(TokenText::parse(&text), None, "{text:?}");
        }
        for text in [
            format!("SG1_{body}AAAA"),
            format!("sg1-{body}AAAA"),
            format!("sg2_{body}AAAA"),
        ] {
            assert_eq!(TokenText::parse(&text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(token: [u8; 34], key: [u8; 32]) {
            prop_assert_eq!(TokenText::parse(TokenText::new(&token).as_str()), Some(token));
            let key_text = ApiKeyText::new(&key);
            prop_assert_eq!(ApiKeyText::parse(key_text.as_str()), Some(key));
            prop_assert!(key_text.as_str()[4..].chars().all(|c| ALPHABET.contains(c)));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(sg1_|sgk_)?.{0,48}", body in "sg1_[A-Za-z0-9_-]{46}") {
            let _ = (TokenText::parse(&text), ApiKeyText::parse(&text));
            if let Some(bytes) = TokenText::parse(&body) {
                let again = TokenText::new(&bytes);
                prop_assert_eq!(again.as_str(), body);
            }
        }
    }
}
