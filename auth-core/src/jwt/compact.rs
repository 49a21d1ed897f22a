//! The compact serialization of a JWS (RFC 7515 section 3.1), taken apart without leniency.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Part, Rejection};

/// The longest token that is looked at, in bytes (T-10).
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest header, decoded, in bytes (T-10).
pub const MAX_HEADER_BYTES: usize = 2 * 1024;

/// A token in its parts. Nothing in it may be believed yet.
pub(super) struct Compact<'a> {
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// What the signature covers: the first two parts as they came.
    pub(super) signing_input: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Takes a token apart: sizes first, then the number of parts, then each part's base64url.
    pub(super) fn split(token: &'a [u8]) -> Result<Self, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::TokenTooLong);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejection::NotCompact);
        };
        match parts.count() {
            0 => {}
            2 => return Err(Rejection::Encrypted), // RFC 7516 section 3.1: five parts.
            _ => return Err(Rejection::NotCompact),
        }
        if header.len() > MAX_HEADER_BYTES.div_ceil(3) * 4 {
            return Err(Rejection::HeaderTooLong);
        }
        let signing_input = token.get(..header.len() + 1 + payload.len());
        let compact = Self {
            header: decode(header, Part::Header)?,
            payload: decode(payload, Part::Payload)?,
            signature: decode(signature, Part::Signature)?,
            signing_input: signing_input.ok_or(Rejection::NotCompact)?,
        };
        if compact.header.len() > MAX_HEADER_BYTES {
            return Err(Rejection::HeaderTooLong);
        }
        Ok(compact)
    }
}

/// base64url without padding, in its one canonical form: the engine refuses padding, foreign
/// characters and non-zero trailing bits.
fn decode(text: &[u8], part: Part) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Rejection::Encoding { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(token: &[u8]) -> Option<Rejection> {
        Compact::split(token).err()
    }

    #[test]
    fn the_number_of_parts_is_three() {
        assert_eq!(fault(b"e30.e30.AA"), None);
        for token in [
            &b""[..],
            b".",
            b"e30",
            b"e30.e30",
            b"e30.e30.AA.",
            b"a.b.c.d.e.f",
        ] {
            assert_eq!(fault(token), Some(Rejection::NotCompact), "{token:?}");
        }
        assert_eq!(fault(b"e30.e30.AA.AA.AA"), Some(Rejection::Encrypted));
    }

    #[test]
    fn a_part_has_one_spelling() {
        for (token, part) in [
            (&b"e30=.e30.AA"[..], Part::Header),
            (b"e31.e30.AA", Part::Header), // Trailing bits.
            (b"e30.e3+.AA", Part::Payload),
            (b"e30.e3/.AA", Part::Payload),
            (b"e30.e30.A A", Part::Signature),
            (b"e30.e30.AA\n", Part::Signature),
            (b"e30.e30.A", Part::Signature),
        ] {
            assert_eq!(
                fault(token),
                Some(Rejection::Encoding { part }),
                "{token:?}"
            );
        }
    }

    #[test]
    fn sizes_are_capped_to_the_byte() {
        let token = |header: usize, total: usize| {
            let mut token = URL_SAFE_NO_PAD.encode(vec![b' '; header]);
            token.push_str("..");
            while token.len() < total {
                token.push('A');
            }
            token.into_bytes()
        };
        assert_eq!(fault(&token(MAX_HEADER_BYTES, MAX_TOKEN_BYTES)), None);
        assert_eq!(
            fault(&token(MAX_HEADER_BYTES + 1, MAX_TOKEN_BYTES)),
            Some(Rejection::HeaderTooLong)
        );
        assert_eq!(
            fault(&token(2, MAX_TOKEN_BYTES + 1)),
            Some(Rejection::TokenTooLong)
        );
    }
}
