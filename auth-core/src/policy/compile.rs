//! From documents to a policy that decides.
//!
//! Everything that can be wrong is found here, with its place: names that mean nothing, types that
//! cannot fit, requirements that nobody could pass (R3). What comes out holds no open question.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    diagnostic::{Diagnostic, PolicyError},
    file::SourceFile,
    platform,
    scalar::At,
    source::{Document, Files},
};
use crate::{
    check::NativeCheck,
    decision_point::WireProfile,
    lookup::LookupSource,
    operation::{Apps, Place},
    session::TokenHash,
    strategy::{NativeStrategy, Strategies},
    suggest::did_you_mean,
    wire::WireKind,
};

mod app;
mod check;
mod context;
mod cors;
mod edges;
mod idle;
mod issuer;
mod operation;
mod rule;
mod strategy;
mod target;

/// The lifetime of sessions where the file says nothing (R14).
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    /// Names the policy: the start of a hash of its files.
    pub version: Arc<str>,
    /// The main file, as the user named it.
    pub file: PathBuf,
    /// Its apps.
    pub apps: Apps,
    /// Its strategies.
    pub strategies: Strategies,
    /// What is allowed but deserves a word.
    pub warnings: Vec<Diagnostic>,
    /// What edges should send for each kind of wire that has a name of ours, once somebody asked.
    pub(crate) profiles: [OnceLock<Arc<WireProfile>>; WireKind::BUILT_IN.len()],
}

/// What a policy may use that no file holds.
#[derive(Clone, Debug, Default)]
pub struct Natives {
    /// Checks, by name.
    pub checks: HashMap<String, Arc<dyn NativeCheck>>,
    /// Strategies, by name.
    pub strategies: HashMap<String, Arc<dyn NativeStrategy>>,
}

/// Opens the sources that a file names.
pub trait OpenSource {
    /// The SQLite database at `path`.
    ///
    /// # Errors
    ///
    /// Returns what is wrong, in words.
    fn sqlite(&self, path: &Path) -> Result<Arc<dyn LookupSource>, String>;
}

/// Opens the sources that this build has.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltInSources;

impl OpenSource for BuiltInSources {
    #[cfg(feature = "sqlite")]
    fn sqlite(&self, path: &Path) -> Result<Arc<dyn LookupSource>, String> {
        crate::lookup::sqlite::SqliteSource::new(path)
            .map(|source| Arc::new(source) as Arc<dyn LookupSource>)
            .map_err(|err| err.to_string())
    }

    #[cfg(not(feature = "sqlite"))]
    fn sqlite(&self, _: &Path) -> Result<Arc<dyn LookupSource>, String> {
        Err("this program was built without the feature `sqlite`".into())
    }
}

/// Collects what is wrong, so that one run shows it all.
#[derive(Debug, Default)]
struct Faults {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Faults {
    fn error<T>(&mut self, document: &Document, at: &At<T>, message: &str) {
        self.errors.push(document.error(at, message, None));
    }

    fn error_help<T>(&mut self, document: &Document, at: &At<T>, message: &str, help: &str) {
        self.errors
            .push(document.error(at, message, Some(help.to_owned())));
    }

    /// A name that means nothing, with what may have been meant.
    fn unknown<'n, T>(
        &mut self,
        document: &Document,
        at: &At<T>,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let help = did_you_mean(name, known).map(|meant| format!("did you mean `{meant}`?"));
        let message = format!("unknown {what} `{}`", name.escape_debug());
        let mut diagnostic = document.error(at, &message, help);
        diagnostic.length = name.chars().count().max(1);
        self.errors.push(diagnostic);
    }
}

fn place<T>(document: &Document, at: &At<T>) -> Place {
    Place {
        file: document.path.display().to_string().into(),
        line: at.line,
    }
}

impl Policy {
    /// Reads and compiles the policy file at `path` and what it includes.
    ///
    /// # Errors
    ///
    /// Returns [`PolicyError`] with everything that is wrong.
    pub fn load(path: &Path, files: &dyn Files, natives: &Natives) -> Result<Self, PolicyError> {
        Self::compile(
            &Document::load(path, files)?,
            files,
            &BuiltInSources,
            natives,
        )
    }

    /// Compiles documents, the main one first.
    ///
    /// # Errors
    ///
    /// Returns [`PolicyError`] with everything that is wrong.
    pub fn compile(
        documents: &[Document],
        files: &dyn Files,
        sources: &dyn OpenSource,
        natives: &Natives,
    ) -> Result<Self, PolicyError> {
        let mut faults = Faults::default();
        let Some((main, included)) = documents.split_first() else {
            return Err(PolicyError {
                diagnostics: Vec::new(),
            });
        };
        for document in included {
            faults.errors.extend(platform::misplaced(document));
        }
        idle::warn_of_platform_part(main, &mut faults);
        let opened = open_sources(main, sources, &mut faults);
        let apps = app::compile(main, included, &opened, natives, &mut faults);
        edges::refuse_unknown(main, &apps, &mut faults);
        let asks_scopes = apps
            .all
            .iter()
            .flat_map(|app| &app.operations)
            .any(|operation| {
                !operation.scopes.is_empty() || !operation.conditional_scopes.is_empty()
            });
        let strategies = strategy::compile(main, files, natives, asks_scopes, &mut faults);
        let mut diagnostics = faults.errors;
        if !diagnostics.is_empty() {
            diagnostics
                .sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
            diagnostics.dedup();
            return Err(PolicyError { diagnostics });
        }
        Ok(Self {
            profiles: Default::default(),
            version: version(documents),
            file: main.path.clone(),
            apps,
            strategies,
            warnings: faults.warnings,
        })
    }

    /// How many operations it declares.
    #[must_use]
    pub fn operation_count(&self) -> usize {
        self.apps.all.iter().map(|app| app.operations.len()).sum()
    }
}

/// The sources that could be opened, by name; and all names, for those that could not.
struct Sources(BTreeMap<String, Option<Arc<dyn LookupSource>>>);

fn open_sources(main: &Document, sources: &dyn OpenSource, faults: &mut Faults) -> Sources {
    let folder = main.path.parent().unwrap_or(Path::new(""));
    let mut opened = BTreeMap::new();
    for (name, file) in &main.file.sources {
        let source = match &file.value {
            SourceFile::Sqlite(path) => match sources.sqlite(&folder.join(&path.value)) {
                Ok(source) => Some(source),
                Err(err) => {
                    faults.error(main, path, &format!("source `{name}`: {err}"));
                    None
                }
            },
            SourceFile::Postgres(never) | SourceFile::Http(never) | SourceFile::Redis(never) => {
                match *never {}
            }
        };
        opened.insert(name.clone(), source);
    }
    Sources(opened)
}

fn version(documents: &[Document]) -> Arc<str> {
    let mut all = Vec::new();
    for document in documents {
        // Lengths in front, so that two sets of files never look alike.
        all.extend_from_slice(&document.text.len().to_be_bytes());
        all.extend_from_slice(document.text.as_bytes());
    }
    let hash = TokenHash::of(&all);
    let hex: String = hash
        .as_bytes()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.into()
}
