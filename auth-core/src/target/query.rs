//! Query parameters, read as `application/x-www-form-urlencoded` and only when asked for.

use std::borrow::Cow;

use super::{
    TargetError,
    escape::{escaped_byte, text},
};

/// The decoded values of the parameter `name`.
pub(super) fn values<'a, 'n>(
    query: Option<&'a str>,
    name: &'n str,
) -> impl Iterator<Item = Result<Cow<'a, str>, TargetError>> + use<'a, 'n> {
    query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(move |piece| value(piece, name))
}

/// The value in `piece`, if `piece` is about `name`.
///
/// A reader that also splits at `;` would see other parameters in a piece that holds one; where `name` is among
/// them the piece is refused.
fn value<'a>(piece: &'a str, name: &str) -> Option<Result<Cow<'a, str>, TargetError>> {
    if piece.contains(';') {
        let concerned = piece.split(';').any(|part| is_named(part, name));
        return concerned.then_some(Err(TargetError::QuerySemicolon));
    }
    is_named(piece, name).then(|| decode(piece.split_once('=').map_or("", |(_, value)| value)))
}

/// A key that cannot be decoded is nobody's.
fn is_named(pair: &str, name: &str) -> bool {
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    form_bytes(key).map(Result::ok).eq(name.bytes().map(Some))
}

fn decode(value: &str) -> Result<Cow<'_, str>, TargetError> {
    if !value.contains(['%', '+']) {
        return Ok(Cow::Borrowed(value));
    }
    let decoded = form_bytes(value).collect::<Result<Vec<u8>, TargetError>>()?;
    text(decoded).map(Cow::Owned)
}

/// The text of a name or value of a form. It may hold any character but NUL.
pub(crate) fn form_text(encoded: &str) -> Result<Cow<'_, str>, TargetError> {
    if !encoded.contains(['%', '+']) {
        return Ok(Cow::Borrowed(encoded));
    }
    let decoded = form_bytes(encoded).collect::<Result<Vec<u8>, TargetError>>()?;
    let text = String::from_utf8(decoded).map_err(|_| TargetError::BadUtf8)?;
    if text.contains('\0') {
        return Err(TargetError::EncodedNul);
    }
    Ok(Cow::Owned(text))
}

fn form_bytes(encoded: &str) -> impl Iterator<Item = Result<u8, TargetError>> {
    let mut bytes = encoded.bytes();
    std::iter::from_fn(move || match bytes.next()? {
        b'+' => Some(Ok(b' ')),
        b'%' => Some(escaped_byte(&mut bytes)),
        byte => Some(Ok(byte)),
    })
}
