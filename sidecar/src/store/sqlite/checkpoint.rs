//! Moves what is committed from the log into the file, beside the commits.

use std::{
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

use super::open::OpenError;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(500);
/// From which size of the log on it is worth moving, in bytes.
const WORTH_MOVING: u64 = 4 * 1024 * 1024;
/// From which size of the log on commits wait until it starts anew, in bytes. Under steady load a
/// log that never waits never ends.
const TOO_LARGE: u64 = 256 * 1024 * 1024;

pub(super) struct Checkpointer {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection, database: &Path) -> Result<Self, OpenError> {
        let (stop, stopped) = mpsc::channel();
        let log = log_of(database);
        let thread = thread::Builder::new()
            .name("sqlite-checkpoint".to_owned())
            .spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
                    // Whatever fails is tried again; the log holds it all until then.
                    step(&connection, &log).ok();
                }
            })
            .map_err(OpenError::Thread)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push("-wal");
    name.into()
}

fn step(connection: &Connection, log: &Path) -> rusqlite::Result<()> {
    let size = || fs::metadata(log).map_or(0, |log| log.len());
    let checkpoint = |sql| connection.query_row(sql, [], |_| Ok(()));
    if size() >= WORTH_MOVING {
        checkpoint("PRAGMA wal_checkpoint(PASSIVE)")?;
    }
    if size() >= TOO_LARGE {
        checkpoint("PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    Ok(())
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointer").finish_non_exhaustive()
    }
}
