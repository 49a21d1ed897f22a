//! Whole decisions against a slow, obvious twin: random files and calls, no difference
//! (SECURITY A-01, F-02). A difference prints the seed, the files, the call and both answers.
//!
//! `SIDEGATE_SEED` names another run, `SIDEGATE_RELEASE_SIZE=1` makes it a hundred times as long.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "in a test a panic is the report, and the modules are ours alone"
)]

use std::{collections::BTreeMap, path::Path, sync::Arc};

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
    pub mod expression;
    pub mod generate;
    pub mod model;
    pub mod numbers;
    pub mod twin;
    pub mod world;
}

use decision_twin::{
    calls, generate,
    model::File,
    numbers::Numbers,
    twin::{Ruling, decide},
    world::{NOW, Tables, World},
};

/// How many files a run has, and how many calls each.
const FILES: u64 = 1_000;
const CALLS: usize = 100;

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

/// How often each outcome came out.
type Counts = BTreeMap<&'static str, usize>;

/// All calls on the file of a seed.
async fn compare(seed: u64, world: &World, caller: &Caller) -> Counts {
    let mut numbers = Numbers::new(seed);
    let mut file = generate::file(&mut numbers);
    let policy = compile(&mut file, world);
    let engine = engine(policy, world);
    let mut counts = Counts::new();
    for _ in 0..CALLS {
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
        *counts.entry(answer.outcome().as_str()).or_default() += 1;
    }
    counts
}

fn run(seeds: impl Iterator<Item = u64>, world: &World) -> Counts {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let caller = Caller {
        grants: [Grant::Authorize].into(),
        ..Caller::new("twin")
    };
    let mut counts = Counts::new();
    for seed in seeds {
        for (name, count) in runtime.block_on(compare(seed, world, &caller)) {
            *counts.entry(name).or_default() += count;
        }
    }
    counts
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
    let files = match number("SIDEGATE_RELEASE_SIZE") {
        Some(1) => 100 * FILES,
        _ => FILES,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let world = runtime.block_on(World::new(start));
    let half = |first: u64| {
        (first..files)
            .step_by(2)
            .map(move |file| start.wrapping_add(file))
    };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| run(half(0), &world));
        let other = run(half(1), &world);
        (one.join().unwrap(), other)
    });
    let count = |name: &str| {
        [&one, &other]
            .iter()
            .filter_map(|counts| counts.get(name))
            .sum::<usize>()
    };
    // The cases would prove nothing if they all came out alike. No rule of the file limits rates.
    let total = usize::try_from(files).unwrap() * CALLS;
    for outcome in Outcome::ALL
        .into_iter()
        .filter(|outcome| *outcome != Outcome::Limited)
    {
        let share = count(outcome.as_str());
        assert!(
            share * 100 >= total,
            "{outcome:?} came out {share} times of {total}"
        );
    }
}
