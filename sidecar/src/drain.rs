//! The end: told apart by signals, and prepared by being not ready.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a process exits with that was told twice to stop.
const EXIT_AT_ONCE: i32 = 130;

/// Waits for SIGTERM or SIGINT. A second one ends the process at once.
///
/// # Errors
///
/// Returns the error of the system when a signal cannot be listened for.
pub fn signals() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("told to stop: draining; a second signal stops at once");
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            tracing::warn!("told to stop again: stopping at once");
            std::process::exit(EXIT_AT_ONCE);
        });
    })
}

/// Hears of SIGHUP.
///
/// # Errors
///
/// Returns the error of the system when the signal cannot be listened for.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
