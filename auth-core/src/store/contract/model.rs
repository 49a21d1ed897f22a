//! Random schedules against an obvious reference (SECURITY 5.3, I1 to I6).
//!
//! Numbers say what is done, so that whoever generates them can also shrink them. After each group
//! of acts the store has to look as the reference does after some order of them.

mod act;
mod reference;

use std::time::Duration;

use super::{Bench, MICROSECOND, T0};
use crate::{
    clock::Timestamp,
    session::{SessionId, SessionRecord, TokenHash},
    store::{Death, Loaded, TokenRole},
};
use act::{Act, perform};
use reference::Reference;

/// What matters of a record.
#[derive(Clone, Debug, PartialEq)]
struct Summary {
    id: SessionId,
    version: u64,
    attributes: usize,
    created_at: Timestamp,
    expires_at: Timestamp,
    last_seen: Timestamp,
    token_issued_at: Timestamp,
}

impl From<&SessionRecord> for Summary {
    fn from(record: &SessionRecord) -> Self {
        Self {
            id: record.id,
            version: record.version,
            attributes: record.attributes.len(),
            created_at: record.created_at,
            expires_at: record.expires_at,
            last_seen: record.last_seen,
            token_issued_at: record.token_issued_at,
        }
    }
}

/// What a token leads to.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Live(TokenRole, Summary),
    Dead(SessionId, Death),
    Unknown,
}

impl From<Loaded> for Seen {
    fn from(loaded: Loaded) -> Self {
        match loaded {
            Loaded::Live { record, role } => Self::Live(role, Summary::from(&*record)),
            Loaded::Dead { id, death } => Self::Dead(id, death),
            Loaded::Unknown => Self::Unknown,
        }
    }
}

/// What an act was answered with.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Record(Result<Summary, String>),
    Ended(Option<bool>),
    Number(Result<u64, u64>),
    Done,
}

/// Does one act after another.
pub async fn one_by_one(bench: Bench, numbers: Vec<u64>) {
    run(&bench, &numbers, 1).await;
}

/// Does up to three acts at once, on a thread each.
pub async fn interleaved(bench: Bench, numbers: Vec<u64>) {
    run(&bench, &numbers, 3).await;
}

async fn run(bench: &Bench, numbers: &[u64], at_once: usize) {
    let mut reference = Reference::default();
    let mut now = T0;
    for group in numbers.chunks(at_once) {
        now = pass(now, group[0]);
        let resolve = |number: &u64| Act::resolve(*number, bench, &reference);
        let acts: Vec<Act> = group.iter().map(resolve).collect();
        let answers = perform_all(bench, &acts, now).await;
        let seen = look(bench, &tokens(&reference, &acts), now).await;
        reference = explain(&reference, &acts, &answers, &seen, now);
        check(&reference, bench, now).await;
    }
}

/// Time passes, mostly by little; sometimes the clock goes back.
fn pass(now: Timestamp, number: u64) -> Timestamp {
    let minutes = |count: u64| Duration::from_mins(count);
    match number >> 32 & 0x1f {
        0..=15 => now,
        16..=23 => now.plus(MICROSECOND * 9_999_999),
        24..=26 => now.plus(minutes(30)),
        27 => now.plus(minutes(60)),
        28 => now.plus(minutes(60 * 24)),
        29 => now.plus(minutes(60 * 24 * 5)),
        30 => now.minus(minutes(4)),
        _ => now.minus(minutes(90)),
    }
}

async fn perform_all(bench: &Bench, acts: &[Act], now: Timestamp) -> Vec<Answer> {
    if let [act] = acts {
        return vec![perform(bench.clone(), act.clone(), now).await];
    }
    bench.parallel(acts.len() as u64, |bench, index| {
        let act = acts[usize::try_from(index).unwrap()].clone();
        perform(bench, act, now)
    })
}

fn tokens(reference: &Reference, acts: &[Act]) -> Vec<TokenHash> {
    let new = acts.iter().filter_map(Act::new_token);
    reference.tokens().chain(new).collect()
}

async fn look(bench: &Bench, tokens: &[TokenHash], now: Timestamp) -> Vec<(TokenHash, Seen)> {
    let mut seen = Vec::with_capacity(tokens.len());
    for token in tokens {
        seen.push((*token, bench.load(token, now).await.into()));
    }
    seen
}

/// The reference after the order of the acts that explains what was answered and seen.
fn explain(
    before: &Reference,
    acts: &[Act],
    answers: &[Answer],
    seen: &[(TokenHash, Seen)],
    now: Timestamp,
) -> Reference {
    let mut tried = Vec::new();
    for order in orders(acts.len()) {
        let mut reference = before.clone();
        let instant = reference.see(now);
        let told: Vec<Answer> = order
            .iter()
            .map(|index| reference.apply(&acts[*index], instant))
            .collect();
        let expected: Vec<_> = seen
            .iter()
            .map(|(token, _)| (*token, reference.load(token, instant)))
            .collect();
        let agrees = order
            .iter()
            .zip(&told)
            .all(|(at, told)| answers[*at] == *told);
        if agrees && expected == seen {
            return reference;
        }
        tried.push((order, told, expected));
    }
    panic!(
        "no order explains it\nacts {acts:#?}\nanswers {answers:#?}\nseen {seen:#?}\ntried {tried:#?}"
    );
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    match count {
        1 => vec![vec![0]],
        2 => vec![vec![0, 1], vec![1, 0]],
        _ => [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ]
        .map(Vec::from)
        .to_vec(),
    }
}

/// What must hold whatever happened.
async fn check(reference: &Reference, bench: &Bench, now: Timestamp) {
    for (subject, limit) in [("u1", u64::MAX), ("u2", 2), ("u3", 2)] {
        let live = bench.count(subject, now).await;
        assert!(live <= limit, "I6: {subject} has {live} sessions");
        assert_eq!(live, reference.count(subject, now), "{subject}");
    }
    for session in reference.sessions() {
        let mut newest = 0;
        let mut others = 0;
        for token in session.tokens() {
            match bench.role(&token, now).await {
                Some(TokenRole::Predecessor) => others += 1,
                Some(_) => newest += 1,
                None => {}
            }
        }
        assert!(newest <= 1 && others <= 1, "I3: {newest} and {others}");
    }
}
