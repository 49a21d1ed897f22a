//! Opening the file, or saying what is wrong with it and how to mend it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{APPLICATION_ID, SCHEMA_VERSION, STEPS};

/// The writer's page cache, in KiB and negative as SQLite wants it. It is filled as needed: random
/// hashes touch all of an index.
const WRITER_CACHE: i32 = -32 * 1024;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no directory and none can be made.
    #[error("the data directory `{path}` cannot be made; make it, or choose another directory")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory or a file in it cannot be written.
    #[error(
        "`{path}` cannot be written; let the user who runs this process write the data directory"
    )]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process works on it.
    #[error(
        "another process holds the data directory `{0}`; stop it, or give each process a directory \
         of its own"
    )]
    Held(PathBuf),
    /// The file is something else.
    #[error("`{0}` is no store of ours; move it away, or choose another data directory")]
    NotAStore(PathBuf),
    /// A later version wrote it.
    #[error(
        "`{path}` has schema version {found}, this program knows up to {SCHEMA_VERSION}; run the \
         program that wrote it, or a later one, or choose another data directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// The engine could not use it.
    #[error("the store `{path}` cannot be used; mend it, or restore it from a backup")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the engine said.
        source: rusqlite::Error,
    },
    /// A thread could not be started.
    #[error("no thread could be started for the store")]
    Thread(#[source] io::Error),
}

impl OpenError {
    pub(super) fn unusable(files: &Files, source: rusqlite::Error) -> Self {
        let path = files.database.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAStore(path),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable {
                    path,
                    source: io::Error::other(source),
                }
            }
            _ => Self::Unusable { path, source },
        }
    }
}

/// The directory, locked against other processes, and the file in it.
#[derive(Debug)]
pub(super) struct Files {
    database: PathBuf,
    _lock: File,
}

impl Files {
    pub(super) fn lock(directory: &Path) -> Result<Self, OpenError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| OpenError::Directory {
                path: directory.to_owned(),
                source,
            })?;
        let lock = private(&directory.join("sidegate.lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Held(directory.to_owned())),
            Err(TryLockError::Error(source)) => {
                return Err(OpenError::NotWritable {
                    path: directory.to_owned(),
                    source,
                });
            }
        }
        let database = directory.join("sidegate.db");
        // SQLite gives its other files the mode of this one.
        private(&database)?;
        Ok(Self {
            database,
            _lock: lock,
        })
    }

    pub(super) fn database(&self) -> &Path {
        &self.database
    }
}

fn private(path: &Path) -> Result<File, OpenError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| OpenError::NotWritable {
            path: path.to_owned(),
            source,
        })
}

/// The connection that writes, with the schema in place.
pub(super) fn writer(files: &Files, max_pages: Option<u32>) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::unusable(files, source);
    let mut db = connect(&files.database, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let version = version(&db, files)?;
    db.pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| db.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| db.pragma_update(None, "foreign_keys", true))
        .and_then(|()| db.pragma_update(None, "wal_autocheckpoint", 0))
        .and_then(|()| db.pragma_update(None, "cache_size", WRITER_CACHE))
        .and_then(|()| upgrade(&mut db, version))
        .map_err(failed)?;
    if let Some(pages) = max_pages {
        db.pragma_update(None, "max_page_count", pages)
            .map_err(failed)?;
    }
    Ok(db)
}

fn version(db: &Connection, files: &Files) -> Result<i32, OpenError> {
    let failed = |source| OpenError::unusable(files, source);
    let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = pragma("application_id").map_err(failed)?;
    let version = pragma("user_version").map_err(failed)?;
    let tables: i32 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    match (application, version) {
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => Err(OpenError::Newer {
            path: files.database.clone(),
            found,
        }),
        (APPLICATION_ID, found) if found > 0 => Ok(found),
        (0, 0) if tables == 0 => Ok(0),
        _ => Err(OpenError::NotAStore(files.database.clone())),
    }
}

fn upgrade(db: &mut Connection, from: i32) -> rusqlite::Result<()> {
    if from == SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = db.transaction()?;
    let done = usize::try_from(from).unwrap_or(0);
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// A connection that reads.
pub(super) fn reader(database: &Path) -> rusqlite::Result<Connection> {
    let db = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// A connection that moves what is committed into place.
pub(super) fn checkpointer(database: &Path) -> rusqlite::Result<Connection> {
    let db = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    Ok(db)
}

fn connect(database: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(database, flags)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(96);
    Ok(db)
}
