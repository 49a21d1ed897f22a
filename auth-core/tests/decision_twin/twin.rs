//! The rules of the design, evaluated slowly: every route, rule and check is looked at, one after
//! the other. Rule numbers are those of the design. Nothing here calls the code under test but for
//! the names of wires, outcomes and reasons.

use std::collections::BTreeSet;

use auth_core::{decision::ReasonCode, outcome::Outcome, wire::WireKind};
use serde_json::{Value, json};

use super::{
    calls::{Asked, Shown},
    expression::{Expression, Fault, Kind, Name, fits},
    model::{App, Body, Check, FIELDS, File, Operation, Place, Rule, Selector},
    world::{self, Found, Stated},
};

/// What the rules say about a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    pub outcome: Outcome,
    pub code: ReasonCode,
    pub operation: Option<String>,
    /// The requirement that a refusal names.
    pub requirement: Option<String>,
    /// All checks of that requirement that came to what the ruling says.
    pub checks: BTreeSet<String>,
    /// All scopes, where one is missing.
    pub scopes: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Undetermined,
}

/// What must be known for a check (R2): nothing of the call, its data, a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Session,
    Data,
    Lookup,
}

impl Ruling {
    fn new(outcome: Outcome, code: ReasonCode) -> Self {
        Self {
            outcome,
            code,
            operation: None,
            requirement: None,
            checks: BTreeSet::new(),
            scopes: BTreeSet::new(),
        }
    }
}

/// Decides a call.
pub fn decide(file: &File, sessions: &[Stated], asked: &Asked) -> Ruling {
    let unknown = || Ruling::new(Outcome::Deny, ReasonCode::UnknownOperation);
    let invalid = || Ruling::new(Outcome::Invalid, ReasonCode::TargetInvalid);
    let app = match app(file, asked.host) {
        Ok(Some(app)) => app,
        Ok(None) => return unknown(),
        Err(()) => return invalid(),
    };
    let Some(path) = canonical(&asked.kind, &asked.target) else {
        return invalid();
    };
    let Some((operation, target)) = reached(app, asked, &path) else {
        return unknown();
    };
    let hearing = Hearing {
        file,
        app,
        operation,
        target,
        path,
        asked,
    };
    let mut ruling = hearing.decide(sessions);
    ruling.operation = Some(operation.name.clone());
    ruling
}

/// The app of a host: by name, then by the longest wildcard, then the app of every other host.
fn app<'f>(file: &'f File, host: &str) -> Result<Option<&'f App>, ()> {
    let fallback = file.apps.iter().find(|app| app.hosts.is_empty());
    if host.is_empty() {
        return Ok(match &*file.apps {
            [only] => Some(only),
            _ => fallback,
        });
    }
    if host.contains(' ') {
        return Err(());
    }
    let host = host.to_lowercase();
    let host = host
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let named = |app: &&App| app.hosts.contains(&host);
    let below = |app: &&App| {
        let wildcards = app.hosts.iter().filter_map(|host| host.strip_prefix('*'));
        wildcards
            .into_iter()
            .any(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
    };
    Ok(file
        .apps
        .iter()
        .find(named)
        .or(file.apps.iter().find(below))
        .or(fallback))
}

/// The canonical path or name; `None` when it is malformed or ambiguous.
fn canonical(kind: &WireKind, target: &str) -> Option<String> {
    match kind {
        WireKind::Http => {
            let path = target.split('?').next()?;
            let strange = ["//", "%2f", "%2e"].iter().any(|part| path.contains(part));
            let dots = path
                .split('/')
                .any(|segment| segment == "." || segment == "..");
            (path.starts_with('/') && !strange && !dots).then(|| path.replace("%61", "a"))
        }
        WireKind::Grpc => {
            let parts: Vec<_> = target.split('/').collect();
            let word = |part: &str| {
                let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let digit = |c: char| c.is_ascii_digit();
                part.split('.').all(|part| {
                    !part.is_empty() && !part.starts_with(digit) && part.chars().all(letter)
                })
            };
            match &*parts {
                ["", service, method] if word(service) && word(method) => Some(target.into()),
                _ => None,
            }
        }
        _ => (!target.is_empty() && target.trim() == target).then(|| target.into()),
    }
}

