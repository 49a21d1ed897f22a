//! The runtimes: one that starts things and keeps them going, and one for each worker.
//!
//! A worker is a thread with a runtime of its own, and a connection stays with its worker. A request
//! then wakes no other thread, which on small requests costs more than the request itself.

use std::{future::Future, io, num::NonZeroUsize, sync::Arc, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Runs `main` to its end on a runtime of its own.
///
/// # Errors
///
/// Returns the error of the system when no runtime can be had.
pub fn block_on<F: Future>(main: F) -> io::Result<F::Output> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(main))
}

/// How many workers this machine, or the share of it that this process may use, has room for.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// What serves connections: threads of our own, or the runtime that we were started on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    threads: Arc<Threads>,
}

/// Worker threads, which end when this is dropped.
#[derive(Debug, Default)]
struct Threads {
    runtimes: Vec<Handle>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts this many threads; with none of them, connections are served by whoever asks.
    ///
    /// # Errors
    ///
    /// Returns the error of the system when it gives no more threads.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let mut threads = Threads::default();
        for index in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            threads.runtimes.push(runtime.handle().clone());
            let stop = threads.stop.clone();
            thread::Builder::new()
                .name(format!("sidegate-{index}"))
                .spawn(move || runtime.block_on(stop.cancelled()))?;
        }
        Ok(Self {
            threads: Arc::new(threads),
        })
    }

    /// The worker with the least to do, for the next connection.
    pub(crate) fn pick(&self) -> Handle {
        let runtimes = self.threads.runtimes.iter();
        runtimes
            .min_by_key(|runtime| runtime.metrics().num_alive_tasks())
            .map_or_else(Handle::current, Handle::clone)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn worker() -> Option<String> {
        thread::current().name().map(ToOwned::to_owned)
    }

    #[tokio::test]
    async fn a_busy_worker_is_passed_over() {
        let workers = Workers::start(2).unwrap();
        let busy = CancellationToken::new();
        let first = workers.pick();
        let (held, name) = (busy.clone(), first.spawn(worker()).await.unwrap());
        let _task = first.spawn(async move { held.cancelled().await });
        assert_ne!(workers.pick().spawn(worker()).await.unwrap(), name);
        busy.cancel();
    }

    #[tokio::test]
    async fn without_workers_the_present_runtime_serves() {
        let here = thread::current().name().map(ToOwned::to_owned);
        let there = Workers::default().pick().spawn(worker()).await.unwrap();
        assert_eq!(there, here);
    }
}
