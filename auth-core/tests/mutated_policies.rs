//! Damaged policy files: loading never panics and never hangs, and what is wrong has its place.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use auth_core::policy::{
    Natives, Policy,
    diagnostic::{Diagnostic, PolicyError},
    settings::Settings,
    source::{Document, Text},
};

/// How many mutants of each file.
const MUTANTS: u64 = 200;
/// Beyond this, loading one file hangs. It takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

const WHOLE: [&str; 3] = [
    include_str!("../../cli/demo/sidegate.yaml"),
    include_str!("../../cli/demo/apps/shop.yaml"),
    include_str!("../../tests/cases/policies/shop.yaml"),
];

/// Numbers from a seed, the same on every run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// Scalars that files get wrong.
const SCALARS: &[&str] = &[
    "",
    "~",
    "7",
    "-1",
    "1e999",
    "true",
    "yes",
    "''",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[ [ [ ] ] ]",
    "{ a: b }",
    "&a [ *a ]",
    "*nobody",
    "!!binary x",
    "|",
    "99999999999999999999999999",
    "GET /{",
    "1 + (",
    "é\u{200f}\u{2028}",
    "a\rb",
    "\u{1a}",
    "\u{85}x: [",
];

/// Damages a text in one to four places.
fn damage(text: &str, numbers: &mut Numbers) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(lines.len());
        match numbers.below(6) {
            0 if lines.len() > 1 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = numbers.below(lines.len());
                lines.swap(at, other);
            }
            3 => {
                let scalar = SCALARS[numbers.below(SCALARS.len())];
                let key = lines[at].split(": ").next().unwrap_or_default().to_owned();
                lines[at] = format!("{key}: {scalar}");
            }
            4 => {
                let end = numbers.below(lines[at].chars().count() + 1);
                lines[at] = lines[at].chars().take(end).collect();
            }
            _ => lines[at] = noise(&lines[at], numbers),
        }
    }
    lines.join("\n")
}

/// Puts random bytes into a line; what is then no UTF-8 is replaced, as a file must be UTF-8.
fn noise(line: &str, numbers: &mut Numbers) -> String {
    let mut bytes = line.as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        let byte = numbers.next().to_le_bytes()[0];
        let at = numbers.below(bytes.len() + 1);
        bytes.insert(at, byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Loads all of a file: the settings of the platform and the policy.
fn load(text: &str) -> Result<(), PolicyError> {
    let path = Path::new("damaged.yaml");
    let document = Document::parse(path, text.to_owned())?;
    let settings = Settings::from_documents(std::slice::from_ref(&document), None, []);
    let files = Text(text.to_owned());
    Policy::load(path, &files, &Natives::default())?;
    settings.map(drop)
}

/// What a diagnostic lacks.
fn lacking(text: &str, fault: &Diagnostic) -> Option<&'static str> {
    // As YAML counts lines: a carriage return alone ends one, too.
    let text = text.replace("\r\n", "\n");
    let mut lines = text.split(['\n', '\r']);
    let Some(line) = lines.nth(fault.line.saturating_sub(1)) else {
        return Some("a line of the file");
    };
    let checks = [
        (fault.file == "damaged.yaml", "its file"),
        (fault.line > 0, "a line"),
        (fault.column > 0, "a column"),
        (
            fault.column <= line.chars().count() + 1,
            "a column of its line",
        ),
        (fault.source_line == line, "its source line"),
        (!fault.message.is_empty(), "words"),
        (!fault.to_string().is_empty(), "a rendering"),
    ];
    let missing = checks.iter().find(|(holds, _)| !holds);
    missing.map(|(_, what)| *what)
}

/// What is wrong with how a text loads.
fn complaint(text: &str) -> Option<String> {
    let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| load(text))) else {
        return Some("it panics".to_owned());
    };
    let faults = outcome.err()?.diagnostics;
    if faults.is_empty() {
        return Some("it is refused for no reason".to_owned());
    }
    faults.iter().find_map(|fault| {
        lacking(text, fault).map(|what| format!("a fault lacks {what}: {fault:?}"))
    })
}

#[test]
fn a_damaged_policy_is_refused_at_its_place() {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for (file, whole) in WHOLE.iter().enumerate() {
            for seed in 0..MUTANTS {
                let text = damage(whole, &mut Numbers(seed));
                let complaint = complaint(&text);
                let refused = load(&text).is_err();
                tell.send((file, seed, text, complaint, refused)).unwrap();
            }
        }
    });
    let mut complaints = Vec::new();
    let mut refused = 0;
    for nth in 0..WHOLE.len() as u64 * MUTANTS {
        let (file, seed, text, complaint, bad) = told
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|err| panic!("mutant {nth} hangs or ends it all: {err}"));
        refused += u64::from(bad);
        if let Some(complaint) = complaint {
            complaints.push(format!("file {file}, seed {seed}: {complaint}\n{text}"));
        }
    }
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n----\n")
    );
    assert!(refused > MUTANTS, "only {refused} were refused");
}
