//! What a run saw: a run that saw little would prove little.

use std::{collections::BTreeMap, fmt};

use super::{
    expression::Expression,
    model::{Body, Check, File, Operation, Place, Requirement, Rule, Selector},
};

/// How often each thing was seen: outcomes and reasons by call, features by file that has them.
#[derive(Debug, Default)]
pub struct Tally {
    pub files: usize,
    pub calls: usize,
    pub outcomes: BTreeMap<&'static str, usize>,
    pub reasons: BTreeMap<&'static str, usize>,
    pub features: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts a file.
    pub fn file(&mut self, file: &File) {
        self.files += 1;
        let mut features = features(file);
        features.sort();
        features.dedup();
        for feature in features {
            *self.features.entry(feature).or_default() += 1;
        }
    }

    /// Counts an answer.
    pub fn answer(&mut self, outcome: &'static str, reason: &'static str) {
        self.calls += 1;
        *self.outcomes.entry(outcome).or_default() += 1;
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// Both together.
    pub fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.calls += other.calls;
        for (name, count) in other.outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
        for (name, count) in other.reasons {
            *self.reasons.entry(name).or_default() += count;
        }
        for (name, count) in other.features {
            *self.features.entry(name).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} files, {} calls", self.files, self.calls)?;
        writeln!(f, "outcomes: {:?}", self.outcomes)?;
        writeln!(f, "{} reasons: {:?}", self.reasons.len(), self.reasons)?;
        write!(f, "{} features: {:?}", self.features.len(), self.features)
    }
}

/// The features that a file has, each as often as it has it.
fn features(file: &File) -> Vec<String> {
    let mut found = vec![match file.apps.len() {
        1 => "one app".to_owned(),
        _ => "several apps".to_owned(),
    }];
    match &file.strategies {
        None => found.push("default strategies".into()),
        Some(all) => found.extend(all.iter().map(|strategy| {
            let place = match strategy.place {
                Place::Bearer => "bearer",
                Place::Cookie => "cookie",
                Place::Envelope => "native",
            };
            format!("{place} scopes {}", strategy.scopes)
        })),
    }
    let rules = |rules: &[Rule]| rules.iter().flat_map(of_rule).collect::<Vec<_>>();
    let checks = |checks: &[Check]| checks.iter().flat_map(of_check).collect::<Vec<_>>();
    found.extend(rules(&file.rules));
    found.extend(checks(&file.checks));
    for app in &file.apps {
        found.extend(rules(&app.rules));
        found.extend(checks(&app.checks));
        found.extend(app.operations.iter().flat_map(of_operation));
        if app.hosts.iter().any(|host| host.starts_with('*')) {
            found.push("wildcard host".into());
        }
    }
    found
}

fn of_requirement(requirement: &Requirement) -> String {
    match requirement {
        Requirement::One(_) => "require",
        Requirement::All(_) => "require_all",
        Requirement::Any(_) => "require_any",
    }
    .into()
}

fn of_rule(rule: &Rule) -> Vec<String> {
    let selector = match &rule.selector {
        Selector::Global(None) => "rule on all",
        Selector::Global(Some(_)) => "rule on a wire",
        Selector::Prefix(_) => "rule on a prefix",
        Selector::Tag(_) => "rule on a tag",
    };
    let mut found = vec![selector.to_owned()];
    found.extend(rule.requirement.as_ref().map(of_requirement));
    if !rule.scopes.is_empty() {
        found.push("scopes of a rule".into());
    }
    if rule.wire_only {
        found.push("wire_only".into());
    }
    found
}

fn of_check(check: &Check) -> Vec<String> {
    let mut found = vec![];
    match &check.body {
        Body::Native(name) => found.push(format!("native {name}")),
        Body::Expression(expression) => of_expression(expression, &mut found),
        Body::Lookup(rows, when) => {
            found.push(format!("lookup of {}", rows.len()));
            of_expression(when, &mut found);
        }
    }
    found
}

fn of_expression(expression: &Expression, found: &mut Vec<String>) {
    use Expression as E;
    let name = match expression {
        E::Constant(_) => "constant",
        E::Not(one) => {
            of_expression(one, found);
            "not"
        }
        E::And(one, other) | E::Or(one, other) => {
            of_expression(one, found);
            of_expression(other, found);
            match expression {
                E::And(..) => "and",
                _ => "or",
            }
        }
        E::Has(_) => "has",
        E::Plain(_) => "plain",
        E::IsNull(..) => "is null",
        E::Same(..) => "same",
        E::TextIs(..) => "text is",
        E::NumberIs(_, sign, _) => sign,
        E::OneOf(..) => "one of",
        E::Holds(..) => "holds",
        E::Exists(..) => "exists",
        E::Size(..) => "size",
        E::StartsWith(..) => "starts with",
    };
    found.push(format!("expression {name}"));
}

fn of_operation(operation: &Operation) -> Vec<String> {
    let mut found = vec![format!("session {}", operation.session)];
    found.extend(operation.requirement.as_ref().map(of_requirement));
    found.extend(
        operation
            .targets
            .iter()
            .map(|(kind, _)| format!("{kind} target")),
    );
    let pattern = |part: &str| {
        operation
            .targets
            .iter()
            .any(|(_, target)| target.contains(part))
    };
    let sources = operation.sources.iter().flatten();
    let places = sources.filter_map(|source| source.split('.').next());
    found.extend(places.map(|place| format!("data in {place}")));
    let others = [
        ("tags", !operation.tags.is_empty()),
        ("scopes of an operation", !operation.scopes.is_empty()),
        ("actors", operation.admits_actors),
        ("path parameter", pattern("{")),
        ("path rest", pattern("/**")),
        ("any method", pattern("ANY ")),
    ];
    found.extend(
        others
            .into_iter()
            .filter(|(_, has)| *has)
            .map(|(name, _)| name.to_owned()),
    );
    found
}
