//! Reading a policy file and what it includes into documents.
//!
//! Files are read through [`Files`], so that tests and the builder can hand in texts.

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
};

use super::{
    diagnostic::{Diagnostic, PolicyError},
    file::PolicyFile,
    scalar::At,
};
use crate::suggest::did_you_mean;

/// The largest policy file, in bytes.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// A file that was read and parsed.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its path, as the user named it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub file: PolicyFile,
}

/// Where files come from.
pub trait Files: Debug {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// Returns the error of the file system.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The paths that match a pattern with `*` in its last part, sorted.
    ///
    /// # Errors
    ///
    /// Returns the error of the file system.
    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>>;

    /// The bytes of a file that holds a secret.
    ///
    /// # Errors
    ///
    /// Returns the error of the file system, and `PermissionDenied` when others than the owner may
    /// read the file.
    fn read_secret(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        let length = std::fs::metadata(path)?.len();
        if length > MAX_FILE_BYTES as u64 {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("the file has {length} bytes, at most {MAX_FILE_BYTES} are read"),
            ));
        }
        std::fs::read_to_string(path)
    }

    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let name = pattern
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some((before, after)) = name.split_once('*') else {
            return Ok(vec![pattern.to_owned()]);
        };
        let folder = pattern.parent().unwrap_or(Path::new(""));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        })? {
            let entry = entry?.file_name();
            let entry = entry.to_str().unwrap_or_default();
            let matches = entry.len() >= before.len() + after.len()
                && entry.starts_with(before)
                && entry.ends_with(after);
            if matches && !entry.starts_with('.') {
                found.push(folder.join(entry));
            }
        }
        found.sort();
        Ok(found)
    }

    fn read_secret(&self, path: &Path) -> io::Result<Vec<u8>> {
        refuse_shared(path)?;
        std::fs::read(path)
    }
}

/// Refuses a file that others than its owner may read.
#[cfg(unix)]
fn refuse_shared(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "others may read it (mode {:o}): run `chmod 600` on it",
            mode & 0o777
        ),
    ))
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A single text under a name, with no includes.
#[derive(Clone, Debug)]
pub struct Text(pub String);

impl Files for Text {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.clone())
    }

    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("`{}` cannot be included here", pattern.display()),
        ))
    }

    fn read_secret(&self, path: &Path) -> io::Result<Vec<u8>> {
        Disk.read_secret(path)
    }
}

impl Document {
    /// Reads and parses the file at `path`, and the files that it includes.
    ///
    /// # Errors
    ///
    /// Returns [`PolicyError`] when a file cannot be read or is not what a policy file may be.
    pub fn load(path: &Path, files: &dyn Files) -> Result<Vec<Self>, PolicyError> {
        let main = Self::read(path, files)?;
        let mut documents = Vec::new();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let includes = main.file.include.clone();
        documents.push(main);
        for pattern in &includes {
            let found = files
                .expand(&folder.join(&pattern.value))
                .map_err(|err| documents_error(&documents, pattern, &err.to_string()))?;
            if found.is_empty() {
                let message = format!("`{}` includes no file", pattern.value);
                return Err(documents_error(&documents, pattern, &message));
            }
            for path in found {
                let document = Self::read(&path, files)?;
                if let Some(nested) = document.file.include.first() {
                    let message = "an included file cannot include others";
                    return Err(document.error(nested, message, None).into());
                }
                documents.push(document);
            }
        }
        Ok(documents)
    }

    /// Parses one text.
    ///
    /// # Errors
    ///
    /// Returns [`PolicyError`] when it is not what a policy file may be.
    pub fn parse(path: &Path, text: String) -> Result<Self, PolicyError> {
        if text.trim().is_empty() {
            let file = PolicyFile::default();
            return Ok(Self {
                path: path.to_owned(),
                text,
                file,
            });
        }
        match serde_saphyr::from_str_with_options::<PolicyFile>(&text, yaml_options()) {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                text,
                file,
            }),
            Err(err) => Err(yaml_error(path, &text, &err).into()),
        }
    }

    fn read(path: &Path, files: &dyn Files) -> Result<Self, PolicyError> {
        let text = files.read(path).map_err(|err| Diagnostic {
            file: path.display().to_string(),
            line: 0,
            column: 0,
            length: 0,
            message: format!("the policy file cannot be read: {err}"),
            help: (err.kind() == io::ErrorKind::NotFound)
                .then(|| "`sidegate init` writes a first one".to_owned()),
            source_line: String::new(),
        })?;
        Self::parse(path, text)
    }

    /// A diagnostic about a value of this document.
    #[must_use]
    pub fn error<T>(&self, at: &At<T>, message: &str, help: Option<String>) -> Diagnostic {
        self.error_at(at.line, at.column, 1, message, help)
    }

    /// A diagnostic about a place in this document.
    #[must_use]
    pub fn error_at(
        &self,
        line: usize,
        column: usize,
        length: usize,
        message: &str,
        help: Option<String>,
    ) -> Diagnostic {
        Diagnostic {
            file: self.path.display().to_string(),
            line,
            column,
            length,
            message: message.to_owned(),
            help,
            source_line: source_line(&self.text, line),
        }
    }
}

/// Types are as the JSON Schema has them: a text that looks like a number or a boolean needs its
/// quotes, and `yes` is no boolean. Otherwise an editor would refuse what is loaded here.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        no_schema: true,
        strict_booleans: true,
    }
}

