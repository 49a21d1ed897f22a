//! Every case of `tests/cases` gets the answer that is written there, whatever way it is asked
//! (R19).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use auth_core::policy::{
    Natives, Policy,
    compile::BuiltInSources,
    diagnostic::PolicyError,
    settings::Settings,
    source::{Disk, Document},
};
use harness::{
    cases::{self, Case, CaseFile, Refused},
    front::{
        Front,
        behind::Behind,
        command_line::CommandLine,
        envoy::{Envoy, Form},
        forward_auth::ForwardAuth,
        grpc::Grpc,
        json::Json,
        library::Library,
        proxy::Proxy,
    },
    real::{printed::Proxy as Proxied, real_or_left_out},
    story::{self, Answers},
};
use sidecar::edge::forward_auth::Dialect;

#[path = "cases/random.rs"]
mod random;

/// The command under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_sidegate-under-test");

/// The ways to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Library,
    Grpc,
    Json,
    ForwardAuth(Dialect),
    Proxy,
    Envoy(Form),
    CommandLine,
    Behind(Proxied),
    /// With the edge in a process of its own.
    RemoteForwardAuth(Dialect),
    RemoteProxy,
    RemoteEnvoy(Form),
}

async fn front(way: Way, file: &CaseFile) -> Box<dyn Front> {
    match way {
        Way::Library => Box::new(Library::new(file).await),
        Way::Grpc => Box::new(Grpc::new(file).await),
        Way::Json => Box::new(Json::new(file).await),
        Way::ForwardAuth(dialect) => Box::new(ForwardAuth::new(file, dialect).await),
        Way::Proxy => Box::new(Proxy::new(file).await),
        Way::Envoy(form) => Box::new(Envoy::new(file, form).await),
        Way::CommandLine => Box::new(CommandLine::new(file, PathBuf::from(PROGRAM)).await),
        Way::Behind(proxy) => {
            let front = Behind::new(file, proxy, Path::new(PROGRAM)).await;
            Box::new(front.unwrap())
        }
        Way::RemoteForwardAuth(dialect) => {
            Box::new(ForwardAuth::remote(file, dialect, Path::new(PROGRAM)).await)
        }
        Way::RemoteProxy => Box::new(Proxy::remote(file, Path::new(PROGRAM)).await),
        Way::RemoteEnvoy(form) => Box::new(Envoy::remote(file, form, Path::new(PROGRAM)).await),
    }
}

/// The answers of one way to the cases of a file that it carries, by the case's place.
async fn answers(way: Way, file: &CaseFile) -> BTreeMap<usize, Answers> {
    let mut answers = BTreeMap::new();
    let shared = front(way, file).await;
    for (index, case) in file.cases.iter().enumerate() {
        let left_out = case.not_on.iter().any(|name| name == shared.name());
        if left_out || !shared.carries(case) {
            continue;
        }
        // Steps change the world, so they get one of their own.
        let answer = if case.steps.is_empty() {
            story::run(&*shared, case).await
        } else {
            let own = front(way, file).await;
            let answer = story::run(&*own, case).await;
            own.stop().await;
            answer
        };
        answers.insert(index, answer);
    }
    shared.stop().await;
    answers
}

/// What is not as the case says.
fn differences(case: &Case, answers: &Answers, told: &mut String) {
    for (step, (observed, expect)) in answers.iter().enumerate() {
        for (fact, expected) in expect.facts() {
            // A front that cannot see a fact leaves it out; an error has no facts of a decision.
            let found = match observed.get(fact) {
                Some(found) => found,
                None if observed.contains_key("error") && !["error", "failed"].contains(&fact) => {
                    let error = &observed["error"];
                    let _ = writeln!(told, "{}\n  step {step}: error {error}", case.name);
                    continue;
                }
                None => continue,
            };
            if *found != expected {
                let _ = writeln!(
                    told,
                    "{}\n  step {step}: {fact} is {found}, not {expected}\n    {observed:?}",
                    case.name
                );
            }
        }
    }
}

/// Where a front answers otherwise than the library does, also in what the case leaves open.
fn disagreements(case: &Case, ours: &Answers, theirs: &Answers, told: &mut String) {
    for (step, ((library, _), (other, _))) in ours.iter().zip(theirs).enumerate() {
        for (fact, value) in other {
            if library.get(fact).is_some_and(|own| own != value) {
                let own = &library[fact];
                let _ = writeln!(
                    told,
                    "{}\n  step {step}: {fact} is {value}, in the library {own}",
                    case.name
                );
            }
        }
    }
}

