//! Requirements: what must hold for a call, as OR over keys and AND within each (R2, R4).
//!
//! Checks come in three classes by what they need: the session, then data, then look-ups. A pass
//! over all requirements is made for each class in turn, with what is not known yet left open, so
//! that a call is refused or allowed on as little as possible. The outcome depends neither on the
//! order of keys nor on when a check was tried: values combine as in Kleene's logic, where false
//! beats undetermined in a list and true beats it among keys.

use std::sync::Arc;

/// The value of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A dependency of ours failed (R4).
    Undetermined,
}

/// What a check needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The session and the wire, which are there from the start.
    Session,
    /// Data of the call.
    Data,
    /// Look-ups.
    Lookup,
}

/// A check of an operation, by its place among the operation's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

/// The most distinct checks that one operation may use.
pub const MAX_SLOTS: usize = 64;

/// One alternative of a requirement: all of its checks must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    name: Arc<str>,
    checks: Box<[(Slot, Class)]>,
    class: Class,
}

impl Key {
    /// The alternative `name`, of these checks; `None` when there are none (R3).
    #[must_use]
    pub fn new(name: Arc<str>, mut checks: Vec<(Slot, Class)>) -> Option<Self> {
        checks.sort_by_key(|(_, class)| *class);
        let class = checks.last()?.1;
        Some(Self {
            name,
            checks: checks.into(),
            class,
        })
    }

    /// Its name; that of the check where the file gave none.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its checks, those that need least first.
    pub fn checks(&self) -> impl Iterator<Item = Slot> {
        self.checks.iter().map(|(slot, _)| *slot)
    }
}

/// What must hold: one of its keys. It cannot be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    name: Arc<str>,
    keys: Box<[Key]>,
}

impl Requirement {
    /// The requirement `name`, of these keys; `None` when there are none (R3).
    #[must_use]
    pub fn new(name: Arc<str>, mut keys: Vec<Key>) -> Option<Self> {
        keys.sort_by_key(|key| key.class);
        (!keys.is_empty()).then(|| Self {
            name,
            keys: keys.into(),
        })
    }

    /// Its name in reasons, as `rule global http` or `operation delete_book`.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its keys, those that need least first.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

/// Gives the values of checks, each worked out at most once (R6).
pub trait Checks {
    /// The value of a check; `None` while what it needs is not there yet. In the pass
    /// [`Class::Lookup`] that stops the pass, so that the look-ups can be run.
    fn value(&mut self, slot: Slot) -> Option<Truth>;
}

/// Where a pass over requirements came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// All hold.
    Allow,
    /// The requirement at this place does not hold; it is the first that is known not to.
    Deny(usize),
    /// Nothing refuses, and the requirement at this place is the first undetermined one.
    Undetermined(usize),
    /// More must be known: the next class, or the look-ups of this check.
    Open(Option<Slot>),
}

/// Goes once over the requirements, with what is known up to `class`.
#[inline]
pub fn pass<'r>(
    requirements: impl IntoIterator<Item = &'r Requirement>,
    class: Class,
    checks: &mut impl Checks,
) -> Pass {
    let mut outcome = Pass::Allow;
    for (place, requirement) in requirements.into_iter().enumerate() {
        match (alternatives(requirement, class, checks), outcome) {
            (Known::Value(Truth::True), _) => {}
            (Known::Value(Truth::False), _) => return Pass::Deny(place),
            (Known::Value(Truth::Undetermined), Pass::Allow) => {
                outcome = Pass::Undetermined(place);
            }
            (Known::Value(Truth::Undetermined), _) => {}
            (Known::Missing(slot), _) => return Pass::Open(Some(slot)),
            (Known::Later, _) => outcome = Pass::Open(None),
        }
    }
    outcome
}

/// What is known of a key or requirement.
enum Known {
    Value(Truth),
    /// It takes a later class.
    Later,
    /// It takes the look-ups of this check, now.
    Missing(Slot),
}

