//! What a sidecar runs on: the policy file with its includes, the environment's overrides, and the
//! token files of callers.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use auth_core::{
    policy::{
        Natives, Policy,
        compile::BuiltInSources,
        diagnostic::{Diagnostic, PolicyError},
        settings::Settings,
        source::{Disk, Document},
    },
    session::TokenHash,
};

use crate::{
    identify::KnownCallers,
    tls::{TlsError, running::LoadedListeners},
};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, with what it includes.
    File(PathBuf),
    /// Documents of the embedding program; the main one first.
    Documents(Vec<Document>),
}

/// A change of documents; the main one comes first.
pub type Change = dyn Fn(&mut [Document]) + Send + Sync;

/// Changes documents after they are read, each time.
#[derive(Clone)]
pub struct Amend(pub Arc<Change>);

impl fmt::Debug for Amend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Amend")
    }
}

/// How the configuration is read, for the first time and again.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it comes from.
    pub source: Source,
    /// What the embedding program changes about it.
    pub amend: Option<Amend>,
    /// Takes the place of the data directory that the file names.
    pub data_dir: Option<PathBuf>,
    /// The overrides of scalars.
    pub environment: Vec<(String, String)>,
    /// What the embedding program registered.
    pub natives: Natives,
    /// The user that this process runs as.
    pub own_uid: u32,
}

/// A configuration that was read and found good.
#[derive(Debug)]
pub struct Loaded {
    /// The platform's part.
    pub settings: Settings,
    /// The compiled policy.
    pub policy: Policy,
    /// The callers and their tokens.
    pub callers: KnownCallers,
    /// What listeners speak TLS with.
    pub tls: LoadedListeners,
}

impl Config {
    /// The documents as they are now.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with a file.
    pub fn documents(&self) -> Result<Vec<Document>, PolicyError> {
        let mut documents = match &self.source {
            Source::File(path) => Document::load(path, &Disk)?,
            Source::Documents(documents) => documents.clone(),
        };
        if let Some(amend) = &self.amend {
            (amend.0)(&mut documents);
        }
        Ok(documents)
    }

    /// The platform's part of these documents.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong with it.
    pub fn settings(&self, documents: &[Document]) -> Result<Settings, PolicyError> {
        let environment = self.environment.iter().cloned();
        Settings::from_documents(documents, self.data_dir.as_deref(), environment)
    }

    /// Reads everything.
    ///
    /// # Errors
    ///
    /// Returns everything that is wrong with the files.
    pub fn load(&self) -> Result<Loaded, PolicyError> {
        let documents = self.documents()?;
        let settings = self.settings(&documents);
        let policy = Policy::compile(&documents, &Disk, &BuiltInSources, &self.natives);
        let (settings, policy) = both(settings, policy)?;
        Ok(Loaded {
            callers: KnownCallers::load(&settings.callers, self.own_uid)?,
            tls: LoadedListeners::read(&settings.listen).map_err(|error| unusable(&error))?,
            settings,
            policy,
        })
    }

    /// A hash of all that is read, to tell whether something changed. Files that cannot be read
    /// count as well: their absence is a state like any other.
    #[must_use]
    pub fn fingerprint(&self) -> TokenHash {
        let mut all = Vec::new();
        for path in self.files() {
            let content = std::fs::read(&path).ok();
            all.extend_from_slice(path.as_os_str().as_encoded_bytes());
            all.push(u8::from(content.is_some()));
            all.extend_from_slice(TokenHash::of(&content.unwrap_or_default()).as_bytes());
        }
        TokenHash::of(&all)
    }

    /// The files that are read.
    fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        if let Source::File(path) = &self.source {
            files.insert(path.clone());
        }
        if let Ok(documents) = self.documents() {
            files.extend(documents.iter().map(|document| document.path.clone()));
            if let Ok(settings) = self.settings(&documents) {
                let callers = settings.callers.into_iter();
                files.extend(callers.filter_map(|caller| caller.token_file));
                let proxy = settings.listen.proxy.and_then(|proxy| proxy.tls);
                for tls in [settings.listen.tls, proxy].into_iter().flatten() {
                    files.extend([tls.certificate, tls.key]);
                    files.extend(tls.client_ca);
                }
            }
        }
        files
    }

    /// The folders in which a change matters: those of the files, and of what the files are links
    /// to.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for file in self.files() {
            folders.insert(folder_of(&file));
            if let Ok(target) = std::fs::canonicalize(&file) {
                folders.insert(folder_of(&target));
            }
        }
        if let Source::File(main) = &self.source
            && let Ok(documents) = self.documents()
        {
            // A folder that is included may get its first file later.
            let includes = documents.iter().flat_map(|document| &document.file.include);
            folders
                .extend(includes.map(|pattern| folder_of(&folder_of(main).join(&pattern.value))));
        }
        folders
    }

    /// The main file, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::Documents(documents) => documents
                .first()
                .map_or_else(String::new, |main| main.path.display().to_string()),
        }
    }
}

/// What is wrong with a file of TLS, as what is wrong with the policy is told.
fn unusable(error: &TlsError) -> PolicyError {
    let cause = std::error::Error::source(error);
    let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
    let diagnostic = Diagnostic {
        file: error.path().display().to_string(),
        line: 0,
        column: 0,
        length: 0,
        message: format!("{error}{cause}"),
        help: None,
        source_line: String::new(),
    };
    diagnostic.into()
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Both values, or what is wrong with either, each fault once.
fn both<A, B>(a: Result<A, PolicyError>, b: Result<B, PolicyError>) -> Result<(A, B), PolicyError> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(mut error), Err(other)) => {
            for diagnostic in other.diagnostics {
                let same_place = error.diagnostics.iter().any(|known| {
                    (&known.file, known.line, known.column)
                        == (&diagnostic.file, diagnostic.line, diagnostic.column)
                });
                if !same_place {
                    error.diagnostics.push(diagnostic);
                }
            }
            Err(error)
        }
    }
}