/// The operation of a target, and the target as the file has it.
fn reached<'f>(app: &'f App, asked: &Asked, path: &str) -> Option<(&'f Operation, &'f str)> {
    let mut found = vec![];
    for operation in &app.operations {
        for (kind, target) in &operation.targets {
            let matches = *kind == asked.kind
                && match kind {
                    WireKind::Http => {
                        let (method, pattern) = target.split_once(' ')?;
                        (method == "ANY" || method == asked.method) && matches(pattern, path)
                    }
                    WireKind::Grpc => format!("/{target}") == path,
                    _ => target == path,
                };
            if matches {
                found.push((operation, &**target));
            }
        }
    }
    // The most specific wins: from the left, a literal before one segment before the rest; on equal
    // patterns a method before any.
    found.sort_by_key(|(_, target)| {
        let (method, pattern) = target.split_once(' ').unwrap_or_default();
        let ranks = segments(pattern).into_iter().map(|segment| match segment {
            "**" => 2,
            "*" => 1,
            segment if segment.starts_with('{') => 1,
            _ => 0,
        });
        (ranks.collect::<Vec<_>>(), method == "ANY")
    });
    found.first().copied()
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').skip(1).collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (segments(pattern), segments(path));
    if let Some((&"**", front)) = pattern.split_last() {
        return path.len() >= front.len() && all_match(front, &path[..front.len()]);
    }
    pattern.len() == path.len() && all_match(&pattern, &path)
}

fn all_match(pattern: &[&str], path: &[&str]) -> bool {
    pattern
        .iter()
        .zip(path)
        .all(|(pattern, part)| match *pattern {
            pattern if pattern == "*" || pattern.starts_with('{') => !part.is_empty(),
            literal => literal == *part,
        })
}

/// The path of a prefix, however it is written; empty for the root.
fn root(prefix: &str) -> &str {
    let prefix = prefix.trim_end_matches('*');
    prefix.trim_end_matches('/')
}

fn is_below(prefix: &str, path: &str) -> bool {
    let root = root(prefix);
    path == root || path.starts_with(&format!("{root}/"))
}

/// How many of a target's paths are below a prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Covered {
    All,
    Some,
    None,
}

fn covered(prefix: &str, pattern: &str) -> Covered {
    let pattern = segments(pattern);
    let mut covered = Covered::All;
    for (at, wanted) in segments(root(prefix)).into_iter().enumerate() {
        match pattern.get(at).copied() {
            Some("**") => return Covered::Some,
            Some(segment) if segment == "*" || segment.starts_with('{') => covered = Covered::Some,
            Some(segment) if segment == wanted => {}
            _ => return Covered::None,
        }
    }
    covered
}

/// A call that reached an operation.
struct Hearing<'f> {
    file: &'f File,
    app: &'f App,
    operation: &'f Operation,
    target: &'f str,
    path: String,
    asked: &'f Asked,
}

/// What a presented credential came to.
enum Known<'f> {
    Nobody,
    Rejected,
    Outage,
    Session(&'f Stated, &'static str),
}

