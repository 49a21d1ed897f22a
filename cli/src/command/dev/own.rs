//! A directory with a policy file of its own. One that names no caller gets one for the time of
//! this run, so that there is somebody who may ask.

use std::path::{Path, PathBuf};

use auth_core::{
    caller::Grant,
    policy::{
        file::{CallerFile, PolicyFile},
        scalar::At,
        settings::DEFAULT_DATA_DIR,
        source::{Disk, Document},
    },
};

use super::shop;
use crate::{exit::Exit, failure::Failure, output};

/// The name of the caller.
const CALLER: &str = "dev";

/// Who may ask.
pub(super) enum Callers {
    /// The file names callers; the token file of one of them, where one has any.
    Named(Option<PathBuf>),
    /// The file names none; the token file of the one that was made.
    Made(PathBuf),
}

impl Callers {
    /// The file of a caller's token.
    pub(super) fn token_file(&self) -> Option<&Path> {
        match self {
            Self::Named(path) => path.as_deref(),
            Self::Made(path) => Some(path),
        }
    }
}

/// Who may ask a Sidegate that runs on this file.
///
/// # Errors
///
/// Returns [`Failure`] when the file does not load or no token can be made.
pub(super) fn callers(file: &Path, data_dir: Option<&Path>) -> Result<Callers, Failure> {
    let documents = Document::load(file, &Disk).map_err(|err| Failure::policy(&err))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    if let Some(main) = documents.first()
        && !main.file.callers.is_empty()
    {
        let mut callers = main.file.callers.values();
        let named = callers.find_map(|caller| caller.token_file.clone());
        return Ok(Callers::Named(named.map(|named| folder.join(named.value))));
    }
    let data_dir = data_dir.map_or_else(|| folder.join(DEFAULT_DATA_DIR), Path::to_owned);
    let token_file = token_in(&data_dir)?;
    output::say("the file names no callers, so one was made for this run; the file stays as it is");
    Ok(Callers::Made(token_file))
}

/// Puts the caller that was made into documents that name none.
pub(super) fn add_caller(documents: &mut [Document], token_file: &Path) {
    let claims = claims(documents);
    if let Some(main) = documents.first_mut()
        && main.file.callers.is_empty()
    {
        let caller = caller(token_file, claims);
        main.file
            .callers
            .insert(CALLER.to_owned(), At::nowhere(caller));
    }
}

fn token_in(data_dir: &Path) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(|err| Failure::file(Exit::Unexpected, data_dir, &err))?;
    let path = data_dir.join("dev.token");
    shop::token(&path)?;
    // Absolute: the documents it is put into have folders of their own.
    path.canonicalize()
        .map_err(|err| Failure::file(Exit::Unexpected, &path, &err))
}

/// Every claim that is declared.
fn claims(documents: &[Document]) -> Vec<At<String>> {
    let files = documents.iter().map(|document| &document.file);
    files
        .flat_map(|file: &PolicyFile| file.claims.keys())
        .map(|claim| At::nowhere(claim.clone()))
        .collect()
}

fn caller(token_file: &Path, claims: Vec<At<String>>) -> CallerFile {
    CallerFile {
        token_file: Some(At::nowhere(token_file.display().to_string())),
        may: vec![
            At::nowhere(Grant::Authorize),
            At::nowhere(Grant::SessionSelf),
        ],
        sign_in: vec![At::nowhere(
            auth_core::principal::LOCAL_NAMESPACE.to_owned(),
        )],
        claims,
        ..CallerFile::default()
    }
}