/// OR over the keys.
fn alternatives(requirement: &Requirement, class: Class, checks: &mut impl Checks) -> Known {
    let mut later = false;
    let mut undetermined = false;
    for key in &requirement.keys {
        match conjunction(key, class, checks) {
            Known::Value(Truth::True) => return Known::Value(Truth::True),
            Known::Value(Truth::False) => {}
            Known::Value(Truth::Undetermined) => undetermined = true,
            Known::Later => later = true,
            Known::Missing(slot) => return Known::Missing(slot),
        }
    }
    match (later, undetermined) {
        (true, _) => Known::Later,
        (false, true) => Known::Value(Truth::Undetermined),
        (false, false) => Known::Value(Truth::False),
    }
}

/// AND over the checks of a key.
fn conjunction(key: &Key, class: Class, checks: &mut impl Checks) -> Known {
    let mut undetermined = false;
    for (slot, needs) in &key.checks {
        if *needs > class {
            return Known::Later;
        }
        match checks.value(*slot) {
            Some(Truth::True) => {}
            Some(Truth::False) => return Known::Value(Truth::False),
            Some(Truth::Undetermined) => undetermined = true,
            None => return Known::Missing(*slot),
        }
    }
    Known::Value(if undetermined {
        Truth::Undetermined
    } else {
        Truth::True
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks with fixed values, which count how often each was asked for its value.
    struct Fixed(Vec<Truth>, Vec<usize>);

    impl Checks for Fixed {
        fn value(&mut self, slot: Slot) -> Option<Truth> {
            self.1[usize::from(slot.0)] += 1;
            Some(self.0[usize::from(slot.0)])
        }
    }

    fn key(checks: &[(u8, Class)]) -> Key {
        Key::new(
            "key".into(),
            checks
                .iter()
                .map(|(slot, class)| (Slot(*slot), *class))
                .collect(),
        )
        .unwrap()
    }

    fn outcome(keys: Vec<Key>, values: &[Truth]) -> Pass {
        let requirement = Requirement::new("r".into(), keys).unwrap();
        let mut checks = Fixed(values.to_vec(), vec![0; values.len()]);
        pass([&requirement], Class::Lookup, &mut checks)
    }

    #[test]
    fn false_beats_undetermined_in_a_list_and_true_beats_it_among_keys() {
        use Truth::{False, True, Undetermined};
        let list = || vec![key(&[(0, Class::Lookup), (1, Class::Lookup)])];
        let keys = || vec![key(&[(0, Class::Lookup)]), key(&[(1, Class::Lookup)])];
        for (values, in_list, among_keys) in [
            ([True, True], Pass::Allow, Pass::Allow),
            ([True, False], Pass::Deny(0), Pass::Allow),
            ([Undetermined, False], Pass::Deny(0), Pass::Undetermined(0)),
            ([Undetermined, True], Pass::Undetermined(0), Pass::Allow),
            ([False, False], Pass::Deny(0), Pass::Deny(0)),
        ] {
            assert_eq!(outcome(list(), &values), in_list, "list {values:?}");
            assert_eq!(outcome(keys(), &values), among_keys, "keys {values:?}");
        }
    }

    #[test]
    fn a_known_refusal_beats_an_undetermined_requirement_before_it() {
        let first = Requirement::new("a".into(), vec![key(&[(0, Class::Lookup)])]).unwrap();
        let second = Requirement::new("b".into(), vec![key(&[(1, Class::Lookup)])]).unwrap();
        let mut checks = Fixed(vec![Truth::Undetermined, Truth::False], vec![0; 2]);
        assert_eq!(
            pass([&first, &second], Class::Lookup, &mut checks),
            Pass::Deny(1)
        );
    }

    #[test]
    fn a_key_that_needs_only_the_session_saves_the_others() {
        let keys = vec![key(&[(0, Class::Lookup)]), key(&[(1, Class::Session)])];
        let requirement = Requirement::new("r".into(), keys).unwrap();
        let mut checks = Fixed(vec![Truth::True; 2], vec![0; 2]);
        assert_eq!(
            pass([&requirement], Class::Session, &mut checks),
            Pass::Allow
        );
        assert_eq!(checks.1, [0, 1]);
    }

    #[test]
    fn an_empty_key_or_requirement_cannot_be_built() {
        assert_eq!(Key::new("k".into(), vec![]), None);
        assert_eq!(Requirement::new("r".into(), vec![]), None);
    }
}
