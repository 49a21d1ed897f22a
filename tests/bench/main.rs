//! `sidegate-bench`: figures of a running Sidegate, each as a ratio to its floor in the same run.
//!
//! `tests/bench/run` builds it and starts it on a core of its own. Times of a shared machine swing
//! by a third; CPU per request, taken in turns, is steadier, and ratios of it are what is judged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench reports by its figures, and ends where it cannot"
)]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

mod ask;
mod bare_proxy;
mod decide;
mod edges;
mod floor;
mod load;
mod process;
mod proxied;
mod scene;
mod stages;
mod transport;

/// Rounds of which the median is taken.
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["transport", sidegated] => runtime.block_on(transport::run(PathBuf::from(sidegated))),
        ["edges", sidegated] => runtime.block_on(edges::run(Path::new(sidegated))),
        ["edge", way, count, program @ ..] => {
            runtime.block_on(edges::drive(way, count.parse().unwrap(), program));
        }
        ["bare-proxy", app] => runtime.block_on(bare_proxy::serve(app)),
        ["upstream"] => runtime.block_on(proxied::upstream()),
        ["allow-all", ..] => runtime.block_on(floor::allow_all()),
        ["floor", answer] => runtime.block_on(floor::serve(answer)),
        ["write", folder] => drop(scene::write(Path::new(folder))),
        ["ask", address, count, answer] => {
            let count = count.parse().unwrap();
            runtime.block_on(ask::sidegate(address, count, Path::new(answer)));
        }
        ["ask", address, count] => runtime.block_on(ask::floor(address, count.parse().unwrap())),
        ["decide", kind, count] => runtime.block_on(decide::run(kind, count.parse().unwrap())),
        _ => {
            eprintln!(
                "usage: sidegate-bench transport SIDEGATED | edges SIDEGATED | decide KIND COUNT\n       \
                 sidegate-bench edge proxy|envoy|allow-all|bare-proxy COUNT PROGRAM..\n       \
                 sidegate-bench floor FILE | allow-all | upstream | bare-proxy APP\n       \
                 sidegate-bench write FOLDER | ask ADDRESS COUNT [FILE]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
