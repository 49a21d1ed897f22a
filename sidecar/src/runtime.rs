//! The one place where a runtime is made.

use std::{future::Future, io};

/// How many threads serve requests.
const WORKERS: usize = 2;

/// Runs `main` to its end on a runtime of its own.
///
/// # Errors
///
/// Returns the error of the system when no threads can be had.
pub fn block_on<F: Future>(main: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("sidegate")
        .enable_all()
        .build()?;
    Ok(runtime.block_on(main))
}
