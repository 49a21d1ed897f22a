//! Whole decisions against a slow, obvious twin: random files and calls, no difference
//! (SECURITY A-01, F-02). A difference prints the seed, the files, the call and both answers.
//!
//! A run has a hundred thousand files: a thousand large ones with a hundred calls each, which is
//! where many rules and checks meet, and small ones with a few calls. `SIDEGATE_SEED` names another
//! run, `SIDEGATE_FILES` another number of files, `SIDEGATE_RELEASE_SIZE=1` makes a hundred times
//! as many large ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "in a test a panic is the report, and the modules are ours alone"
)]

use std::{io::Write as _, num::NonZeroUsize, path::Path, sync::Arc, thread};

use auth_core::{
    caller::{Caller, Grant},
    clock::ManualClock,
    decision::Answer,
    decision_point::DecisionPoint as _,
    engine::{Engine, Parts},
    keys::{Keyring, MasterKey},
    outcome::Outcome,
    policy::{
        Policy,
        source::{Disk, Document},
    },
    random::SystemRandom,
};

mod decision_twin {
    pub mod calls;
    pub mod data;
    pub mod expression;
    pub mod facts;
    pub mod generate;
    pub mod model;
    pub mod numbers;
    pub mod requirements;
    pub mod routing;
    pub mod tally;
    pub mod twin;
    pub mod world;
}

use decision_twin::{
    calls,
    generate::{self, Size},
    model::File,
    numbers::Numbers,
    tally::Tally,
    twin::{Ruling, decide},
    world::{NOW, Tables, World},
};

/// How many files a run has; of each hundred, one is large.
const FILES: u64 = 100_000;
const LARGE_EVERY: u64 = 100;
/// How many calls a large file and a small one has.
const CALLS: [usize; 2] = [100, 2];
/// How many features files can have, see [`Tally`].
const FEATURES: usize = 65;
/// How many reasons the calls of a run come to.
const REASONS: usize = 12;

/// Compiles a file. An operation that no anonymous caller could pass is refused (R3); it is then
/// given `session: required`, so that the file loads.
fn compile(file: &mut File, world: &World) -> Policy {
    loop {
        let documents: Vec<_> = file
            .texts()
            .into_iter()
            .enumerate()
            .map(|(at, text)| {
                let path = format!("{at}.yaml");
                Document::parse(Path::new(&path), text.clone())
                    .unwrap_or_else(|err| panic!("{err}\n{text}"))
            })
            .collect();
        let err = match Policy::compile(&documents, &Disk, &Tables, &world.natives()) {
            Ok(policy) => return policy,
            Err(err) => err,
        };
        for fault in &err.diagnostics {
            let impossible = ["no anonymous caller could pass", "asks for scopes"];
            let known = impossible.iter().any(|part| fault.message.contains(part));
            let named = fault.message.split('`').nth(1).unwrap_or_default();
            let operations = file.apps.iter_mut().flat_map(|app| &mut app.operations);
            let operation = operations
                .into_iter()
                .find(|operation| operation.name == named);
            match operation {
                Some(operation) if known => operation.session = "required",
                _ => panic!("{}\n{}", fault.message, file.texts().join("\n---\n")),
            }
        }
    }
}

fn engine(policy: Policy, world: &World) -> Engine {
    let keys = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let clock = Arc::new(ManualClock::at(NOW));
    let random = Arc::new(SystemRandom);
    Engine::new(Parts::new(policy, world.store.clone(), keys, clock, random))
}

/// What differs, in words; empty when nothing does.
fn difference(answer: &Answer, ruling: &Ruling) -> &'static str {
    let reason = &answer.reason;
    let checks_fit = reason
        .checks
        .iter()
        .all(|check| ruling.checks.contains(&**check));
    let needed = reason.required_scopes.iter().cloned().collect();
    if answer.outcome() != ruling.outcome {
        "outcome"
    } else if answer.operation.as_deref() != ruling.operation.as_deref() {
        "operation"
    } else if reason.code != ruling.code {
        "reason"
    } else if reason.requirement.as_deref() != ruling.requirement.as_deref() {
        "requirement"
    } else if !checks_fit || (reason.checks.is_empty() && !ruling.checks.is_empty()) {
        "checks"
    } else if !ruling.scopes.is_empty() && ruling.scopes != needed {
        "scopes"
    } else {
        ""
    }
}

