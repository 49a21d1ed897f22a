//! `sidegate init`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use crate::{exit::Exit, failure::Failure, output::Output};

const EXAMPLES: &str = "\
Examples:
  sidegate init
  sidegate init shop && sidegate validate shop/sidegate.yaml";

/// The files written: a name and a text each.
const FILES: [(&str, &str); 2] = [
    (
        "sidegate.yaml",
        include_str!("../../demo/init/sidegate.yaml"),
    ),
    (
        "sidegate.test.yaml",
        include_str!("../../demo/init/sidegate.test.yaml"),
    ),
];

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct InitArgs {
    /// The directory; it is made where it is not there.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    /// The files.
    files: Vec<String>,
}

/// Writes a first policy file and cases for it; with one of them there, nothing is written.
///
/// # Errors
///
/// Returns [`Failure`] when a file is there already or cannot be written.
pub fn run(args: &InitArgs, output: &Output) -> Result<Exit, Failure> {
    let paths = FILES.map(|(name, text)| (args.dir.join(name), text));
    for (path, _) in &paths {
        // A dangling link counts as there: writing would go through it.
        if path.symlink_metadata().is_ok() {
            return Err(there_already(path));
        }
    }
    fs::create_dir_all(&args.dir)
        .map_err(|err| Failure::file(Exit::Unexpected, &args.dir, &err))?;
    for (path, text) in &paths {
        write_new(path, text)?;
    }
    let written = Written {
        files: paths
            .iter()
            .map(|(path, _)| path.display().to_string())
            .collect(),
    };
    output.data(&written, |written| written.files.join("\n"))?;
    Ok(Exit::Ok)
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = fs::File::create_new(path).map_err(|err| match err.kind() {
        std::io::ErrorKind::AlreadyExists => there_already(path),
        _ => Failure::file(Exit::Unexpected, path, &err),
    })?;
    file.write_all(text.as_bytes())
        .map_err(|err| Failure::file(Exit::Unexpected, path, &err))
}

fn there_already(path: &Path) -> Failure {
    Failure::new(
        Exit::Conflict,
        format!("`{}` is there already; nothing was written", path.display()),
    )
    .next("name another directory: `sidegate init DIR`")
}
