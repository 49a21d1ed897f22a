//! A policy file as data, and its text.

use std::fmt::Write as _;

use auth_core::wire::WireKind;

use super::expression::{Expression, Kind, Name};

/// A whole policy: a main file and its apps. One app alone stands in the main file itself.
#[derive(Clone, Debug)]
pub struct File {
    /// In declared order; `None` leaves the defaults.
    pub strategies: Option<Vec<Strategy>>,
    /// What the main file attaches, in all apps.
    pub rules: Vec<Rule>,
    /// Checks of the main file, for all apps.
    pub checks: Vec<Check>,
    pub apps: Vec<App>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Bearer,
    Cookie,
    /// The strategy that the test registers.
    Envelope,
}

#[derive(Clone, Copy, Debug)]
pub struct Strategy {
    pub place: Place,
    /// `all`, `none` or `from_session`.
    pub scopes: &'static str,
}

#[derive(Clone, Debug)]
pub struct App {
    pub name: String,
    /// None takes every other host.
    pub hosts: Vec<&'static str>,
    /// What its own file attaches; empty where the app stands in the main file.
    pub rules: Vec<Rule>,
    pub checks: Vec<Check>,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub struct Check {
    pub name: String,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Expression(Expression),
    /// Each row by its table and what is looked up.
    Lookup(Vec<(&'static str, Name)>, Expression),
    /// The check that the test registered under this name.
    Native(&'static str),
}

#[derive(Clone, Debug)]
pub enum Requirement {
    One(String),
    All(Vec<String>),
    Any(Vec<(&'static str, Vec<String>)>),
}

#[derive(Clone, Debug)]
pub enum Selector {
    /// `None` is all wires.
    Global(Option<WireKind>),
    Prefix(String),
    Tag(&'static str),
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub selector: Selector,
    pub requirement: Option<Requirement>,
    pub scopes: Vec<&'static str>,
    pub wire_only: bool,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub name: String,
    /// `required`, `optional` or `none`.
    pub session: &'static str,
    pub tags: Vec<&'static str>,
    pub requirement: Option<Requirement>,
    pub scopes: Vec<&'static str>,
    pub admits_actors: bool,
    /// Where HTTP has each field of [`FIELDS`], where that is said.
    pub sources: [Option<String>; 3],
    /// Targets as the file has them.
    pub targets: Vec<(WireKind, String)>,
}

/// The data that every operation declares.
pub const FIELDS: [(&str, Kind, Name); 3] = [
    ("id", Kind::Text, Name::Id),
    ("n", Kind::Int, Name::Number),
    ("flag", Kind::Bool, Name::Flag),
];

impl Requirement {
    /// Keys and what each asks for.
    pub fn keys(&self) -> Vec<Vec<String>> {
        match self {
            Self::One(check) => vec![vec![check.clone()]],
            Self::All(checks) => vec![checks.clone()],
            Self::Any(keys) => keys.iter().map(|(_, checks)| checks.clone()).collect(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::One(check) => format!("require: {check}"),
            Self::All(checks) => format!("require_all: [ {} ]", checks.join(", ")),
            Self::Any(keys) => {
                let keys = keys.iter().map(|(key, checks)| match &**checks {
                    [check] => format!("{key}: {check}"),
                    checks => format!("{key}: [ {} ]", checks.join(", ")),
                });
                let keys: Vec<_> = keys.collect();
                format!("require_any: {{ {} }}", keys.join(", "))
            }
        }
    }
}

impl Rule {
    /// Its name in reasons.
    pub fn name(&self) -> String {
        match &self.selector {
            Selector::Global(kind) => format!("rule global {}", wire(kind.as_ref())),
            Selector::Prefix(prefix) => format!("rule prefix {prefix}"),
            Selector::Tag(tag) => format!("rule tag {tag}"),
        }
    }

    fn text(&self) -> String {
        let mut text = match &self.selector {
            Selector::Global(kind) => format!("match: {{ global: {} }}", wire(kind.as_ref())),
            Selector::Prefix(prefix) => format!("match: {{ prefix: '{prefix}' }}"),
            Selector::Tag(tag) => format!("match: {{ tag: {tag} }}"),
        };
        for part in self.requirement.iter().map(Requirement::text) {
            write!(text, ", {part}").unwrap();
        }
        if !self.scopes.is_empty() {
            write!(text, ", scopes: {:?}", self.scopes).unwrap();
        }
        if self.wire_only {
            text.push_str(", wire_only: true");
        }
        format!("  - {{ {text} }}\n")
    }
}

fn wire(kind: Option<&WireKind>) -> &str {
    kind.map_or("all", WireKind::as_str)
}

impl Check {
    fn text(&self) -> String {
        let Self { name, body } = self;
        match body {
            Body::Expression(expression) => format!("  {name}: '{}'\n", expression.text()),
            Body::Native(native) => format!("  {name}: {{ native: {native} }}\n"),
            Body::Lookup(rows, when) => {
                let mut text = format!("  {name}:\n    when: '{}'\n    lookup:\n", when.text());
                for (row, (table, arg)) in rows.iter().enumerate() {
                    let sql = format!("select owner, count from {table} where id = $1");
                    let arg = arg.text();
                    writeln!(
                        text,
                        "      row{row}: {{ source: db, sql: '{sql}', args: [ {arg} ] }}"
                    )
                    .unwrap();
                }
                text
            }
        }
    }
}

impl Operation {
    fn text(&self) -> String {
        let mut text = format!("  {}:\n", self.name);
        let mut line = |line: String| writeln!(text, "    {line}").unwrap();
        if self.session != "required" {
            line(format!("session: {}", self.session));
        }
        if !self.tags.is_empty() {
            line(format!("tags: {:?}", self.tags));
        }
        if let Some(requirement) = &self.requirement {
            line(requirement.text());
        }
        if !self.scopes.is_empty() {
            line(format!("scopes: {:?}", self.scopes));
        }
        if self.admits_actors {
            line("actors: allow".into());
        }
        line("data:".into());
        for ((name, kind, _), source) in FIELDS.iter().zip(&self.sources) {
            let kind = match kind {
                Kind::Text => "string",
                Kind::Int => "int",
                Kind::Bool => "bool",
                Kind::Texts => "list(string)",
            };
            let source = source
                .as_ref()
                .map_or(String::new(), |source| format!(", http: {source}"));
            line(format!("  {name}: {{ type: {kind}{source} }}"));
        }
        let mut kinds: Vec<_> = self.targets.iter().map(|(kind, _)| kind).collect();
        kinds.sort();
        kinds.dedup();
        for kind in kinds {
            let targets = self.targets.iter().filter(|(own, _)| own == kind);
            let targets: Vec<_> = targets.map(|(_, target)| target).collect();
            match kind {
                WireKind::Custom(name) => line(format!("custom: {{ {name}: {targets:?} }}")),
                kind => line(format!("{kind}: {targets:?}")),
            }
        }
        text
    }
}

fn section<T>(name: &str, entries: &[T], text: impl Fn(&T) -> String) -> String {
    let entries: String = entries.iter().map(text).collect();
    if entries.is_empty() {
        entries
    } else {
        format!("{name}:\n{entries}")
    }
}

impl App {
    fn text(&self) -> String {
        let mut text = format!("app: {}\n", self.name);
        if !self.hosts.is_empty() {
            writeln!(text, "hosts: {:?}", self.hosts).unwrap();
        }
        text + &section("operations", &self.operations, Operation::text)
    }
}

impl Strategy {
    fn text(&self) -> String {
        let scopes = self.scopes;
        match self.place {
            Place::Bearer => format!("  - bearer: {{ opaque: true, scopes: {scopes} }}\n"),
            Place::Cookie => format!("  - cookie: {{ scopes: {scopes} }}\n"),
            Place::Envelope => format!("  - native: {{ name: odd, scopes: {scopes} }}\n"),
        }
    }
}

impl File {
    /// The texts of the files, the main one first.
    pub fn texts(&self) -> Vec<String> {
        let mut main = "claims: { role: string, level: int, groups: list(string), vip: bool }\n\
                        attributes: { theme: string }\nsources: { db: { sqlite: ./db } }\n"
            .to_owned();
        if let Some(strategies) = &self.strategies {
            main += &section("strategies", strategies, Strategy::text);
        }
        main += &section("rules", &self.rules, Rule::text);
        let [app] = &*self.apps else {
            main += &section("checks", &self.checks, Check::text);
            let own = |app: &App| {
                let rules = section("rules", &app.rules, Rule::text);
                app.text() + &rules + &section("checks", &app.checks, Check::text)
            };
            return std::iter::once(main)
                .chain(self.apps.iter().map(own))
                .collect();
        };
        let checks: Vec<_> = self.checks.iter().chain(&app.checks).cloned().collect();
        vec![main + &app.text() + &section("checks", &checks, Check::text)]
    }
}