/// All calls on the file of a seed.
async fn compare(seed: u64, is_large: bool, world: &World, caller: &Caller, tally: &mut Tally) {
    let (size, calls) = match is_large {
        true => (Size::LARGE, CALLS[0]),
        false => (Size::SMALL, CALLS[1]),
    };
    let mut numbers = Numbers::new(seed);
    let mut file = generate::file(&mut numbers, size);
    let policy = compile(&mut file, world);
    let engine = engine(policy, world);
    tally.file(&file);
    for _ in 0..calls {
        let asked = calls::call(&mut numbers, &file);
        let answer = engine.authorize(caller, asked.call()).await;
        let ruling = decide(&file, &world.sessions, &asked);
        let what = difference(&answer, &ruling);
        assert!(
            what.is_empty(),
            "{what} differs, file {seed}\n{}\n{asked:#?}\nengine: {:?} {:?} {:?}\ntwin: {ruling:?}",
            file.texts().join("\n---\n"),
            answer.outcome(),
            answer.operation,
            answer.reason,
        );
        tally.answer(answer.outcome().as_str(), answer.reason.code.as_str());
    }
}

/// The files of some numbers; one in `large_every` is large.
fn run(files: impl Iterator<Item = u64>, start: u64, large_every: u64, world: &World) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let caller = Caller {
        grants: [Grant::Authorize].into(),
        ..Caller::new("twin")
    };
    let mut tally = Tally::default();
    for file in files {
        let (seed, is_large) = (start.wrapping_add(file), file % large_every == 0);
        runtime.block_on(compare(seed, is_large, world, &caller, &mut tally));
    }
    tally
}

/// All files, on all cores.
fn run_all(files: u64, start: u64, large_every: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let world = &runtime.block_on(World::new(start));
    let threads = thread::available_parallelism().map_or(2, NonZeroUsize::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads as u64)
            .map(|first| {
                // Runs of files in turn, so that no worker gets all of the large ones.
                let own =
                    (0..files).filter(move |file| file / large_every % threads as u64 == first);
                scope.spawn(move || run(own, start, large_every, world))
            })
            .collect();
        let mut all = Tally::default();
        for worker in workers {
            all.merge(worker.join().unwrap());
        }
        all
    })
}

#[test]
fn the_engine_and_its_slow_twin_agree_on_whole_files() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let start = number("SIDEGATE_SEED")
        .unwrap_or(1)
        .wrapping_mul(1_000_000_000);
    let large_every = match number("SIDEGATE_RELEASE_SIZE") {
        Some(1) => 1,
        _ => LARGE_EVERY,
    };
    let files = number("SIDEGATE_FILES").unwrap_or(FILES);
    let tally = run_all(files, start, large_every);
    // Past the capture of the harness, so that a run that passes shows what it saw.
    writeln!(std::io::stderr(), "{tally}").unwrap();
    assert_eq!(tally.files as u64, files);
    // The cases would prove nothing if they all came out alike. No rule of the file limits rates.
    for outcome in Outcome::ALL
        .into_iter()
        .filter(|outcome| *outcome != Outcome::Limited)
    {
        let share = tally.outcomes.get(outcome.as_str()).copied().unwrap_or(0);
        assert!(
            share * 100 >= tally.calls,
            "{outcome:?} came out {share} times\n{tally}"
        );
    }
    assert!(
        tally.features.len() >= FEATURES,
        "features were not seen\n{tally}"
    );
    assert!(
        tally.reasons.len() >= REASONS,
        "reasons were not seen\n{tally}"
    );
    for (feature, count) in &tally.features {
        let floor = tally.files / 1_000;
        assert!(
            *count >= floor,
            "`{feature}` was seen {count} times only\n{tally}"
        );
    }
}