/// Runs all cases one way; answers how many it carried.
async fn hold(way: Way) -> usize {
    let (mut told, mut count) = (String::new(), 0);
    for file in &cases::load_all() {
        if file.policy.is_none() {
            continue;
        }
        let theirs = answers(way, file).await;
        let ours = match way {
            Way::Library => BTreeMap::new(),
            _ => answers(Way::Library, file).await,
        };
        count += theirs.len();
        let mut wrong = String::new();
        for (index, answer) in &theirs {
            let case = &file.cases[*index];
            differences(case, answer, &mut wrong);
            if let Some(own) = ours.get(index) {
                disagreements(case, own, answer, &mut wrong);
            }
        }
        if !wrong.is_empty() {
            let _ = writeln!(told, "--- {}\n{wrong}", file.name());
        }
    }
    assert!(told.is_empty(), "{way:?}:\n{told}");
    count
}

#[tokio::test]
async fn the_library_answers_every_case_as_written() {
    assert_eq!(hold(Way::Library).await, total() - only_elsewhere());
}

/// Cases about what only the edges hold callers to.
fn only_elsewhere() -> usize {
    let files = cases::load_all();
    let all = files.iter().flat_map(|file| &file.cases);
    all.filter(|case| case.not_on.iter().any(|name| name == "library"))
        .count()
}

fn total() -> usize {
    cases::load_all().iter().map(|file| file.cases.len()).sum()
}

#[tokio::test]
async fn grpc_answers_every_case_alike() {
    let left_out = ["grpc"];
    let files = cases::load_all();
    let all = files.iter().flat_map(|file| &file.cases);
    let carried = all.filter(|case| !case.not_on.iter().any(|n| left_out.contains(&n.as_str())));
    assert_eq!(hold(Way::Grpc).await, carried.count());
}

#[tokio::test]
async fn json_over_http_answers_every_case_alike() {
    hold(Way::Json).await;
}

#[tokio::test]
async fn each_dialect_of_forward_auth_answers_what_it_can_carry_alike() {
    for dialect in Dialect::ALL {
        let carried = hold(Way::ForwardAuth(dialect)).await;
        assert!(carried >= 150, "{dialect:?}: only {carried} cases");
    }
}

#[tokio::test]
async fn the_reverse_proxy_answers_what_it_can_carry_alike() {
    let carried = hold(Way::Proxy).await;
    assert!(carried >= 120, "only {carried} cases");
}

/// Holds what goes through a real proxy; at least this many cases do.
async fn holds_behind(proxy: Proxied, least: usize) {
    if real_or_left_out(proxy.name(), "the cases through a real proxy").is_some() {
        let carried = hold(Way::Behind(proxy)).await;
        assert!(carried >= least, "{proxy:?}: only {carried} cases");
    }
}

#[tokio::test]
async fn nginx_passes_on_what_it_can_carry_alike() {
    holds_behind(Proxied::Nginx, 320).await;
}

#[tokio::test]
async fn caddy_passes_on_what_it_can_carry_alike() {
    holds_behind(Proxied::Caddy, 320).await;
}

#[tokio::test]
async fn traefik_passes_on_what_it_can_carry_alike() {
    holds_behind(Proxied::Traefik, 320).await;
}

#[tokio::test]
async fn envoy_passes_on_what_it_can_carry_alike() {
    holds_behind(Proxied::Envoy, 320).await;
}

#[tokio::test]
async fn envoy_is_answered_what_it_can_carry_alike_in_either_form_of_headers() {
    for (form, least) in [(Form::Raw, 170), (Form::Joined, 160)] {
        let carried = hold(Way::Envoy(form)).await;
        assert!(carried >= least, "{form:?}: only {carried} cases");
    }
}

#[tokio::test]
async fn a_reverse_proxy_in_a_process_of_its_own_answers_alike() {
    let carried = hold(Way::RemoteProxy).await;
    assert!(carried >= 120, "only {carried} cases");
}

#[tokio::test]
async fn envoy_is_answered_alike_by_a_process_of_its_own() {
    for (form, least) in [(Form::Raw, 170), (Form::Joined, 160)] {
        let carried = hold(Way::RemoteEnvoy(form)).await;
        assert!(carried >= least, "{form:?}: only {carried} cases");
    }
}

