//! Percent-encoding of paths (RFC 3986 section 2.1).

use super::TargetError;

/// Decodes the escapes of a path once.
pub(super) fn decode_path(path: &str) -> Result<String, TargetError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            unambiguous(escaped_byte(&mut bytes)?)?
        } else {
            byte
        });
    }
    text(decoded)
}

/// The byte that two hexadecimal digits stand for; the `%` is read already.
pub(super) fn escaped_byte(digits: &mut impl Iterator<Item = u8>) -> Result<u8, TargetError> {
    let mut digit = || {
        let digit = char::from(digits.next()?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let (Some(high), Some(low)) = (digit(), digit()) else {
        return Err(TargetError::BadEscape);
    };
    Ok(high << 4 | low)
}

/// Decoded bytes as text.
pub(super) fn text(decoded: Vec<u8>) -> Result<String, TargetError> {
    let text = String::from_utf8(decoded).map_err(|_| TargetError::BadUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(TargetError::ControlCharacter);
    }
    Ok(text)
}

/// Writes a decoded path and a query as a request target.
pub(super) fn encode(path: &str, query: Option<&str>) -> String {
    let mut encoded = String::with_capacity(path.len() * 2);
    for byte in path.bytes() {
        if stands_for_itself(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 0x0f].map(hex_digit));
        }
    }
    if let Some(query) = query {
        encoded.push('?');
        encoded.push_str(query);
    }
    encoded
}

/// Refuses what a second reader could take for structure.
const fn unambiguous(byte: u8) -> Result<u8, TargetError> {
    match byte {
        0 => Err(TargetError::EncodedNul),
        b'/' => Err(TargetError::EncodedSlash),
        b'\\' => Err(TargetError::EncodedBackslash),
        b'.' => Err(TargetError::EncodedDot),
        b'%' => Err(TargetError::EncodedPercent),
        b';' | b'?' | b'#' => Err(TargetError::EncodedDelimiter),
        _ => Ok(byte),
    }
}

/// Unreserved characters, the delimiters of RFC 3986 that a segment may hold, and the four that browsers
/// leave alone against it (`[`, `]`, `|`, `^`); a parsed target is therefore never longer encoded.
const fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'"' | b'#' | b'%' | b';' | b'<' | b'>' | b'?' | b'\\' | b'`' | b'{' | b'}'
        )
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}