impl<'f> Hearing<'f> {
    fn decide(&self, sessions: &'f [Stated]) -> Ruling {
        let operation = self.operation;
        let known = match operation.session {
            // R7: no store is touched.
            "none" => Known::Nobody,
            _ => match self.known(sessions) {
                Ok(known) => known,
                Err(()) => return Ruling::new(Outcome::Invalid, ReasonCode::CredentialConflict),
            },
        };
        let required = operation.session == "required";
        let (session, carries) = match known {
            Known::Outage => {
                return Ruling::new(Outcome::Undetermined, ReasonCode::IssuerUnavailable);
            }
            // R9: anonymous where that is allowed.
            Known::Rejected if required => {
                return Ruling::new(Outcome::Unauthenticated, ReasonCode::CredentialRejected);
            }
            Known::Rejected | Known::Nobody => (None, "none"),
            Known::Session(session, carries) => (Some(session), carries),
        };
        let is_signed_in = session.is_some_and(|session| session.subject.is_some());
        let no_session = || Ruling::new(Outcome::Unauthenticated, ReasonCode::SessionRequired);
        if required && !is_signed_in {
            return no_session();
        }
        // R23.
        if session.is_some_and(|session| session.has_actor) && !operation.admits_actors {
            return Ruling::new(Outcome::Deny, ReasonCode::ActorRefused);
        }
        // R21.
        let needed = self.scopes();
        let granted = |needed: &String| match (session, carries) {
            (Some(_), "all") => true,
            (Some(session), "from_session") => {
                session.scopes.iter().any(|granted| covers(granted, needed))
            }
            _ => false,
        };
        if !needed.iter().all(granted) {
            return match is_signed_in {
                true => Ruling {
                    scopes: needed,
                    ..Ruling::new(Outcome::Deny, ReasonCode::InsufficientScope)
                },
                false => no_session(),
            };
        }
        self.requirements(session, carries, is_signed_in)
    }

    /// R8: explicit credentials before ambient ones; two of them are an error.
    fn known(&self, sessions: &'f [Stated]) -> Result<Known<'f>, ()> {
        let asked = self.asked;
        // Where the file is silent, session tokens are taken as bearer tokens and cookies.
        let carried = |place| match &self.file.strategies {
            None => (place != Place::Envelope).then_some("from_session"),
            Some(all) => {
                let own = all.iter().find(|strategy| strategy.place == place);
                own.map(|strategy| strategy.scopes)
            }
        };
        let mut explicit = vec![];
        for (place, shown) in [
            (Place::Bearer, asked.bearers.clone()),
            (Place::Envelope, asked.envelope.into_iter().collect()),
        ] {
            if let Some(carries) = carried(place) {
                explicit.extend(shown.into_iter().map(|shown| (shown, carries)));
            }
        }
        let ambient: Vec<_> = match carried(Place::Cookie) {
            Some(carries) => asked
                .cookies
                .iter()
                .map(|shown| (*shown, carries))
                .collect(),
            None => vec![],
        };
        let decisive = if explicit.is_empty() {
            ambient
        } else {
            explicit
        };
        Ok(match &*decisive {
            [] => Known::Nobody,
            [(Shown::Down, _)] => Known::Outage,
            [(Shown::Of(number), carries)] if *number < world::LIVE => {
                Known::Session(&sessions[*number], carries)
            }
            // The envelope knows no end of sessions.
            [(Shown::Of(number), carries)]
                if asked.cookies.is_empty() && asked.bearers.is_empty() =>
            {
                match sessions.get(*number) {
                    Some(session) => Known::Session(session, carries),
                    None => Known::Rejected,
                }
            }
            [_] => Known::Rejected,
            _ => return Err(()),
        })
    }

    /// R1: the rules that hold on this call, in the order in which refusals are named (R2).
    fn rules(&self) -> Vec<&'f Rule> {
        let all = self.file.rules.iter().chain(&self.app.rules);
        let mut holding: Vec<_> = all.filter(|rule| self.holds(rule)).collect();
        holding.sort_by_key(|rule| match &rule.selector {
            Selector::Global(_) => (0, 0),
            Selector::Prefix(prefix) => (1, segments(root(prefix)).len()),
            Selector::Tag(_) => (2, 0),
        });
        holding
    }

    fn holds(&self, rule: &Rule) -> bool {
        let targets = &self.operation.targets;
        match &rule.selector {
            Selector::Global(None) => true,
            Selector::Global(Some(kind)) if rule.wire_only => *kind == self.asked.kind,
            Selector::Global(Some(kind)) => targets.iter().any(|(own, _)| own == kind),
            Selector::Tag(tag) => self.operation.tags.contains(tag),
            Selector::Prefix(prefix) => self.is_covered(prefix, rule.wire_only),
        }
    }

