use std::fmt;

use crate::target::is_identifier;

/// The most segments a pattern may have.
pub const MAX_SEGMENTS: usize = 64;

/// Matches whole paths: `/books/{book_id}`, `/files/*`, `/static/**`.
///
/// | segment | matches | |
/// | --- | --- | --- |
/// | `books` | itself, in the same case | written decoded: `/café`, not `/caf%C3%A9` |
/// | `{name}` | one segment, not an empty one | which becomes the parameter `name` |
/// | `*` | one segment, not an empty one | |
/// | `**` | the rest of the path, also nothing | last only; `/a/**` matches `/a`, `/a/`, `/a/b/c` |
///
/// A trailing slash counts: `/books/` does not match `/books`, nor does `/books/{book_id}` match `/books/`.
/// gRPC methods (`/package.Service/Method`) are paths too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// Itself; empty for a trailing slash.
    Literal(Box<str>),
    /// `{name}`.
    Parameter(Box<str>),
    /// `*`.
    One,
    /// `**`.
    Rest,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Returns [`PatternError`] when it is malformed or could never match a canonical path.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let refuse = |offset, kind| PatternError::new(text, offset, kind);
        let body = text
            .strip_prefix('/')
            .ok_or_else(|| refuse(0, PatternErrorKind::NoLeadingSlash))?;
        let count = body.split('/').count();
        if count > MAX_SEGMENTS {
            return Err(refuse(0, PatternErrorKind::TooManySegments));
        }
        let mut segments = Vec::with_capacity(count);
        let mut offset = 1;
        for part in body.split('/') {
            let is_last = segments.len() + 1 == count;
            let segment = parse_segment(part, is_last)
                .map_err(|(within, kind)| refuse(offset + within, kind))?;
            if matches!(segment, Segment::Parameter(_)) && segments.contains(&segment) {
                return Err(refuse(offset, PatternErrorKind::DuplicateParameter));
            }
            segments.push(segment);
            offset += part.len() + 1;
        }
        Ok(Self {
            text: text.into(),
            segments: segments.into(),
        })
    }

    /// The names of the parameters, in the order of the path.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(&**name),
            _ => None,
        })
    }

    /// Reports whether the canonical path `path` matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(body) = path.strip_prefix('/') else {
            return false;
        };
        let mut parts = body.split('/');
        for segment in &*self.segments {
            let matches = match (segment, parts.next()) {
                (Segment::Rest, _) => return true,
                (Segment::Literal(literal), Some(part)) => **literal == *part,
                (Segment::Parameter(_) | Segment::One, Some(part)) => !part.is_empty(),
                (_, None) => false,
            };
            if !matches {
                return false;
            }
        }
        parts.next().is_none()
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a pattern is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    pattern: String,
    offset: usize,
    kind: PatternErrorKind,
}

impl PatternError {
    pub(super) fn new(pattern: &str, offset: usize, kind: PatternErrorKind) -> Self {
        Self {
            pattern: pattern.to_owned(),
            offset,
            kind,
        }
    }

    /// Where in the pattern, in bytes from its beginning.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> PatternErrorKind {
        self.kind
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pattern,
            offset,
            kind,
        } = self;
        let column = pattern
            .get(..*offset)
            .map_or(0, |before| before.chars().count())
            + 1;
        write!(f, "pattern `{pattern}`: {kind}, at column {column}")
    }
}

impl std::error::Error for PatternError {}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PatternErrorKind {
    /// It is not a path.
    #[error("it does not begin with `/`")]
    NoLeadingSlash,
    /// More than [`MAX_SEGMENTS`].
    #[error("it has more than 64 segments")]
    TooManySegments,
    /// A `//`, which no canonical path holds.
    #[error("a segment is empty")]
    EmptySegment,
    /// A `.` or `..`, which no canonical path holds.
    #[error("a dot segment never matches")]
    DotSegment,
    /// `**` with something behind it.
    #[error("`**` may only be the last segment")]
    RestNotLast,
    /// A `*`, `{` or `}` inside a literal.
    #[error("`*`, `{{` and `}}` have no meaning inside a segment")]
    WildcardInSegment,
    /// `{name` without its end.
    #[error("a parameter is not closed with `}}`")]
    Unclosed,
    /// The name between the braces is no identifier.
    #[error("a parameter's name is not an identifier")]
    ParameterName,
    /// Two parameters share a name.
    #[error("a parameter's name is used twice")]
    DuplicateParameter,
    /// A literal with a `%`.
    #[error("`%` never matches; write the character itself")]
    Escape,
    /// A literal with a character that no canonical path holds.
    #[error("`?`, `#`, `;`, `\\` and control characters never match")]
    IllegalCharacter,
    /// Blanks around a segment.
    #[error("a segment has blanks around it")]
    Blank,
    /// A prefix with a parameter, or with a wildcard that is not its end.
    #[error("a prefix is made of plain segments")]
    NotAPrefix,
}

/// Reads one segment; an error comes with its offset in `part`.
fn parse_segment(part: &str, is_last: bool) -> Result<Segment, (usize, PatternErrorKind)> {
    match part {
        "" if is_last => Ok(Segment::Literal("".into())),
        "" => Err((0, PatternErrorKind::EmptySegment)),
        "." | ".." => Err((0, PatternErrorKind::DotSegment)),
        "*" => Ok(Segment::One),
        "**" if is_last => Ok(Segment::Rest),
        "**" => Err((0, PatternErrorKind::RestNotLast)),
        _ => match part.strip_prefix('{') {
            Some(rest) => parse_parameter(rest),
            None => parse_literal(part),
        },
    }
}

