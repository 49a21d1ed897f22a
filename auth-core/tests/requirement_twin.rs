//! Requirement evaluation against a slow, obvious twin: random files and calls, no difference
//! (SECURITY A-01, F-02).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use auth_core::requirement::{Checks, Class, Key, Pass, Requirement, Slot, Truth, pass};

/// How many random files are tried; `SIDEGATE_TWIN_CASES` overrides it.
const CASES: usize = 100_000;

/// A small generator (SplitMix64), so that a failing case can be named by its number.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }
}

/// A file and a call as the twin sees them: lists of lists of check numbers, and their values.
struct Case {
    classes: Vec<Class>,
    values: Vec<Truth>,
    requirements: Vec<Vec<Vec<usize>>>,
}

fn case(numbers: &mut Numbers) -> Case {
    let checks = 1 + numbers.below(6);
    let classes: Vec<_> = (0..checks)
        .map(|_| [Class::Session, Class::Data, Class::Lookup][numbers.below(3)])
        .collect();
    let values = classes
        .iter()
        .map(|class| match (numbers.below(5), class) {
            (0, Class::Lookup) => Truth::Undetermined,
            (n, _) if n % 2 == 0 => Truth::True,
            _ => Truth::False,
        })
        .collect();
    let list = |numbers: &mut Numbers| {
        (0..1 + numbers.below(3))
            .map(|_| numbers.below(checks))
            .collect::<Vec<_>>()
    };
    let requirements = (0..1 + numbers.below(4))
        .map(|_| (0..1 + numbers.below(3)).map(|_| list(numbers)).collect())
        .collect();
    Case {
        classes,
        values,
        requirements,
    }
}

/// The twin: three-valued tables over everything, class by class, with nothing left out.
fn twin(case: &Case) -> Pass {
    for class in [Class::Session, Class::Data, Class::Lookup] {
        // `None` is "not known yet".
        let known = |check: &usize| (case.classes[*check] <= class).then(|| case.values[*check]);
        let key = |list: &Vec<usize>| combine(list.iter().map(known).collect(), Truth::False);
        let values: Vec<Option<Truth>> = case
            .requirements
            .iter()
            .map(|keys| combine(keys.iter().map(key).collect(), Truth::True))
            .collect();
        if let Some(place) = values.iter().position(|value| *value == Some(Truth::False)) {
            return Pass::Deny(place);
        }
        if values.iter().all(|value| *value == Some(Truth::True)) {
            return Pass::Allow;
        }
        if class == Class::Lookup {
            let place = values
                .iter()
                .position(|value| *value == Some(Truth::Undetermined));
            return Pass::Undetermined(place.unwrap());
        }
    }
    unreachable!("the last class decides")
}

/// Kleene: `strong` wins outright; then what is not known, then undetermined, then the other.
fn combine(values: Vec<Option<Truth>>, strong: Truth) -> Option<Truth> {
    if values.contains(&Some(strong)) {
        Some(strong)
    } else if values.contains(&None) {
        None
    } else if values.contains(&Some(Truth::Undetermined)) {
        Some(Truth::Undetermined)
    } else {
        Some(if strong == Truth::True {
            Truth::False
        } else {
            Truth::True
        })
    }
}

/// The checks of a case: look-ups are there only after they were run.
struct Lazy<'a> {
    case: &'a Case,
    looked_up: Vec<bool>,
}

impl Checks for Lazy<'_> {
    fn value(&mut self, slot: Slot) -> Option<Truth> {
        let check = usize::from(slot.0);
        let there = self.case.classes[check] != Class::Lookup || self.looked_up[check];
        there.then(|| self.case.values[check])
    }
}

fn ours(case: &Case) -> Pass {
    let slot = |check: &usize| (Slot(u8::try_from(*check).unwrap()), case.classes[*check]);
    let key = |list: &Vec<usize>| Key::new("k".into(), list.iter().map(slot).collect()).unwrap();
    let requirements: Vec<_> = case
        .requirements
        .iter()
        .map(|keys| Requirement::new("r".into(), keys.iter().map(key).collect()).unwrap())
        .collect();
    let mut checks = Lazy {
        case,
        looked_up: vec![false; case.values.len()],
    };
    let mut class = Class::Session;
    loop {
        match pass(&requirements, class, &mut checks) {
            Pass::Open(Some(slot)) => {
                let check = usize::from(slot.0);
                assert!(!checks.looked_up[check], "a look-up is run once");
                checks.looked_up[check] = true;
            }
            Pass::Open(None) if class == Class::Session => class = Class::Data,
            Pass::Open(None) => class = Class::Lookup,
            done => return done,
        }
    }
}

#[test]
fn the_engine_and_its_twin_agree() {
    let cases =
        std::env::var("SIDEGATE_TWIN_CASES").map_or(CASES, |number| number.parse().unwrap());
    let mut outcomes = [0_usize; 3];
    for seed in 0..cases {
        let case = case(&mut Numbers(seed as u64));
        let (ours, twin) = (ours(&case), twin(&case));
        assert_eq!(ours, twin, "case {seed}");
        outcomes[match ours {
            Pass::Allow => 0,
            Pass::Deny(_) => 1,
            _ => 2,
        }] += 1;
    }
    // The cases would prove nothing if they all came out alike.
    assert!(
        outcomes.iter().all(|count| *count > cases / 100),
        "{outcomes:?}"
    );
}
