//! R2, R4: requirements, one class of knowledge after the other.

use auth_core::{decision::ReasonCode, outcome::Outcome};
use serde_json::Value;

use super::{
    facts::{Facts, reads_session},
    model::{Body, Check},
    twin::{Hearing, Ruling},
    world::Stated,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Undetermined,
}

/// What must be known for a check (R2): nothing of the call, its data, a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Session,
    Data,
    Lookup,
}

impl Hearing<'_> {
    /// R2: what the session says goes before what data says before look-ups.
    pub fn requirements(
        &self,
        session: Option<&Stated>,
        carries: &str,
        is_signed_in: bool,
    ) -> Ruling {
        let mut all: Vec<(String, Vec<Vec<String>>)> = vec![];
        for rule in self.rules() {
            if let Some(requirement) = &rule.requirement {
                all.push((rule.name(), requirement.keys()));
            }
        }
        if let Some(requirement) = &self.operation.requirement {
            all.push((
                format!("operation {}", self.operation.name),
                requirement.keys(),
            ));
        }
        let mut data = Ok([Value::Null, Value::Null, Value::Null]);
        for class in [Class::Session, Class::Data, Class::Lookup] {
            if class == Class::Data {
                data = self.data();
            }
            let Ok(data) = &data else {
                return Ruling::new(Outcome::Invalid, ReasonCode::DataInvalid);
            };
            let facts = Facts {
                hearing: self,
                session,
                carries,
                data,
            };
            let truth = |name: &String| {
                let check = self.check(name);
                (class_of(check) <= class).then(|| facts.truth(check))
            };
            let key = |key: &Vec<String>| {
                combine(&key.iter().map(truth).collect::<Vec<_>>(), Truth::False)
            };
            let values: Vec<_> = all
                .iter()
                .map(|(_, keys)| combine(&keys.iter().map(key).collect::<Vec<_>>(), Truth::True))
                .collect();
            let first = |truth| values.iter().position(|value| *value == Some(truth));
            let named = |place: usize, outcome, code, truth_of_checks: Truth| {
                let (name, keys): &(String, Vec<Vec<String>>) = &all[place];
                let checks = keys.iter().flatten();
                let checks =
                    checks.filter(|check| facts.truth(self.check(check)) == truth_of_checks);
                Ruling {
                    requirement: Some(name.clone()),
                    checks: checks.cloned().collect(),
                    ..Ruling::new(outcome, code)
                }
            };
            if let Some(place) = first(Truth::False) {
                let mut checks = all[place].1.iter().flatten();
                let reads = checks.any(|check| reads_session(self.check(check)));
                return match reads && !is_signed_in {
                    // R7.
                    true => named(
                        place,
                        Outcome::Unauthenticated,
                        ReasonCode::SessionRequired,
                        Truth::False,
                    ),
                    false => named(
                        place,
                        Outcome::Deny,
                        ReasonCode::RequirementFailed,
                        Truth::False,
                    ),
                };
            }
            if values.contains(&None) {
                continue;
            }
            return match first(Truth::Undetermined) {
                Some(place) => {
                    let (outcome, code) = (Outcome::Undetermined, ReasonCode::LookupFailed);
                    named(place, outcome, code, Truth::Undetermined)
                }
                None => Ruling::new(Outcome::Allow, ReasonCode::Allowed),
            };
        }
        unreachable!("after the last class everything is known")
    }
}

/// R4: `strong` wins outright; then what is not known yet, then undetermined.
fn combine(values: &[Option<Truth>], strong: Truth) -> Option<Truth> {
    let weak = match strong {
        Truth::True => Truth::False,
        _ => Truth::True,
    };
    for value in [Some(strong), None, Some(Truth::Undetermined)] {
        if values.contains(&value) {
            return value;
        }
    }
    Some(weak)
}

fn class_of(check: &Check) -> Class {
    match &check.body {
        Body::Lookup(..) => Class::Lookup,
        Body::Native(_) => Class::Data,
        Body::Expression(expression) => {
            match expression.names().iter().any(|(name, _)| name.is_data()) {
                true => Class::Data,
                false => Class::Session,
            }
        }
    }
}