    /// Whether a prefix covers the call: by its own path, or because it covers another wire of the
    /// operation. A target of which only some paths are below tells by the path of the call; where
    /// that has none, or another path of the operation is elsewhere, all is covered.
    fn is_covered(&self, prefix: &str, wire_only: bool) -> bool {
        let has_path = matches!(self.asked.kind, WireKind::Http | WireKind::Grpc);
        if has_path && is_below(prefix, &self.path) {
            return true;
        }
        if wire_only {
            return false;
        }
        let of_kind = |wanted: WireKind| {
            let own = self.operation.targets.iter();
            own.filter(move |(kind, _)| *kind == wanted)
        };
        let mut http = of_kind(WireKind::Http)
            .filter_map(|(_, target)| Some(covered(prefix, target.split_once(' ')?.1)));
        let http: Vec<_> = http.by_ref().collect();
        let grpc =
            of_kind(WireKind::Grpc).any(|(_, target)| is_below(prefix, &format!("/{target}")));
        if grpc || http.contains(&Covered::All) {
            return true;
        }
        http.contains(&Covered::Some)
            && (self.asked.kind != WireKind::Http || http.contains(&Covered::None))
    }

    fn scopes(&self) -> BTreeSet<String> {
        let of_rules = self.rules().into_iter().flat_map(|rule| rule.scopes.iter());
        of_rules
            .chain(&self.operation.scopes)
            .map(ToString::to_string)
            .collect()
    }

