//! The embedded store under SIGKILL (SECURITY F-04): what was acknowledged is there afterwards.
//!
//! The test starts itself anew as a child that writes with 50 threads and prints each
//! acknowledgement as a line; a line that was cut off is no acknowledgement.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a panic is the failure report"
)]

use std::{
    collections::{HashMap, HashSet},
    env,
    io::{Read, Write, stdout},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use auth_core::{
    session::{SessionId, TokenHash},
    store::{
        Rotation,
        contract::{Bench, SignedIn, T0, principal},
    },
};
use sidecar::store::sqlite::{SqliteOptions, SqliteStore};

const DIRECTORY: &str = "SIDEGATE_KILL_TEST_DIRECTORY";
const ROUND: &str = "SIDEGATE_KILL_TEST_ROUND";
const WRITERS: u64 = 50;
const CYCLES: u64 = 30;

fn open(directory: &Path) -> Bench {
    Bench::new(SqliteStore::open(directory, SqliteOptions::default()).unwrap())
}

/// A number that no other write of the test has, in 16 bytes.
fn number(round: u64, writer: u64, count: u64) -> [u8; 16] {
    (u128::from(round) << 96 | u128::from(writer) << 64 | u128::from(count)).to_be_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn say(verb: &str, id: &SessionId, token: &TokenHash) {
    static OUT: Mutex<()> = Mutex::new(());
    let _alone = OUT.lock().unwrap();
    let line = format!("{verb} {id} {}\n", hex(token.as_bytes()));
    let mut out = stdout();
    out.write_all(line.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Creates, rotates and revokes for ever.
async fn write(bench: Bench, round: u64, writer: u64) {
    for count in 0.. {
        let mut new = bench.draft(&format!("u{writer}"));
        new.id = SessionId::from_bytes(number(round, writer, count));
        new.token = TokenHash::of(new.id.as_bytes());
        let made = bench.make(new).await;
        say("created", made.id(), &made.token);
        match count % 4 {
            1 => revoke(&bench, &made).await,
            2 => rotate(&bench, &made).await,
            3 => {
                rotate(&bench, &made).await;
                say("ending-all", made.id(), &made.token);
                bench.revoke_subject(&format!("u{writer}"), T0).await;
                say("everywhere", made.id(), &made.token);
            }
            _ => {}
        }
    }
}

async fn revoke(bench: &Bench, made: &SignedIn) {
    say("ending", made.id(), &made.token);
    bench.revoke(made.id(), T0).await;
    say("revoked", made.id(), &made.token);
}

async fn rotate(bench: &Bench, made: &SignedIn) {
    let token = TokenHash::of(made.token.as_bytes());
    say("rotating", made.id(), &token);
    let (tenant, now) = (&bench.tenant, Rotation::Immediate);
    let answer = bench
        .store
        .rotate(tenant, made.id(), None, token, now, "shop", T0);
    answer.await.unwrap();
    say("rotated", made.id(), &token);
}

/// What the parent knows of a session.
#[derive(Clone, Debug, Default)]
struct Known {
    created: bool,
    /// Somebody asked for its end; it may or may not have come.
    ending: bool,
    /// The same for all of its subject's.
    ending_all: bool,
    revoked: bool,
    token: String,
    /// A rotation was asked for; either token may be the one.
    rotating: Option<String>,
    dead_token: Option<String>,
}

type Ledger = HashMap<SessionId, Known>;

fn writer(id: &SessionId) -> &[u8] {
    &id.as_bytes()[4..8]
}

fn round_of(id: &SessionId) -> &[u8] {
    &id.as_bytes()[..4]
}

fn note(ledger: &mut Ledger, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let [verb, id, token] = words[..] else {
        return;
    };
    let Some(id) = SessionId::parse(id) else {
        return;
    };
    let known = ledger.entry(id).or_default();
    match verb {
        "created" => {
            known.created = true;
            known.token = token.to_owned();
        }
        "rotating" => known.rotating = Some(token.to_owned()),
        "rotated" => {
            known.rotating = None;
            known.dead_token = Some(std::mem::replace(&mut known.token, token.to_owned()));
        }
        "ending" => known.ending = true,
        "ending-all" => known.ending_all = true,
        "revoked" => known.revoked = true,
        "everywhere" => {
            let of_writer = ledger
                .iter_mut()
                .filter(|(other, _)| writer(other) == writer(&id));
            of_writer.for_each(|(_, known)| known.revoked = true);
        }
        other => panic!("{other}"),
    }
}

fn start(directory: &Path, round: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "what_was_acknowledged_survives_kill",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets a child write for a while, kills it, and notes what it acknowledged.
fn run_and_kill(directory: &Path, round: u64, ledger: &mut Ledger) -> usize {
    let mut child = start(directory, round);
    let mut output = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut written = Vec::new();
        output.read_to_end(&mut written).unwrap();
        String::from_utf8(written).unwrap()
    });
    thread::sleep(Duration::from_millis(120 + round * 37 % 250));
    child.kill().unwrap();
    child.wait().unwrap();
    let written = reader.join().unwrap();
    let mut created = 0;
    for line in whole_lines(&written) {
        note(ledger, line);
        created += usize::from(line.starts_with("created"));
    }
    created
}

/// The lines without the last, if that was cut off: what has no end says nothing, but what has one
/// may be all that tells of an end that was asked for.
fn whole_lines(written: &str) -> impl Iterator<Item = &str> {
    let end = written.rfind('\n').unwrap_or(0);
    written[..end].lines()
}

fn hash(text: &str) -> TokenHash {
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).unwrap();
    }
    TokenHash::from_bytes(bytes)
}

/// Checks what was noted of one round, or of all.
async fn check(bench: Bench, ledger: Ledger, round: Option<u64>) {
    // These were about to end everything of their subject, which all rounds of a writer share.
    let open: HashSet<&[u8]> = ledger
        .iter()
        .filter(|(_, known)| known.ending_all && !known.revoked)
        .map(|(id, _)| writer(id))
        .collect();
    let round = round.map(|round| number(round, 0, 0)[..4].to_owned());
    for (id, known) in &ledger {
        if !known.created || round.as_ref().is_some_and(|round| round_of(id) != round) {
            continue;
        }
        let found = bench.store.get(&bench.tenant, id, T0).await.unwrap();
        let found = found.unwrap_or_else(|| panic!("{id} was acknowledged and lost: {known:?}"));
        assert_eq!(found.record.identity.claims.len(), 1, "{id} is torn");
        let now = bench.lives(&hash(&known.token), T0).await;
        let new = match &known.rotating {
            Some(token) => bench.lives(&hash(token), T0).await,
            None => false,
        };
        if known.revoked {
            assert!(!now && !new, "{id} was revoked and lives: {known:?}");
        } else if !known.ending && !open.contains(writer(id)) {
            assert!(now || new, "{id} was acknowledged and is dead: {known:?}");
        }
        if let Some(old) = &known.dead_token {
            let lives = bench.lives(&hash(old), T0).await;
            assert!(!lives, "{id} lives by a dead token: {known:?}");
        }
    }
    let subject = principal("u1");
    let count = bench.store.count(&bench.tenant, Some(&subject), T0).await;
    assert!(count.is_ok());
}

fn as_child() -> Option<()> {
    let directory = env::var_os(DIRECTORY)?;
    let round = env::var(ROUND).ok()?.parse().ok()?;
    let bench = open(Path::new(&directory));
    // The harness may have begun a line.
    println!();
    bench.parallel(WRITERS, |bench, writer| write(bench, round, writer));
    Some(())
}

#[test]
fn only_a_line_that_was_cut_off_is_left_out() {
    for (written, whole) in [
        ("a 1\nb 2\n", vec!["a 1", "b 2"]),
        ("a 1\nb 2", vec!["a 1"]),
        ("a", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(whole_lines(written).collect::<Vec<_>>(), whole, "{written}");
    }
}

#[test]
fn what_was_acknowledged_survives_kill() {
    if as_child().is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new();
    let mut created = 0;
    for round in 0..CYCLES {
        created += run_and_kill(directory.path(), round, &mut ledger);
        let seen = ledger.clone();
        open(directory.path()).run(|bench| check(bench, seen, Some(round)));
    }
    open(directory.path()).run(|bench| check(bench, ledger, None));
    assert!(created > 1000, "only {created} sessions were made");
}
