//! The one thread that writes: it commits what is queued together and acknowledges afterwards.

use std::{
    fmt,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use auth_core::{
    clock::Timestamp,
    store::{Position, StoreError, rules::TimeGuard},
};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    SqliteOptions,
    error::{Halt, of_engine, stopped},
    events,
    open::OpenError,
    schema,
};

/// How far the highest time seen may run ahead of the one on disk.
const TIME_STEP: Duration = Duration::from_secs(1);

/// Does one verb, unless no transaction could be had, and gives what tells the caller, once it is
/// known whether the commit held.
type Job = Box<dyn FnOnce(Result<&Connection, &StoreError>) -> Acknowledge + Send>;
type Acknowledge = Box<dyn FnOnce(Result<(), &StoreError>)>;

pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    position: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        position: Position,
        time: Arc<TimeGuard>,
        options: SqliteOptions,
    ) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::channel(options.queue.max(1));
        let (news, position) = watch::channel(position.0);
        let work = Work {
            kept_time: time.highest(),
            connection,
            queue,
            news,
            time,
            batch: options.batch.max(1),
        };
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(|| work.run())
            .map_err(OpenError::Thread)?;
        Ok(Self {
            jobs: Some(jobs),
            position,
            thread: Some(thread),
        })
    }

    /// The last event that is committed.
    pub(super) fn position(&self) -> watch::Receiver<u64> {
        self.position.clone()
    }

    /// Does a verb in the next transaction and answers after its commit.
    pub(super) async fn run<T, E>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, Halt<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(|db| {
            let outcome = db.map(|db| alone(db, verb)).map_err(StoreError::clone);
            Box::new(move |committed| {
                let told = match (outcome, committed) {
                    (Err(failure), _) => Err(failure.into()),
                    (Ok(Err(halt @ Halt::Failed(_))), _) => Err(halt.into_answer()),
                    (_, Err(failure)) => Err(failure.clone().into()),
                    (Ok(outcome), Ok(())) => outcome.map_err(Halt::into_answer),
                };
                // A caller that has gone away hears nothing.
                answer.send(told).ok();
            })
        });
        let Some(jobs) = &self.jobs else {
            return Err(stopped().into());
        };
        if jobs.send(job).await.is_err() {
            return Err(stopped().into());
        }
        answered.await.unwrap_or_else(|_| Err(stopped().into()))
    }
}

/// Does a verb so that, if it fails, it alone is taken back.
fn alone<T, E>(
    db: &Connection,
    verb: impl FnOnce(&Connection) -> Result<T, Halt<E>>,
) -> Result<T, Halt<E>> {
    let execute = |sql| db.prepare_cached(sql)?.execute([]);
    execute("SAVEPOINT verb")?;
    let outcome = verb(db);
    if outcome.is_err() && !db.is_autocommit() {
        execute("ROLLBACK TO verb")?;
    }
    if !db.is_autocommit() {
        execute("RELEASE verb")?;
    }
    outcome
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

struct Work {
    connection: Connection,
    queue: mpsc::Receiver<Job>,
    news: watch::Sender<u64>,
    time: Arc<TimeGuard>,
    kept_time: Timestamp,
    batch: usize,
}

impl Work {
    fn run(mut self) {
        let mut jobs = Vec::with_capacity(self.batch);
        while self.queue.blocking_recv_many(&mut jobs, self.batch) > 0 {
            self.commit(&mut jobs);
        }
    }

    fn commit(&mut self, jobs: &mut Vec<Job>) {
        let mut waiting = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            if self.connection.is_autocommit()
                && let Err(error) = self.execute("BEGIN IMMEDIATE")
            {
                job(Err(&of_engine(&error)))(Ok(()));
                continue;
            }
            waiting.push(job(Ok(&self.connection)));
            if self.connection.is_autocommit() {
                // Some failures make SQLite take back the whole transaction.
                let lost = StoreError::Unavailable("the transaction was taken back".to_owned());
                tell(&mut waiting, Err(&lost));
            }
        }
        if !self.connection.is_autocommit() {
            let committed = self.finish();
            tell(&mut waiting, committed.as_ref().copied());
        }
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let time = self.time.highest();
        let kept = self.keep_time(time);
        let committed = kept.and_then(|kept| self.execute("COMMIT").map(|()| kept));
        let kept = match committed {
            Ok(kept) => kept,
            Err(error) => {
                if !self.connection.is_autocommit() {
                    self.connection.execute_batch("ROLLBACK").ok();
                }
                return Err(of_engine(&error));
            }
        };
        self.kept_time = kept;
        self.tell_watchers();
        Ok(())
    }

    /// Writes the highest time seen, when it is worth it, and gives the one that is written.
    fn keep_time(&self, time: Timestamp) -> rusqlite::Result<Timestamp> {
        if self.kept_time.plus(TIME_STEP) > time {
            return Ok(self.kept_time);
        }
        schema::keep_highest_time(&self.connection, time)?;
        Ok(time)
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute([]).map(drop)
    }

    fn tell_watchers(&self) {
        if let Ok(Position(end)) = events::end(&self.connection) {
            self.news.send_if_modified(|position| {
                let is_news = end > *position;
                *position = end;
                is_news
            });
        }
    }
}

fn tell(waiting: &mut Vec<Acknowledge>, committed: Result<(), &StoreError>) {
    for acknowledge in waiting.drain(..) {
        acknowledge(committed);
    }
}