/// Reads `name}`.
fn parse_parameter(rest: &str) -> Result<Segment, (usize, PatternErrorKind)> {
    match rest.split_once('}') {
        None => Err((0, PatternErrorKind::Unclosed)),
        Some((name, _)) if !is_identifier(name) => Err((1, PatternErrorKind::ParameterName)),
        Some((name, "")) => Ok(Segment::Parameter(name.into())),
        Some((name, _)) => Err((name.len() + 2, PatternErrorKind::WildcardInSegment)),
    }
}

fn parse_literal(part: &str) -> Result<Segment, (usize, PatternErrorKind)> {
    for (offset, character) in part.char_indices() {
        let kind = match character {
            '*' | '{' | '}' => PatternErrorKind::WildcardInSegment,
            '%' => PatternErrorKind::Escape,
            '?' | '#' | ';' | '\\' => PatternErrorKind::IllegalCharacter,
            _ if character.is_control() => PatternErrorKind::IllegalCharacter,
            _ => continue,
        };
        return Err((offset, kind));
    }
    if part.trim() != part {
        return Err((0, PatternErrorKind::Blank));
    }
    Ok(Segment::Literal(part.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use PatternErrorKind as K;

    #[test]
    fn malformed_patterns_are_refused_where_they_are_wrong() {
        for (text, offset, kind) in [
            ("", 0, K::NoLeadingSlash),
            ("books", 0, K::NoLeadingSlash),
            ("*", 0, K::NoLeadingSlash),
            ("//", 1, K::EmptySegment),
            ("/a//b", 3, K::EmptySegment),
            ("/a//", 3, K::EmptySegment),
            ("/a/./b", 3, K::DotSegment),
            ("/a/..", 3, K::DotSegment),
            ("/**/a", 1, K::RestNotLast),
            ("/a/**/", 3, K::RestNotLast),
            ("/a/**/**", 3, K::RestNotLast),
            ("/a*", 2, K::WildcardInSegment),
            ("/a/***", 3, K::WildcardInSegment),
            ("/*.json", 1, K::WildcardInSegment),
            ("/é/x{id}", 5, K::WildcardInSegment),
            ("/id}", 3, K::WildcardInSegment),
            ("/{id}.json", 5, K::WildcardInSegment),
            ("/{a}{b}", 4, K::WildcardInSegment),
            ("/a/{id", 3, K::Unclosed),
            ("/a/{id/b}", 3, K::Unclosed),
            ("/a/{}", 4, K::ParameterName),
            ("/a/{1d}", 4, K::ParameterName),
            ("/a/{i-d}", 4, K::ParameterName),
            ("/a/{id:[0-9]+}", 4, K::ParameterName),
            ("/a/{*rest}", 4, K::ParameterName),
            ("/a/{{id}}", 4, K::ParameterName),
            ("/{id}/b/{id}", 8, K::DuplicateParameter),
            ("/caf%C3%A9", 4, K::Escape),
            ("/a?x=1", 2, K::IllegalCharacter),
            ("/a#b", 2, K::IllegalCharacter),
            ("/a;b", 2, K::IllegalCharacter),
            ("/a\\b", 2, K::IllegalCharacter),
            ("/a\nb", 2, K::IllegalCharacter),
            ("/a ", 1, K::Blank),
            ("/a/ b", 3, K::Blank),
        ] {
            let err = Pattern::parse(text).unwrap_err();
            assert_eq!((err.offset(), err.kind()), (offset, kind), "{text}");
        }
        let deep = "/a".repeat(MAX_SEGMENTS);
        assert!(Pattern::parse(&deep).is_ok());
        assert_eq!(
            Pattern::parse(&(deep + "/a")).unwrap_err().kind(),
            K::TooManySegments
        );
    }

    #[test]
    fn an_error_names_pattern_and_column() {
        let err = Pattern::parse("/é/x{id}").unwrap_err();
        assert_eq!(
            err.to_string(),
            "pattern `/é/x{id}`: `*`, `{` and `}` have no meaning inside a segment, at column 5"
        );
    }

    #[test]
    fn parameters_are_listed_in_order() {
        let pattern = Pattern::parse("/{b}/x/{a}/*/**").unwrap();
        assert_eq!(pattern.parameters().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn a_pattern_is_anchored_and_segment_wise() {
        for (pattern, path, matches) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/", "", false),
            ("/books", "/books", true),
            ("/books", "/books/", false),
            ("/books", "/Books", false),
            ("/books", "/bookstore", false),
            ("/books", "/x/books", false),
            ("/books", "books", false),
            ("/books.json", "/booksxjson", false), // Istio CVE-2026-39350: a dot is a dot.
            ("/books/", "/books/", true),
            ("/books/", "/books", false),
            ("/books/{id}", "/books/7", true),
            ("/books/{id}", "/books/", false),
            ("/books/{id}", "/books", false),
            ("/books/{id}", "/books/7/", false),
            ("/books/{id}", "/books/7/x", false),
            ("/books/*", "/books/7", true),
            ("/books/*", "/books/", false),
            ("/books/*/x", "/books/7/x", true),
            ("/books/**", "/books", true),
            ("/books/**", "/books/", true),
            ("/books/**", "/books/7/x/", true),
            ("/books/**", "/bookstore", false),
            ("/**", "/", true),
            ("/**", "/a/b", true),
            ("/*/**", "/", false),
            ("/*/**", "/a", true),
            ("/a b", "/a b", true),
            (
                "/books.v1.BookService/DeleteBook",
                "/books.v1.BookService/DeleteBook",
                true,
            ),
            (
                "/books.v1.BookService/*",
                "/books.v1.BookService/DeleteBook",
                true,
            ),
            (
                "/books.v1.BookService/*",
                "/booksxv1.BookService/DeleteBook",
                false,
            ),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(path),
                matches,
                "{pattern} {path}"
            );
        }
    }
}
