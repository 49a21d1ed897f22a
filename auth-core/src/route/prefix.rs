use std::fmt;

use super::pattern::{Pattern, PatternError, PatternErrorKind, Segment};

/// A path and everything below it: the selector of a `prefix` rule.
///
/// `/admin`, `/admin/`, `/admin/*` and `/admin/**` are four spellings of one prefix, which covers `/admin`,
/// `/admin/` and `/admin/x/y`, but not `/administrator` (H-03). `/` covers every path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Without a trailing slash, so empty for the root.
    root: Box<str>,
}

/// How the paths of a pattern lie to a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Covers {
    /// Every path of the pattern is below the prefix.
    Covers,
    /// Some are and some are not.
    Overlaps,
    /// None is.
    Apart,
}

impl Prefix {
    /// Reads a prefix in any of its spellings.
    ///
    /// # Errors
    ///
    /// Returns [`PatternError`] when it is malformed, or has a wildcard or parameter before its end.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let pattern = Pattern::parse(text)?;
        let mut root = String::with_capacity(text.len());
        let mut offset = 1;
        for (index, segment) in pattern.segments().iter().enumerate() {
            let is_last = index + 1 == pattern.segments().len();
            match segment {
                Segment::Literal(literal) if literal.is_empty() => {}
                Segment::Literal(literal) => {
                    root.push('/');
                    root.push_str(literal);
                    offset += literal.len() + 1;
                }
                Segment::One | Segment::Rest if is_last => {}
                _ => {
                    return Err(PatternError::new(
                        text,
                        offset,
                        PatternErrorKind::NotAPrefix,
                    ));
                }
            }
        }
        Ok(Self { root: root.into() })
    }

    /// Reports whether the canonical path `path` is the prefix or below it.
    #[must_use]
    pub fn covers_path(&self, path: &str) -> bool {
        path.strip_prefix(&*self.root)
            .is_some_and(|rest| rest.starts_with('/') || (rest.is_empty() && !self.root.is_empty()))
    }

    /// Tells how the paths of `pattern` lie to this prefix.
    #[must_use]
    pub fn relation(&self, pattern: &Pattern) -> Covers {
        let mut relation = Covers::Covers;
        let mut segments = pattern.segments().iter();
        for root in self.root.split('/').skip(1) {
            match segments.next() {
                Some(Segment::Literal(literal)) if **literal == *root => {}
                Some(Segment::Parameter(_) | Segment::One) => relation = Covers::Overlaps,
                Some(Segment::Rest) => return Covers::Overlaps,
                Some(Segment::Literal(_)) | None => return Covers::Apart,
            }
        }
        relation
    }

    /// How many segments the prefix has; a shorter one is broader.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.root.split('/').skip(1).count()
    }
}

/// In its shortest spelling.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.root.is_empty() {
            "/"
        } else {
            &self.root
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The truth table of H-03: each spelling gives the same row.
    #[test]
    fn a_prefix_covers_its_root_and_subtree_however_written() {
        for spelling in ["/admin", "/admin/", "/admin/*", "/admin/**"] {
            let prefix = Prefix::parse(spelling).unwrap();
            assert_eq!(prefix.to_string(), "/admin");
            for (path, covered) in [
                ("/admin", true),
                ("/admin/", true),
                ("/admin/x", true),
                ("/admin/x/", true),
                ("/admin/x/y", true),
                ("/admin/admin", true),
                ("/administrator", false),
                ("/admin.json", false),
                ("/admin ", false),
                ("/adminé", false),
                ("/Admin", false),
                ("/x/admin", false),
                ("/", false),
                ("/adm", false),
                ("admin", false),
                ("", false),
            ] {
                assert_eq!(prefix.covers_path(path), covered, "{spelling} {path}");
            }
        }
    }

    #[test]
    fn the_root_prefix_covers_every_path() {
        for spelling in ["/", "/*", "/**"] {
            let prefix = Prefix::parse(spelling).unwrap();
            assert_eq!((prefix.to_string().as_str(), prefix.depth()), ("/", 0));
            for (path, covered) in [
                ("/", true),
                ("/a", true),
                ("/a/", true),
                ("", false),
                ("a", false),
            ] {
                assert_eq!(prefix.covers_path(path), covered, "{spelling} {path}");
            }
        }
    }

    #[test]
    fn a_prefix_covers_the_methods_of_a_grpc_service() {
        let prefix = Prefix::parse("/books.v1.BookService").unwrap();
        assert!(prefix.covers_path("/books.v1.BookService/DeleteBook"));
        assert!(!prefix.covers_path("/books.v1.BookServiceAdmin/DeleteBook"));
    }

    #[test]
    fn a_prefix_has_no_wildcards_before_its_end() {
        for (text, column) in [
            ("/{id}", 2),
            ("/a/{id}", 4),
            ("/a/*/b", 4),
            ("/a/*/", 4),
            ("/a/*/**", 4),
            ("/a/**/b", 4),
            ("/a*", 3),
        ] {
            let err = Prefix::parse(text).unwrap_err();
            assert_eq!(err.offset() + 1, column, "{text}: {err}");
        }
    }

    /// All sequences of `letters` with `len` of them.
    fn words(letters: &[&str], len: usize) -> Vec<String> {
        (0..len).fold(vec![String::new()], |words, _| {
            let longer = |word: &String| {
                letters
                    .iter()
                    .map(|l| format!("{word}/{l}"))
                    .collect::<Vec<_>>()
            };
            words.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn the_relation_agrees_with_every_path_up_to_length_four() {
        let mut paths = vec!["/".to_owned()];
        let mut patterns = vec!["/".to_owned(), "/**".to_owned()];
        let mut prefixes = vec!["/".to_owned()];
        for len in 1..=4 {
            paths.extend(
                words(&["a", "b", "c"], len)
                    .into_iter()
                    .flat_map(|p| [format!("{p}/"), p]),
            );
        }
        for len in 1..=3 {
            for pattern in words(&["a", "b", "*"], len) {
                patterns.extend([format!("{pattern}/**"), format!("{pattern}/"), pattern]);
            }
            prefixes.extend(words(&["a", "b"], len));
        }
        for prefix in &prefixes {
            let parsed = Prefix::parse(prefix).unwrap();
            let below = |path: &str| {
                let base = prefix.trim_end_matches('/');
                path == base || path.starts_with(&format!("{base}/"))
            };
            for pattern in &patterns {
                let pattern = Pattern::parse(pattern).unwrap();
                let matching = || paths.iter().filter(|path| pattern.matches(path));
                let expected = match (matching().any(|p| below(p)), matching().all(|p| below(p))) {
                    (true, true) => Covers::Covers,
                    (true, false) => Covers::Overlaps,
                    (false, _) => Covers::Apart,
                };
                assert_eq!(parsed.relation(&pattern), expected, "{prefix} {pattern}");
            }
        }
    }
}
