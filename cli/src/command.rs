//! The commands, one file a noun.

use crate::{args::Command, exit::Exit, failure::Failure, output::Output};

pub mod can;
pub mod completion;
pub mod dev;
pub mod health;
pub mod init;
pub mod key;
pub mod proxy;
pub mod reload;
pub mod schema;
pub mod serve;
pub mod session;
pub mod status;
pub mod validate;

/// Does what was asked.
///
/// # Errors
///
/// Returns [`Failure`] with the exit code when it was not done.
pub fn run(command: Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Dev(args) => dev::run(args, output),
        Command::Serve(args) => serve::run(args),
        Command::Init(args) => init::run(&args, output),
        Command::Validate(args) => validate::run(&args, output),
        Command::Can(args) => can::run(*args, output),
        Command::Session(args) => session::run(args, output),
        Command::Key(args) => key::run(args, output),
        Command::Proxy(args) => proxy::run(&args, output),
        Command::Status(args) => status::run(&args, output),
        Command::Health(args) => health::run(&args, output),
        Command::Reload(args) => reload::run(&args, output),
        Command::Schema(args) => schema::run(&args, output),
        Command::Completion(args) => completion::run(&args),
    }
}

/// Runs the conversation with a server to its end.
///
/// # Errors
///
/// Returns what `work` returns, or [`Failure`] when the runtime cannot start.
pub fn converse<F>(work: F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| Failure::new(Exit::Unexpected, format!("the runtime cannot start: {err}")))?
        .block_on(work)
}
