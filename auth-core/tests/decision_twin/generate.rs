//! Random files.

use std::collections::BTreeSet;

use auth_core::wire::WireKind;

use super::{
    expression::{Expression, Kind, Name},
    model::{App, Body, Check, File, Operation, Place, Requirement, Rule, Selector, Strategy},
    numbers::Numbers,
};

pub const HOSTS: [&str; 3] = ["a.example", "b.example", "*.b.example"];
pub const TAGS: [&str; 3] = ["api", "internal", "reports"];
pub const SEGMENTS: [&str; 4] = ["a", "b", "u1", "admin"];
pub const TEXTS: [&str; 5] = ["a", "b", "u1", "admin", "user"];
const SCOPES: [&str; 6] = [
    "read",
    "read:b",
    "admin",
    "admin:books",
    "admin:books:write",
    "readers",
];

/// The wires of the generated apps; `radio` is a wire of their own.
pub fn wires() -> [WireKind; 7] {
    [
        WireKind::Http,
        WireKind::Grpc,
        WireKind::WebSocket,
        WireKind::Mcp,
        WireKind::Queue,
        WireKind::Cli,
        WireKind::Custom("radio".into()),
    ]
}

/// How much a file holds. A small one costs a small part of the time of a large one.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Numbers of apps, each as likely.
    pub apps: &'static [usize],
    /// The fewest operations of an app, and how many more at most.
    pub operations: (usize, usize),
    /// How many targets an operation has at most.
    pub targets: usize,
    /// How many checks are shared, and how many more an app has.
    pub checks: usize,
    /// Numbers of rules of a file, each as likely.
    pub rules: &'static [usize],
    /// How deep expressions are at most.
    pub depth: usize,
}

impl Size {
    /// Up to three apps, some tens of operations and checks.
    pub const LARGE: Self = Self {
        apps: &[1, 1, 2, 3],
        operations: (3, 2),
        targets: 4,
        checks: 3,
        rules: &[0, 0, 1, 1, 2, 3],
        depth: 3,
    };
    /// Mostly one operation, two checks and a rule; still any feature of a large one.
    pub const SMALL: Self = Self {
        apps: &[1, 1, 1, 1, 1, 1, 1, 2],
        operations: (1, 0),
        targets: 2,
        checks: 1,
        rules: &[0, 1, 1, 2],
        depth: 2,
    };
}

/// A file. Routes and names are taken once in an app, checks exist, data is declared; what the
/// rules make of it is not looked at.
pub fn file(numbers: &mut Numbers, size: Size) -> File {
    let shared = checks(numbers, "s", size);
    let count = numbers.pick(size.apps);
    let mut apps: Vec<_> = (0..count)
        .map(|number| app(numbers, number, count, &shared, size))
        .collect();
    let for_main = if count == 1 {
        [names(&shared), names(&apps[0].checks)].concat()
    } else {
        names(&shared)
    };
    let rules = rules(numbers, &for_main, size);
    if count == 1 {
        apps[0].rules.clear();
    }
    File {
        strategies: numbers.chance(70).then(|| strategies(numbers)),
        rules,
        checks: shared,
        apps,
    }
}

fn names(checks: &[Check]) -> Vec<String> {
    checks.iter().map(|check| check.name.clone()).collect()
}

fn strategies(numbers: &mut Numbers) -> Vec<Strategy> {
    let mut places = vec![Place::Bearer, Place::Cookie, Place::Envelope];
    let from = numbers.below(3);
    places.rotate_left(from);
    if numbers.chance(20) {
        places.pop();
    }
    let scopes = [
        "from_session",
        "from_session",
        "from_session",
        "all",
        "none",
    ];
    let strategy = |place| Strategy {
        place,
        scopes: numbers.pick(&scopes),
    };
    places.into_iter().map(strategy).collect()
}

fn checks(numbers: &mut Numbers, prefix: &str, size: Size) -> Vec<Check> {
    let check = |number| Check {
        name: format!("{prefix}_c{number}"),
        body: body(numbers, size.depth),
    };
    (0..size.checks).map(check).collect()
}

fn body(numbers: &mut Numbers, depth: usize) -> Body {
    match numbers.below(10) {
        0 => Body::Native("told"),
        1 => Body::Native("told_of_session"),
        2..5 => {
            let count = 1 + numbers.below(2);
            let row = |_| {
                let args = [
                    Name::Id,
                    Name::Id,
                    Name::Subject,
                    Name::Role,
                    Name::WireMethod,
                ];
                let tables = ["books", "books", "orders", "orders", "down"];
                (numbers.pick(&tables), numbers.pick(&args))
            };
            let rows: Vec<_> = (0..count).map(row).collect();
            Body::Lookup(rows.clone(), expression(numbers, depth - 1, rows.len()))
        }
        _ => Body::Expression(expression(numbers, depth, 0)),
    }
}

