//! What a call names on its wire: one canonical form, computed once.
//!
//! Rules are matched on the same value that the app acts on, so a target that two programs could read
//! differently is refused instead of repaired (SECURITY H-01): dot segments, `//`, matrix parameters, and
//! escapes that hide a delimiter. What is left has exactly one meaning, and the query is no part of it (H-02).

mod escape;
mod query;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(crate) use query::form_text;

/// The longest target that is read, in bytes, its query included.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

/// The longest name of an operation on a wire without paths, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// Why a target is refused. Every one of them is the caller's mistake (outcome *invalid*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TargetError {
    /// Nothing at all.
    #[error("target is empty")]
    Empty,
    /// Longer than [`MAX_TARGET_BYTES`], or a name longer than [`MAX_NAME_BYTES`].
    #[error("target is too long")]
    TooLong,
    /// `http://host/path`, the form that proxies are asked with (RFC 9112 section 3.2.2).
    #[error("target is in absolute form, not a path")]
    AbsoluteForm,
    /// `*`, which names the server (RFC 9112 section 3.2.4).
    #[error("target is `*`, not a path")]
    AsteriskForm,
    /// Neither of the two above, and not a path either: authority form, or a relative path (H-11).
    #[error("target does not begin with `/`")]
    NoLeadingSlash,
    /// A `//`, which some servers merge and others keep.
    #[error("path has an empty segment")]
    EmptySegment,
    /// A `.` or `..` segment.
    #[error("path has a dot segment")]
    DotSegment,
    /// A `\`, which some servers read as `/`.
    #[error("path has a backslash")]
    Backslash,
    /// A `;`, which some servers cut off with what follows it.
    #[error("path has a matrix parameter")]
    MatrixParameter,
    /// A `#`, which no client sends.
    #[error("target has a fragment")]
    Fragment,
    /// A space as it stands.
    #[error("target has a raw space")]
    Space,
    /// A control character, raw or encoded.
    #[error("target has a control character")]
    ControlCharacter,
    /// A byte above 0x7f as it stands.
    #[error("target has a raw non-ASCII byte")]
    NonAscii,
    /// One of `"<>{}` or a backquote, which RFC 3986 section 3.3 keeps out of paths.
    #[error("path has a character that must be percent-encoded")]
    IllegalCharacter,
    /// A `%` without two hexadecimal digits behind it.
    #[error("target has an incomplete percent escape")]
    BadEscape,
    /// A `%2f`.
    #[error("path has an encoded slash")]
    EncodedSlash,
    /// A `%5c`.
    #[error("path has an encoded backslash")]
    EncodedBackslash,
    /// A `%2e`.
    #[error("path has an encoded dot")]
    EncodedDot,
    /// A `%00`.
    #[error("target has an encoded NUL")]
    EncodedNul,
    /// A `%25`: what it hides would be decoded by whoever decodes twice.
    #[error("path has an encoded percent sign")]
    EncodedPercent,
    /// A `%3b`, `%3f` or `%23`: whoever decodes before splitting sees `;`, `?` or `#` there.
    #[error("path has an encoded delimiter")]
    EncodedDelimiter,
    /// The decoded bytes are not UTF-8 (overlong forms and surrogates among them).
    #[error("target is not UTF-8")]
    BadUtf8,
    /// Some frameworks end a query parameter at `;` and others do not.
    #[error("query parameter has a raw semicolon")]
    QuerySemicolon,
    /// Not of the form `/package.Service/Method`.
    #[error("target is not a gRPC method")]
    NotGrpc,
    /// A name with blanks in front or behind.
    #[error("name has blanks around it")]
    SurroundingBlanks,
}

