//! Programs of others that tests run against: real clients, servers and tools. `tests/run` installs
//! them; a plain `cargo test` goes without and says so.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
};

pub mod app;
pub mod browser;
pub mod caddy;
pub mod envoy;
pub mod nginx;
pub mod ports;
pub mod printed;
pub mod server;
pub mod traefik;

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// Where `tests/run` keeps what it installs: `$SIDEGATE_REAL`, else `.real` of the repository.
#[must_use]
pub fn folder() -> PathBuf {
    let set = env::var_os("SIDEGATE_REAL").map(PathBuf::from);
    set.unwrap_or_else(|| root().join(".real"))
}

/// A part that `tests/run` installs: `python`, `node_modules`, or a program of `bin`. Where it is
/// missing, says on stderr what is left out, past the capture of test output; under `tests/run`,
/// which must have installed it, that is a failure.
///
/// # Panics
///
/// Panics when `tests/run` runs this and the part is missing.
#[must_use]
pub fn real(part: &str) -> Option<PathBuf> {
    let folder = folder();
    let path = match part {
        "python" => folder.join("python/bin/python"),
        "node_modules" => folder.join("node/node_modules"),
        program => match folder.join("bin").join(program) {
            installed if installed.exists() => installed,
            absent => in_path(program).unwrap_or(absent),
        },
    };
    if path.exists() {
        return Some(path);
    }
    assert!(
        env::var_os("SIDEGATE_REAL").is_none() || env::var_os("SIDEGATE_REAL_OPTIONAL").is_some(),
        "`{}` is missing, and tests/run should have installed it",
        path.display()
    );
    None
}

/// The part, or `None` with a word on stderr about what is left out.
#[must_use]
pub fn real_or_left_out(part: &str, what: &str) -> Option<PathBuf> {
    let found = real(part);
    if found.is_none() {
        // Written to the stream itself: what `eprintln!` writes in a passing test is not shown.
        let line = format!("left out: {what}: `{part}` is missing, `tests/run` installs it\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    found
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
}