fn expression(numbers: &mut Numbers, depth: usize, rows: usize) -> Expression {
    let shape = numbers.below(if depth == 0 { 4 } else { 9 });
    let below = |numbers: &mut Numbers| Box::new(expression(numbers, depth - 1, rows));
    match shape {
        0..4 => leaf(numbers, rows),
        4 => Expression::Not(below(numbers)),
        5 | 6 => Expression::And(below(numbers), below(numbers)),
        _ => Expression::Or(below(numbers), below(numbers)),
    }
}

fn text_name(numbers: &mut Numbers, rows: usize) -> Name {
    if rows > 0 && numbers.chance(60) {
        Name::Owner(numbers.below(rows))
    } else {
        numbers.pick(&Name::TEXTS)
    }
}

fn int_name(numbers: &mut Numbers, rows: usize) -> Name {
    if rows > 0 && numbers.chance(60) {
        Name::Count(numbers.below(rows))
    } else {
        numbers.pick(&[Name::Level, Name::Number])
    }
}

fn any_name(numbers: &mut Numbers, rows: usize) -> Name {
    match numbers.below(6) {
        0 => int_name(numbers, rows),
        1 => numbers.pick(&[Name::Groups, Name::Scopes, Name::Vip, Name::Flag]),
        2 => Name::Subject,
        _ => text_name(numbers, rows),
    }
}

fn leaf(numbers: &mut Numbers, rows: usize) -> Expression {
    let text = |numbers: &mut Numbers| text_name(numbers, rows);
    let is = numbers.chance(70);
    match numbers.below(15) {
        0 => Expression::Constant(is),
        1 | 2 => Expression::Has(any_name(numbers, rows)),
        3 => Expression::Plain(numbers.pick(&[Name::Vip, Name::Flag])),
        4 => Expression::IsNull(any_name(numbers, rows), is),
        5 | 6 => {
            let one = text(numbers);
            let other = text(numbers);
            match one.kind() == Kind::Text && one != other {
                true => Expression::Same(one, other, is),
                false => Expression::Has(one),
            }
        }
        7 | 8 => Expression::TextIs(text(numbers), constant(numbers), is),
        9 | 10 => {
            let sign = numbers.pick(&["==", "!=", "<", "<=", ">", ">="]);
            let number = i64::try_from(numbers.below(6)).unwrap();
            Expression::NumberIs(int_name(numbers, rows), sign, number)
        }
        11 => {
            let texts = vec![constant(numbers), constant(numbers)];
            Expression::OneOf(text(numbers), texts)
        }
        12 => Expression::Holds(
            numbers.pick(&[Name::Groups, Name::Scopes]),
            constant(numbers),
        ),
        13 => match numbers.chance(50) {
            true => Expression::Exists(Name::Groups, constant(numbers)),
            false => Expression::Size(Name::Groups, 1),
        },
        _ => Expression::StartsWith(text(numbers), constant(numbers)),
    }
}

fn constant(numbers: &mut Numbers) -> &'static str {
    let more = ["http", "GET", "/a", "local/u1", "read", "dark"];
    if numbers.chance(65) {
        numbers.pick(&TEXTS)
    } else {
        numbers.pick(&more)
    }
}

fn requirement(numbers: &mut Numbers, checks: &[String]) -> Requirement {
    let list = |numbers: &mut Numbers| {
        let count = 1 + numbers.below(3);
        (0..count).map(|_| numbers.pick(checks)).collect::<Vec<_>>()
    };
    match numbers.below(5) {
        0 => Requirement::One(numbers.pick(checks)),
        1 => Requirement::All(list(numbers)),
        _ => {
            let keys = ["writer", "admin", "zoo", "mate"];
            let count = 1 + numbers.below(4);
            Requirement::Any(
                keys[..count]
                    .iter()
                    .map(|key| (*key, list(numbers)))
                    .collect(),
            )
        }
    }
}

fn scopes(numbers: &mut Numbers) -> Vec<&'static str> {
    (0..1 + numbers.below(2))
        .map(|_| numbers.pick(&SCOPES))
        .collect()
}

fn rules(numbers: &mut Numbers, checks: &[String], size: Size) -> Vec<Rule> {
    (0..numbers.pick(size.rules))
        .map(|_| rule(numbers, checks))
        .collect()
}

fn rule(numbers: &mut Numbers, checks: &[String]) -> Rule {
    let selector = match numbers.below(8) {
        0 => Selector::Global(None),
        1 => Selector::Global(Some(numbers.pick(&wires()))),
        2 | 3 => Selector::Tag(numbers.pick(&TAGS)),
        _ => Selector::Prefix(prefix(numbers)),
    };
    let has_wire = !matches!(selector, Selector::Global(None) | Selector::Tag(_));
    let asks = numbers.below(4);
    Rule {
        selector,
        requirement: (asks != 0).then(|| requirement(numbers, checks)),
        scopes: if asks < 2 { scopes(numbers) } else { vec![] },
        wire_only: has_wire && numbers.chance(30),
    }
}