/// The canonical path of a call and its query.
///
/// Two targets are equal when paths and queries are. A trailing slash counts: `/books/` is not `/books`.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    raw: &'a str,
    path: Cow<'a, str>,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads an HTTP request target in origin form (`/a/b?x=y`, RFC 9112 section 3.2.1).
    ///
    /// Borrows unless the path holds escapes. Escapes are decoded once, so `/%61` and `/a` are equal.
    ///
    /// # Errors
    ///
    /// Returns the [`TargetError`] that names what is wrong or ambiguous in it.
    pub fn parse(raw: &'a [u8]) -> Result<Self, TargetError> {
        check_form(raw)?;
        let seen = scan(raw)?;
        let raw = std::str::from_utf8(raw).map_err(|_| TargetError::BadUtf8)?;
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (raw, None),
        };
        let is_dots = |segment| matches!(segment, "." | "..");
        if seen.leading_dot && path.split('/').any(is_dots) {
            return Err(TargetError::DotSegment);
        }
        let path = match seen.escapes {
            false => Cow::Borrowed(path),
            true => Cow::Owned(escape::decode_path(path)?),
        };
        Ok(Self { raw, path, query })
    }

    /// Reads the `:path` of a gRPC call: exactly `/package.Service/Method`, of identifiers.
    ///
    /// # Errors
    ///
    /// Returns a [`TargetError`] for anything else, among it a missing leading slash (H-11).
    pub fn parse_grpc(raw: &'a [u8]) -> Result<Self, TargetError> {
        check_form(raw)?;
        let raw = std::str::from_utf8(raw).map_err(|_| TargetError::NotGrpc)?;
        let (service, method) = raw
            .strip_prefix('/')
            .and_then(|rest| rest.split_once('/'))
            .ok_or(TargetError::NotGrpc)?;
        if !service.split('.').all(is_identifier) || !is_identifier(method) {
            return Err(TargetError::NotGrpc);
        }
        Ok(Self {
            raw,
            path: Cow::Borrowed(raw),
            query: None,
        })
    }

    /// The decoded path; begins with `/` and holds no `%`, `?`, `#`, `;`, `\`, `//` or dot segment.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The segments of the path; the last one is empty when the path ends in `/`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').skip(1)
    }

    /// The query as it was sent, without its `?`.
    #[must_use]
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The values of the query parameter `name`, decoded as `application/x-www-form-urlencoded`, in order.
    ///
    /// Other parameters are skipped unread. Names are compared after decoding.
    ///
    /// # Errors
    ///
    /// An item is a [`TargetError`] when that value has a bad escape, bad UTF-8, a control character, or a raw
    /// `;` that could make it two parameters.
    pub fn query_values<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = Result<Cow<'a, str>, TargetError>> + use<'a, 'n> {
        query::values(self.query, name)
    }

    /// The target with exactly the escapes it needs, in upper-case hexadecimal; the query is unchanged.
    ///
    /// Parsing it gives an equal target, and it is never longer than what was sent.
    #[must_use]
    pub fn canonical_encoded(&self) -> Cow<'a, str> {
        match &self.path {
            Cow::Borrowed(_) => Cow::Borrowed(self.raw),
            Cow::Owned(path) => Cow::Owned(escape::encode(path, self.query)),
        }
    }
}

impl PartialEq for Target<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.query == other.query
    }
}

impl Eq for Target<'_> {}

/// Reads the name of an operation on a wire without paths (`books.delete`, `books delete`, `book-deletions`).
///
/// A name is 1 to [`MAX_NAME_BYTES`] bytes of UTF-8 without control characters and without blanks around it.
/// Nothing in it is folded or collapsed: words of a command line are separated by single spaces.
///
/// # Errors
///
/// Returns the [`TargetError`] that says which of these it breaks.
pub fn parse_name(raw: &[u8]) -> Result<&str, TargetError> {
    if raw.is_empty() {
        return Err(TargetError::Empty);
    }
    if raw.len() > MAX_NAME_BYTES {
        return Err(TargetError::TooLong);
    }
    let name = std::str::from_utf8(raw).map_err(|_| TargetError::BadUtf8)?;
    if name.chars().any(char::is_control) {
        return Err(TargetError::ControlCharacter);
    }
    if name.trim() != name {
        return Err(TargetError::SurroundingBlanks);
    }
    Ok(name)
}

fn check_form(raw: &[u8]) -> Result<(), TargetError> {
    if raw.len() > MAX_TARGET_BYTES {
        return Err(TargetError::TooLong);
    }
    match raw {
        [] => Err(TargetError::Empty),
        [b'/', ..] => Ok(()),
        b"*" => Err(TargetError::AsteriskForm),
        _ if raw.windows(3).any(|window| window == b"://") => Err(TargetError::AbsoluteForm),
        _ => Err(TargetError::NoLeadingSlash),
    }
}

/// What asks for a closer look.
#[derive(Default)]
struct Seen {
    escapes: bool,
    /// A segment that begins with a dot.
    leading_dot: bool,
}

/// Looks at every byte once; what it lets through is ASCII.
fn scan(raw: &[u8]) -> Result<Seen, TargetError> {
    let mut seen = Seen::default();
    let mut in_query = false;
    let mut last = 0;
    for &byte in raw {
        match byte {
            0..=0x1f | 0x7f => return Err(TargetError::ControlCharacter),
            b' ' => return Err(TargetError::Space),
            0x80.. => return Err(TargetError::NonAscii),
            b'#' => return Err(TargetError::Fragment),
            _ if in_query => {}
            b'?' => in_query = true,
            b'\\' => return Err(TargetError::Backslash),
            b';' => return Err(TargetError::MatrixParameter),
            b'/' if last == b'/' => return Err(TargetError::EmptySegment),
            b'"' | b'<' | b'>' | b'`' | b'{' | b'}' => return Err(TargetError::IllegalCharacter),
            b'%' => seen.escapes = true,
            b'.' if last == b'/' => seen.leading_dot = true,
            _ => {}
        }
        last = byte;
    }
    Ok(seen)
}

pub(crate) fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
