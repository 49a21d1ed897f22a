//! What is wrong with a policy file, said so that it can be mended.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// One thing that is wrong: where, what, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// What is wrong, in lower case and without a final period.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The text of the line, for display.
    pub source_line: String,
}

/// Everything that is wrong with a policy; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The faults, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
}

impl std::error::Error for PolicyError {}

/// All diagnostics, each with its source line.
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Diagnostic {
    /// The diagnostic as people read it, with ANSI colours if asked for.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut group = Group::with_title(Level::ERROR.primary_title(self.message.as_str()));
        if self.line > 0 {
            let range = self.byte_range();
            group = group.element(
                Snippet::source(self.source_line.as_str())
                    .path(self.file.as_str())
                    .line_start(self.line)
                    .annotation(AnnotationKind::Primary.span(range)),
            );
        } else {
            group = group.element(Origin::path(self.file.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// The bytes of the source line that are meant.
    fn byte_range(&self) -> std::ops::Range<usize> {
        let end_of_line = self.source_line.len();
        let byte_of = |column: usize| {
            self.source_line
                .char_indices()
                .nth(column)
                .map_or(end_of_line, |(at, _)| at)
        };
        let start = byte_of(self.column.saturating_sub(1));
        start..byte_of(self.column.saturating_sub(1) + self.length.max(1)).max(start)
    }
}
