//! The book shop of the documentation, put into a directory.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use auth_core::random::{Random as _, SystemRandom};

use crate::{exit::Exit, failure::Failure};

const POLICY: &str = include_str!("../../../demo/sidegate.yaml");
const APP: &str = include_str!("../../../demo/apps/shop.yaml");
const BOOKS: &str = include_str!("../../../demo/books.sql");

/// Whether the shop was put here before.
pub(super) fn is_here(dir: &Path) -> bool {
    fs::read_to_string(dir.join("sidegate.yaml")).is_ok_and(|text| text == POLICY)
}

/// Puts the shop into `dir`, and gives the file of its caller's token. What is there is kept.
///
/// # Errors
///
/// Returns [`Failure`] when a file cannot be written.
pub(super) fn write(dir: &Path) -> Result<PathBuf, Failure> {
    let apps = dir.join("apps");
    fs::create_dir_all(&apps).map_err(|err| Failure::file(Exit::Unexpected, &apps, &err))?;
    create(&apps.join("shop.yaml"), APP.as_bytes(), 0o644)?;
    books(&dir.join("books.db"))?;
    let token_file = dir.join("shop.token");
    token(&token_file)?;
    // The policy comes last: with it the shop is complete.
    create(&dir.join("sidegate.yaml"), POLICY.as_bytes(), 0o644)?;
    Ok(token_file)
}

/// Makes a token for a caller, readable by its owner only; one that is there stays.
///
/// # Errors
///
/// Returns [`Failure`] when it cannot be written.
pub(super) fn token(path: &Path) -> Result<(), Failure> {
    let mut bytes = [0; 32];
    SystemRandom
        .fill(&mut bytes)
        .map_err(|err| Failure::new(Exit::Unexpected, err.to_string()))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    create(path, text.as_bytes(), 0o600)
}

/// Writes a new file; one that is there stays.
pub(super) fn create(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let opened = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let written = match opened {
        Ok(mut file) => file.write_all(content),
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(err) => Err(err),
    };
    written.map_err(|err| Failure::file(Exit::Unexpected, path, &err))
}

/// The shop's own database; one that is there stays.
fn books(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    rusqlite::Connection::open(path)
        .and_then(|database| database.execute_batch(BOOKS))
        .map_err(|err| Failure::new(Exit::Unexpected, format!("`{}`: {err}", path.display())))
}
