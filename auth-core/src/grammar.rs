//! What a caller presents, byte by byte: header values, cookies, tokens.
//!
//! All of it comes from outside. The parsers are total, allocate nothing, and keep three things apart that
//! decide differently (R8, R9): *absent* (the next strategy is asked), *malformed* (a credential that is
//! invalid, and decides), and *more than one* (the call itself is invalid).

mod api_key;
mod authorization;
mod cookie;
#[cfg(test)]
mod credential_sets;
mod token;

pub(crate) use self::token::TOKEN_CHARS;
pub use self::{
    api_key::{ApiKey, api_key, api_key_values},
    authorization::{Authorization, authorization, authorization_values},
    cookie::{CookieName, Cookies, cookie_values},
    token::{API_KEY_PREFIX, ApiKeyText, SESSION_TOKEN_PREFIX, TokenText},
};

/// The longest header value that is read as a credential, in bytes (H-13).
pub const MAX_CREDENTIAL_BYTES: usize = 8 * 1024;

/// The text of a value, if it is short enough and of visible ASCII and spaces.
fn printable(value: &[u8]) -> Option<&str> {
    let is_printable = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if value.len() > MAX_CREDENTIAL_BYTES || !is_printable {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// A character of a token (RFC 9110 section 5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
        || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}
