//! Reads: of one record where they are asked for, of many on a thread of their own.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use auth_core::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    error::{of_engine, stopped},
    open::{self, OpenError},
};

/// Connections for reads of one record. There are as many as were ever needed at once, which is
/// one for each thread that asks.
pub(super) struct Pool {
    database: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(database: &Path) -> Self {
        Self {
            database: database.to_owned(),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Reads here and now.
    pub(super) fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let held = idle().pop();
        let connection = match held {
            Some(connection) => connection,
            None => open::reader(&self.database).map_err(|error| of_engine(&error))?,
        };
        let answer = ask(&connection).map_err(|error| of_engine(&error));
        idle().push(connection);
        answer
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The thread for what may take long.
pub(super) struct Scanner {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Scanner {
    pub(super) fn start(connection: Connection) -> Result<Self, OpenError> {
        let (jobs, mut queue) = mpsc::channel::<Job>(256);
        let thread = thread::Builder::new()
            .name("sqlite-scanner".to_owned())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    job(&connection);
                }
            })
            .map_err(OpenError::Thread)?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Reads on the thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(|db| {
            answer.send(ask(db).map_err(|error| of_engine(&error))).ok();
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").finish_non_exhaustive()
    }
}