fn documents_error(documents: &[Document], at: &At<String>, message: &str) -> PolicyError {
    let diagnostics = documents.first().map(|main| main.error(at, message, None));
    PolicyError {
        diagnostics: diagnostics.into_iter().collect(),
    }
}

impl From<Diagnostic> for PolicyError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            diagnostics: vec![diagnostic],
        }
    }
}

/// The lines of a text as YAML counts them (1.2, section 5.4): a carriage return alone ends one too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').flat_map(|line| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line).split('\r')
    })
}

fn source_line(text: &str, line: usize) -> String {
    lines(text)
        .nth(line.saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}

/// A place that people can go to: the end of the text for one that the parser puts behind it.
fn place_in(text: &str, line: usize, column: usize) -> (usize, usize) {
    let last = lines(text).count().max(1);
    let (line, column) = if line > last {
        (last, usize::MAX)
    } else {
        (line.max(1), column.max(1))
    };
    let width = source_line(text, line).chars().count();
    (line, column.min(width + 1))
}

/// A fault of YAML or of the schema, in our form.
fn yaml_error(path: &Path, text: &str, err: &serde_saphyr::Error) -> Diagnostic {
    let place = err.location();
    let line = place.map_or(0, |place| usize::try_from(place.line()).unwrap_or(0));
    let column = place.map_or(0, |place| usize::try_from(place.column()).unwrap_or(0));
    let (line, column) = place_in(text, line, column);
    let words = err.without_snippet().to_string();
    let (message, length, help) = reword(plain_words(&words));
    Diagnostic {
        file: path.display().to_string(),
        line,
        column,
        length,
        message,
        help,
        source_line: source_line(text, line),
    }
}

/// The parser's words without the place, which is shown beside the source, and without advice for
/// programmers.
fn plain_words(words: &str) -> &str {
    let words = words
        .rfind(" at line ")
        .map_or(words, |at| words.get(..at).unwrap_or(words));
    words
        .split(", set DuplicateKeyPolicy")
        .next()
        .unwrap_or(words)
}

/// Says an unknown key or choice in our words, with what may have been meant; answers the message,
/// how many characters it is about, and the help.
fn reword(words: &str) -> (String, usize, Option<String>) {
    for (start, what) in [("unknown field `", "key"), ("unknown variant `", "choice")] {
        let Some((name, known)) = words
            .strip_prefix(start)
            .and_then(|rest| rest.split_once("`, expected "))
        else {
            continue;
        };
        let known = known.trim_start_matches("one of ");
        let known: Vec<&str> = known
            .split(", ")
            .map(|name| name.trim_matches('`'))
            .collect();
        let help = match did_you_mean(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it may be {}", known.join(", ")),
        };
        return (
            format!("unknown {what} `{name}`"),
            name.chars().count(),
            Some(help),
        );
    }
    if let Some(value) = quoting_required(words) {
        let help = format!("write `\"{value}\"`");
        let message = format!("a text is needed here, and `{value}` is none without its quotes");
        return (message, value.chars().count(), Some(help));
    }
    if let Some(key) = words.strip_prefix("duplicate mapping key: ") {
        return (format!("`{key}` stands twice"), key.chars().count(), None);
    }
    (words.to_owned(), 1, None)
}

/// The value that the parser wants in quotes, when that is what it says.
fn quoting_required(words: &str) -> Option<&str> {
    words
        .strip_prefix("The string value [")?
        .strip_suffix("] must be quoted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Diagnostic {
        let err = Document::parse(Path::new("f.yaml"), text.to_owned()).unwrap_err();
        err.diagnostics.into_iter().next().unwrap()
    }

    #[test]
    fn a_fault_names_its_place_and_what_was_meant() {
        for (text, place, message, help) in [
            (
                "operatoins: {}\n",
                (1, 1),
                "unknown key `operatoins`",
                "did you mean `operations`?",
            ),
            (
                "strategies:\n  - cookei: {}\n",
                (2, 5),
                "unknown choice `cookei`",
                "did you mean `cookie`?",
            ),
            (
                "app: a\nzzzzzz: 1\n",
                (2, 1),
                "unknown key `zzzzzz`",
                "it may be listen, decide, store",
            ),
            ("app: a\napp: b\n", (2, 1), "`app` stands twice", ""),
            (
                "sessions: { idle: 5 }\n",
                (1, 19),
                "`5` is no span of time",
                "",
            ),
            (
                "app: 7\n",
                (1, 6),
                "`7` is none without its quotes",
                "write `\"7\"`",
            ),
            // A carriage return alone ends a line of YAML, too.
            ("app: a\rzzzzzz: 1\n", (2, 1), "unknown key `zzzzzz`", ""),
            ("store: { redis: {} }\n", (1, 17), "not in this build", ""),
            (
                "operations:\n  a:\n    use: [ { audit: {} } ]\n",
                (3, 10),
                "not in this build",
                "",
            ),
            (
                "operations:\n  a:\n    require: [ x ]\n",
                (3, 14),
                "`require_all: [a, b]`",
                "",
            ),
        ] {
            let fault = fault(text);
            assert_eq!((fault.line, fault.column), place, "{text}: {fault}");
            assert!(fault.message.contains(message), "{text}: {fault}");
            assert!(!fault.message.contains(" at line "), "{text}: {fault}");
            assert!(fault.help.unwrap_or_default().contains(help), "{text}");
        }
    }
}