#[tokio::test]
async fn each_dialect_of_forward_auth_is_answered_alike_by_a_process_of_its_own() {
    for dialect in Dialect::ALL {
        let carried = hold(Way::RemoteForwardAuth(dialect)).await;
        assert!(carried >= 150, "{dialect:?}: only {carried} cases");
    }
}

#[tokio::test]
async fn sidegate_can_answers_what_it_can_carry_alike() {
    let carried = hold(Way::CommandLine).await;
    assert!(carried >= 50, "only {carried} cases");
}

/// The first error about a policy file.
fn load_error(refused: &Refused) -> Option<PolicyError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidegate.yaml");
    std::fs::write(&path, &refused.policy).unwrap();
    let documents = match Document::load(Path::new(&path), &Disk) {
        Ok(documents) => documents,
        Err(err) => return Some(err),
    };
    let policy = Policy::compile(&documents, &Disk, &BuiltInSources, &Natives::default());
    let settings = Settings::from_documents(&documents, None, std::iter::empty());
    policy.err().or(settings.err())
}

#[test]
fn a_bad_policy_file_is_refused_where_it_is_bad() {
    let mut told = String::new();
    for file in cases::load_all() {
        for refused in &file.refused {
            let expected = &refused.expect_error;
            let Some(err) = load_error(refused) else {
                let _ = writeln!(told, "{}: the file loads", refused.name);
                continue;
            };
            let first = &err.diagnostics[0];
            let help = first.help.as_deref().unwrap_or_default();
            let is_as_said = first.line == expected.line
                && expected.column.is_none_or(|column| column == first.column)
                && first.message.contains(&expected.contains)
                && expected
                    .help
                    .as_ref()
                    .is_none_or(|part| help.contains(part));
            if !is_as_said {
                let _ = writeln!(told, "{}: expected {expected:?}\n{err}", refused.name);
            }
        }
    }
    assert!(told.is_empty(), "\n{told}");
}

#[test]
fn cases_are_named_for_their_rules_and_no_two_alike() {
    let mut names = BTreeSet::new();
    for file in cases::load_all() {
        let cases = file.cases.iter().map(|case| &case.name);
        for name in cases.chain(file.refused.iter().map(|refused| &refused.name)) {
            let rule = name.split_once(": ").map(|(rule, _)| rule);
            let is_rule = rule.is_some_and(|rule| {
                let number = rule.trim_start_matches(|c: char| c.is_ascii_uppercase());
                let number = number.trim_start_matches('-');
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            });
            assert!(
                is_rule,
                "{}: `{name}` does not begin with a rule",
                file.name()
            );
            assert!(names.insert(name.clone()), "two cases are named `{name}`");
        }
    }
    assert!(names.len() >= 150, "only {} cases", names.len());
}

#[test]
fn cases_cover_the_rules_and_every_kind_of_wire() {
    let (mut rules, mut wires) = (BTreeSet::new(), BTreeSet::new());
    for file in cases::load_all() {
        for case in &file.cases {
            rules.extend(case.name.split_once(": ").map(|(rule, _)| rule.to_owned()));
            let steps = case.steps.iter().filter_map(|step| step.call.as_ref());
            for call in case.call.iter().chain(steps) {
                wires.insert(call.target().0.label().to_owned());
            }
        }
        let refused = file.refused.iter().map(|refused| &refused.name);
        rules.extend(refused.filter_map(|name| Some(name.split_once(": ")?.0.to_owned())));
    }
    let ours = (1..=16).chain([21, 23, 24, 25]);
    let ours = ours.map(|number| format!("R{number}"));
    let shown = ["H-01", "H-02", "H-03", "H-09", "H-11", "H-15"];
    let shown = shown.into_iter().chain(["T-16", "T-17", "C-06", "C-08"]);
    for rule in ours.chain(shown.map(str::to_owned)) {
        assert!(rules.contains(&rule), "no case for {rule}");
    }
    for wire in [
        "http",
        "grpc",
        "websocket",
        "cli",
        "mcp",
        "queue",
        "schedule",
        "rpc",
        "custom",
    ] {
        assert!(wires.contains(wire), "no case on the wire `{wire}`");
    }
}
