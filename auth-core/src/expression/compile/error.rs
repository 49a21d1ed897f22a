//! What is wrong with an expression, and where.

use std::fmt;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    message: String,
    help: Option<String>,
    column: usize,
    length: usize,
}

impl CompileError {
    pub(super) fn new(message: impl Into<String>, source: &str, start: usize, stop: usize) -> Self {
        let before = source.get(..start).unwrap_or_default();
        let column = before.chars().count() + 1;
        let length = source
            .get(start..stop)
            .map_or(1, |text| text.chars().count().max(1));
        Self {
            message: message.into(),
            help: None,
            column,
            length,
        }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// What would be right.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Where it is, in characters from 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// How many characters are meant.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CompileError {}

/// The parser's words, where ours are clearer.
pub(super) fn syntax_error(source: &str, errors: &cel::ParseErrors) -> CompileError {
    let first = errors.errors.first();
    let column = first.map_or(0, |err| usize::try_from(err.pos.1).unwrap_or(0));
    let start = source
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(0, |(at, _)| at);
    let error = |message: &str, at: usize, length: usize| {
        CompileError::new(message, source, at, at + length)
    };
    for (word, operator) in [(" and ", "&&"), (" or ", "||"), ("not ", "!")] {
        if let Some(at) = source.find(word) {
            let blank = word.len() - word.trim_start().len();
            return error("this is no operator", at + blank, word.trim().len())
                .with_help(format!("write `{operator}` instead of `{}`", word.trim()));
        }
    }
    if let Some(at) = single_equals(source) {
        return error("`=` is no operator", at, 1).with_help("write `==` to compare");
    }
    let what = first.map_or("", |err| err.msg.lines().next().unwrap_or_default());
    let what = what.trim_start_matches("Syntax error: ");
    error(&format!("the expression cannot be read: {what}"), start, 1)
}

fn single_equals(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    (0..bytes.len()).find(|at| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        bytes.get(*at) == Some(&b'=')
            && bytes.get(at + 1) != Some(&b'=')
            && !matches!(before, Some(b'=' | b'!' | b'<' | b'>'))
    })
}
