//! Data goes to stdout, in the form asked for; words go to stderr.

use auth_core::text::is_hidden;
use std::io::Write as _;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::{exit::Exit, failure::Failure, style};

/// The form of data on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON value; streams are one object a line.
    Json,
    /// YAML; streams are one document each.
    Yaml,
}

/// Where data goes.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Its form.
    pub format: Format,
}

impl Output {
    /// Output in this form.
    #[must_use]
    pub const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints one value; `people` makes the text for people.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when stdout cannot be written.
    pub fn data<T: Serialize>(
        &self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => people(value),
            Format::Json => serde_json::to_string_pretty(value).map_err(unprintable)?,
            Format::Yaml => serde_saphyr::to_string(value).map_err(unprintable)?,
        };
        write_line(text.trim_end())
    }

    /// Prints one value of a stream.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when stdout cannot be written.
    pub fn item<T: Serialize>(
        &self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => people(value),
            Format::Json => serde_json::to_string(value).map_err(unprintable)?,
            Format::Yaml => {
                format!(
                    "---\n{}",
                    serde_saphyr::to_string(value).map_err(unprintable)?
                )
            }
        };
        write_line(text.trim_end())
    }
}

/// Prints words to stderr; nothing for no words.
pub fn say(words: &str) {
    if !words.is_empty() {
        let _ = writeln!(anstream::stderr(), "{words}");
    }
}

/// A table without lines. Cells come from others, so control characters are shown, not obeyed.
#[must_use]
pub fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    trim_lines(&table.to_string())
}

/// Names and values, one pair a line; pairs without a value are left out.
#[must_use]
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = pairs
        .iter()
        .map(|(name, value)| {
            let name = style::dim(&format!("{name:width$}"));
            format!("{name}  {}", printable(value))
        })
        .collect();
    lines.join("\n")
}

/// The text with control characters made visible, so that none reaches a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let shown = is_hidden(c) && c != '\n';
            let escaped = shown.then(|| c.escape_debug());
            escaped.into_iter().flatten().chain((!shown).then_some(c))
        })
        .collect()
}

fn trim_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines.join("\n")
}

fn write_line(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

fn unprintable(err: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Unexpected,
        format!("the answer cannot be printed: {err}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_from_others_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[31mb\u{7}"), "a\\u{1b}[31mb\\u{7}");
    }

    #[test]
    fn a_table_has_no_lines_around_it() {
        let text = table(["ID", "STATE"], [["1".into(), "live".into()]]);
        assert_eq!(text, "ID  STATE\n1   live");
    }
}
