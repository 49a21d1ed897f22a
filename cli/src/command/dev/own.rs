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
use sidecar::config::Source;

use super::shop;
use crate::{exit::Exit, failure::Failure, output};

/// The name of the caller.
const CALLER: &str = "dev";

/// What to run on for this file, and the file of a caller's token.
///
/// # Errors
///
/// Returns [`Failure`] when the file does not load or no token can be made.
pub(super) fn read(
    file: &Path,
    data_dir: Option<&Path>,
) -> Result<(Source, Option<PathBuf>), Failure> {
    let mut documents = Document::load(file, &Disk).map_err(|err| Failure::policy(&err))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let claims = claims(&documents);
    let Some(main) = documents.first_mut() else {
        return Ok((Source::File(file.to_owned()), None));
    };
    if !main.file.callers.is_empty() {
        let named = main
            .file
            .callers
            .values()
            .find_map(|c| c.token_file.clone());
        let token_file = named.map(|named| folder.join(named.value));
        return Ok((Source::File(file.to_owned()), token_file));
    }
    let data_dir = data_dir.map_or_else(|| folder.join(DEFAULT_DATA_DIR), Path::to_owned);
    let token_file = token_in(&data_dir)?;
    let caller = caller(&token_file, claims);
    main.file
        .callers
        .insert(CALLER.to_owned(), At::nowhere(caller));
    output::say(
        "the file names no callers, so one was made for this run; changes of the file are seen \
         at the next start",
    );
    Ok((Source::Documents(documents), Some(token_file)))
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