fn prefix(numbers: &mut Numbers) -> String {
    let mut prefix = String::new();
    for _ in 0..[0, 1, 1, 1, 2, 2][numbers.below(6)] {
        prefix = format!("{prefix}/{}", numbers.pick(&SEGMENTS));
    }
    if prefix.is_empty() {
        return numbers.pick(&["/", "/*", "/**"]).into();
    }
    prefix + numbers.pick(&["", "", "/", "/*", "/**"])
}

fn app(numbers: &mut Numbers, number: usize, count: usize, shared: &[Check], size: Size) -> App {
    let own = checks(numbers, &format!("a{number}"), size);
    let usable = [names(shared), names(&own)].concat();
    let hosts = match (number, numbers.chance(30)) {
        (0, true) => vec![],
        (0, _) => vec![HOSTS[0]],
        (1, _) if count == 2 => vec![HOSTS[1], HOSTS[2]],
        (1, _) => vec![HOSTS[1]],
        _ => vec![HOSTS[2]],
    };
    let mut taken = BTreeSet::new();
    let (least, more) = size.operations;
    let operations = (0..least + numbers.below(more + 1))
        .map(|at| {
            let name = format!("a{number}_op{at}");
            let wanted = 1 + numbers.below(size.targets);
            let targets = targets(numbers, wanted, &mut taken);
            operation(numbers, name, &usable, targets)
        })
        .collect();
    App {
        name: format!("app{number}"),
        hosts,
        rules: rules(numbers, &usable, size),
        checks: own,
        operations,
    }
}

/// Targets that no other operation of the app has.
fn targets(
    numbers: &mut Numbers,
    wanted: usize,
    taken: &mut BTreeSet<String>,
) -> Vec<(WireKind, String)> {
    let mut targets = vec![];
    while targets.len() < wanted {
        let kind = match numbers.chance(55) {
            true => WireKind::Http,
            false => numbers.pick(&wires()),
        };
        let target = target(numbers, &kind);
        if taken.insert(format!("{kind} {}", shape(&target))) {
            targets.push((kind, target));
        }
    }
    targets
}

fn operation(
    numbers: &mut Numbers,
    name: String,
    checks: &[String],
    targets: Vec<(WireKind, String)>,
) -> Operation {
    let parameters = |name: &str| targets.iter().any(|(_, target)| target.contains(name));
    let mut source = |name: &str| match numbers.below(6) {
        0 | 1 => Some(format!("query.{name}")),
        2 => Some(format!("body.at.{name}")),
        3 if parameters(&format!("{{{name}}}")) => Some(format!("path.{name}")),
        _ => None,
    };
    let sources = [source("id"), source("n"), source("flag")];
    Operation {
        name,
        session: numbers.pick(&["required", "required", "optional", "optional", "none"]),
        tags: TAGS.into_iter().filter(|_| numbers.chance(25)).collect(),
        requirement: numbers.chance(65).then(|| requirement(numbers, checks)),
        scopes: if numbers.chance(20) {
            scopes(numbers)
        } else {
            vec![]
        },
        admits_actors: numbers.chance(50),
        sources,
        targets,
    }
}

/// What two targets must not share: parameters and `*` are the same.
fn shape(target: &str) -> String {
    let segments = target
        .split('/')
        .map(|segment| match segment.starts_with('{') {
            true => "*",
            false => segment,
        });
    segments.collect::<Vec<_>>().join("/")
}

fn target(numbers: &mut Numbers, kind: &WireKind) -> String {
    match kind {
        WireKind::Http => {
            let method = numbers.pick(&["GET", "GET", "POST", "DELETE", "ANY"]);
            format!("{method} {}", pattern(numbers))
        }
        WireKind::Grpc => format!("{}/{}", numbers.pick(&SEGMENTS), numbers.pick(&TEXTS)),
        _ => numbers
            .pick(&["books.get", "books.put", "books.delete", "a", "/a/b"])
            .into(),
    }
}

fn pattern(numbers: &mut Numbers) -> String {
    let mut pattern = String::new();
    let mut parameters = vec!["{id}", "{n}", "{flag}"];
    for _ in 0..numbers.below(4) {
        let segment = match numbers.below(10) {
            0..6 => numbers.pick(&SEGMENTS),
            6 => "*",
            _ => parameters.remove(numbers.below(2).min(parameters.len() - 1)),
        };
        pattern = format!("{pattern}/{segment}");
    }
    match numbers.below(8) {
        0 => pattern + "/**",
        1 => pattern + "/",
        _ if pattern.is_empty() => "/".into(),
        _ => pattern,
    }
}