    fn check(&self, name: &str) -> &'f Check {
        let mut all = self.file.checks.iter().chain(&self.app.checks);
        all.find(|check| check.name == name).unwrap()
    }

    /// R2: what the session says goes before what data says before look-ups.
    fn requirements(&self, session: Option<&Stated>, carries: &str, is_signed_in: bool) -> Ruling {
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

    /// R24: the declared data; `Err` when it is malformed, given twice or in conflict.
    fn data(&self) -> Result<[Value; 3], ()> {
        let asked = self.asked;
        let body = match &asked.data {
            None => serde_json::Map::new(),
            Some(Value::Object(object)) => object.clone(),
            Some(_) => return Err(()),
        };
        let mut values = [Value::Null, Value::Null, Value::Null];
        for (at, (name, kind, _)) in FIELDS.into_iter().enumerate() {
            let stated = body.get(name).cloned();
            let in_target = match (&asked.kind, self.operation.sources[at].as_deref()) {
                (WireKind::Http, Some(source)) if source.starts_with("query.") => {
                    self.query(name)?
                }
                (WireKind::Http, Some(source)) if source.starts_with("body.") => None,
                (WireKind::Http, _) => self.parameter(name),
                _ => None,
            };
            let in_target = in_target.map(|text| read(&text, kind));
            values[at] = match (in_target, stated) {
                (Some(one), Some(other)) if one != other => return Err(()),
                (one, other) => one.or(other).unwrap_or(Value::Null),
            };
        }
        Ok(values)
    }

    fn query(&self, name: &str) -> Result<Option<String>, ()> {
        let query = self
            .asked
            .target
            .split_once('?')
            .map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let values: Vec<_> = pairs.filter(|(own, _)| *own == name).collect();
        match &*values {
            [] => Ok(None),
            [(_, value)] => Ok(Some((*value).to_owned())),
            _ => Err(()),
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let pattern = segments(self.target.split_once(' ')?.1);
        let at = pattern
            .iter()
            .position(|segment| *segment == format!("{{{name}}}"))?;
        Some(segments(&self.path)[at].to_owned())
    }
}

/// R21: a scope covers itself and its children.
fn covers(granted: &str, needed: &str) -> bool {
    let parent = granted.strip_suffix(":*").unwrap_or(granted);
    granted == needed || needed.starts_with(&format!("{parent}:"))
}

/// The text of a path or query as the declared type; what does not fit stays text.
fn read(text: &str, kind: Kind) -> Value {
    match (kind, text.parse::<i64>(), text) {
        (Kind::Int, Ok(number), text) if number.to_string() == text => json!(number),
        (Kind::Bool, _, "true") => json!(true),
        (Kind::Bool, _, "false") => json!(false),
        _ => json!(text),
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

fn reads_session(check: &Check) -> bool {
    let reads = |expression: &Expression| {
        let names = expression.names();
        names.iter().any(|(name, _)| name.is_session())
    };
    match &check.body {
        Body::Native(name) => *name == "told_of_session",
        Body::Expression(expression) => reads(expression),
        Body::Lookup(rows, when) => reads(when) || rows.iter().any(|(_, arg)| arg.is_session()),
    }
}

/// R5: whether a check reads the session and guards it nowhere. A look-up is never guarded.
fn needs_session(check: &Check) -> bool {
    let needs = |expression: &Expression| {
        let names = expression.names();
        let mut session = names
            .iter()
            .filter(|(name, _)| name.is_session())
            .peekable();
        session.peek().is_some() && !session.any(|(_, by_has)| *by_has)
    };
    match &check.body {
        Body::Native(name) => *name == "told_of_session",
        Body::Expression(expression) => needs(expression),
        Body::Lookup(rows, when) => needs(when) || rows.iter().any(|(_, arg)| arg.is_session()),
    }
}

/// What checks read.
struct Facts<'a> {
    hearing: &'a Hearing<'a>,
    session: Option<&'a Stated>,
    carries: &'a str,
    data: &'a [Value; 3],
}

impl Facts<'_> {
    fn truth(&self, check: &Check) -> Truth {
        if needs_session(check) && self.session.is_none() {
            return Truth::False;
        }
        let value = match &check.body {
            Body::Native(_) => match self.hearing.asked.told {
                "down" => Err(Fault::Outage),
                told => Ok(told == "yes"),
            },
            Body::Expression(expression) => expression.value(&|name| self.value(name, &[])),
            Body::Lookup(rows, when) => {
                let look_up = |(table, arg): &(&str, Name)| {
                    let arg_value = self.value(*arg, &[])?;
                    match fits(&arg_value, arg.kind()) {
                        true => Ok(world::row(table, arg_value.as_str())),
                        false => Err(Fault::Wrong),
                    }
                };
                let rows: Result<Vec<Found>, Fault> = rows.iter().map(look_up).collect();
                rows.and_then(|rows| when.value(&|name| self.value(name, &rows)))
            }
        };
        match value {
            Ok(true) => Truth::True,
            Ok(false) | Err(Fault::Wrong) => Truth::False,
            Err(Fault::Outage) => Truth::Undetermined,
        }
    }

    fn value(&self, name: Name, rows: &[Found]) -> Result<Value, Fault> {
        let asked = self.hearing.asked;
        let session = || self.session.ok_or(Fault::Wrong);
        let claim = |name: &str| Ok(session()?.claims.get(name).cloned().unwrap_or_default());
        let row = |at: usize| rows[at].map_err(|()| Fault::Outage);
        Ok(match name {
            // R23: the subject is set only for the default namespace, the principal always.
            Name::Subject => match session()?.subject {
                Some(("local", id)) => json!(id),
                _ => Value::Null,
            },
            Name::Principal => match session()?.subject {
                Some((space, id)) => json!(format!("{space}/{id}")),
                None => Value::Null,
            },
            Name::Role => claim("role")?,
            Name::Level => claim("level")?,
            Name::Groups => claim("groups")?,
            Name::Vip => claim("vip")?,
            Name::Theme => session()?
                .attributes
                .get("theme")
                .cloned()
                .unwrap_or_default(),
            Name::Scopes => match (session()?, self.carries) {
                (_, "none") => json!([]),
                (session, _) => json!(session.scopes),
            },
            Name::Id => self.data[0].clone(),
            Name::Number => self.data[1].clone(),
            Name::Flag => self.data[2].clone(),
            Name::WireKind => json!(asked.kind.as_str()),
            Name::WireMethod if asked.method.is_empty() => Value::Null,
            Name::WireMethod => json!(asked.method),
            Name::WirePath => json!(self.hearing.path),
            Name::Owner(at) => json!(row(at)?.and_then(|(owner, _)| owner)),
            Name::Count(at) => json!(row(at)?.and_then(|(_, count)| count)),
        })
    }
}
