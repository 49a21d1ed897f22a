//! Random calls on a file.

use auth_core::{
    session::TokenKind,
    wire::{Attribute, Call, Credential, CredentialSource, Deliverable, WireKind},
};
use serde_json::{Value, json};

use super::{
    generate::{SEGMENTS, wires},
    model::File,
    numbers::Numbers,
    world::{self, ENDED, LIVE},
};

/// A credential, wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// That of a session; from [`LIVE`] on it has ended, beyond those it never was.
    Of(usize),
    /// That of a session, in a place where its kind is no credential.
    Misplaced(usize),
    /// No token at all.
    Malformed,
    /// One that its strategy cannot judge; in the envelope only.
    Down,
}

/// A call as the twin sees it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub kind: WireKind,
    pub host: &'static str,
    pub method: &'static str,
    pub target: String,
    pub bearers: Vec<Shown>,
    pub cookies: Vec<Shown>,
    pub envelope: Option<Shown>,
    pub data: Option<Value>,
    pub told: &'static str,
    pub advisory: bool,
    /// What the browser says of the page that it comes from.
    pub site: Option<&'static str>,
}

pub fn call(numbers: &mut Numbers, file: &File) -> Asked {
    let app = numbers.pick(&file.apps);
    let operation = numbers.pick(&app.operations);
    let (mut kind, named) = numbers.pick(&operation.targets);
    let own_host = match app.hosts.first() {
        Some(&"*.b.example") => "x.b.example",
        Some(host) => host,
        None => "elsewhere.example",
    };
    let host = match numbers.below(20) {
        0 => "",
        1 => numbers.pick(&["elsewhere.example", "y.x.b.example", "b.example"]),
        2 => numbers.pick(&["A.Example:8080", "a.example.", "a b"]),
        _ => own_host,
    };
    let mut method = "";
    let mut target = named;
    match kind {
        WireKind::Http => {
            let (own, pattern) = target.split_once(' ').unwrap();
            let methods = ["GET", "POST", "DELETE", "PUT", "get"];
            method = match methods.iter().find(|method| **method == own) {
                Some(method) if numbers.chance(85) => method,
                _ => numbers.pick(&methods),
            };
            target = path(numbers, pattern);
        }
        WireKind::Grpc => target = format!("/{target}"),
        _ => {}
    }
    if numbers.chance(3) {
        let strange = [
            "", "a/b", "/a/../b", "/a//b", "/a/%2fb", "/a/%2e", " a", "/a/b/c", "/a",
        ];
        target = numbers.pick(&strange).into();
    }
    if numbers.chance(3) {
        kind = numbers.pick(&wires());
    }
    let mut asked = Asked {
        kind,
        host,
        method,
        target,
        bearers: vec![],
        cookies: vec![],
        envelope: None,
        data: data(numbers),
        told: numbers.pick(&["yes", "yes", "no", "down", ""]),
        advisory: numbers.chance(50),
        site: match numbers.below(10) {
            0 => None,
            1 => Some("cross-site"),
            _ => Some("same-origin"),
        },
    };
    credentials(numbers, &mut asked);
    asked
}

/// A path that a pattern matches, mostly, with a query.
fn path(numbers: &mut Numbers, pattern: &str) -> String {
    let mut path = String::new();
    for segment in pattern.split('/').skip(1) {
        let values = [
            "a", "b", "u1", "u2", "7", "07", "3", "true", "no", "%61", "broken",
        ];
        let segment = match segment {
            _ if numbers.chance(5) => numbers.pick(&SEGMENTS).into(),
            "**" => match numbers.below(4) {
                0 => continue,
                1 => String::new(),
                2 => numbers.pick(&SEGMENTS).to_owned(),
                _ => format!("{}/{}", numbers.pick(&SEGMENTS), numbers.pick(&SEGMENTS)),
            },
            "{n}" if numbers.chance(60) => numbers.pick(&["3", "5"]).into(),
            "*" | "{id}" | "{n}" | "{flag}" if numbers.chance(40) => numbers.pick(&SEGMENTS).into(),
            "*" | "{id}" | "{n}" | "{flag}" => numbers.pick(&values).into(),
            literal => literal.to_owned(),
        };
        path = format!("{path}/{segment}");
    }
    if path.is_empty() || numbers.chance(2) {
        path.push('/');
    }
    for _ in 0..2 {
        if numbers.chance(30) {
            let (name, values) = numbers.pick(&[
                ("id", ["a", "b", "u1"]),
                ("n", ["3", "x", "5"]),
                ("flag", ["true", "false", "1"]),
            ]);
            let sign = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{sign}{name}={}", numbers.pick(&values));
        }
    }
    path
}

fn data(numbers: &mut Numbers) -> Option<Value> {
    match numbers.below(20) {
        0..7 => return None,
        7 => return Some(numbers.pick(&[json!([]), json!("a"), json!(null)])),
        _ => {}
    }
    let mut object = serde_json::Map::new();
    let values = [
        (
            "id",
            vec![
                json!("a"),
                json!("b"),
                json!("u1"),
                json!("broken"),
                json!(3),
                json!(null),
            ],
        ),
        (
            "n",
            vec![
                json!(3),
                json!(5),
                json!(0),
                json!("3"),
                json!(2.5),
                json!(null),
            ],
        ),
        (
            "flag",
            vec![json!(true), json!(false), json!("true"), json!(null)],
        ),
    ];
    for (name, values) in values {
        if numbers.chance(65) {
            object.insert(name.into(), numbers.pick(&values));
        }
    }
    Some(object.into())
}

fn credentials(numbers: &mut Numbers, asked: &mut Asked) {
    let one = |numbers: &mut Numbers| match numbers.below(30) {
        0 => Shown::Malformed,
        1 => Shown::Of(LIVE + ENDED + 1),
        2 => Shown::Of(LIVE + numbers.below(ENDED)),
        3 => Shown::Misplaced(numbers.below(LIVE)),
        _ => Shown::Of(numbers.below(LIVE)),
    };
    match numbers.below(20) {
        0..3 => {}
        3..10 => asked.bearers.push(one(numbers)),
        10..15 => asked.cookies.push(one(numbers)),
        15 | 16 => asked.envelope = Some(envelope(numbers)),
        17 => {
            asked.bearers.push(one(numbers));
            asked.cookies.push(one(numbers));
        }
        18 => {
            asked.bearers.push(one(numbers));
            match numbers.chance(50) {
                true => asked.bearers.push(one(numbers)),
                false => asked.envelope = Some(envelope(numbers)),
            }
        }
        _ => {
            asked.cookies.push(one(numbers));
            asked.cookies.push(one(numbers));
        }
    }
}

fn envelope(numbers: &mut Numbers) -> Shown {
    match numbers.below(5) {
        0 => Shown::Down,
        1 => Shown::Of(LIVE + ENDED + 1),
        _ => Shown::Of(numbers.below(LIVE)),
    }
}

impl Asked {
    /// As an edge hands it in.
    pub fn call(&self) -> Call {
        let text = |shown: &Shown, own, other| match shown {
            Shown::Of(number) => world::token(own, *number),
            Shown::Misplaced(number) => world::token(other, *number),
            Shown::Malformed | Shown::Down => "x".to_owned(),
        };
        let mut credentials = vec![];
        let mut push = |source, name: &str, value: String| {
            credentials.push(Credential {
                source,
                name: name.into(),
                value: value.into(),
            });
        };
        for shown in &self.bearers {
            let value = match shown {
                Shown::Malformed => "Bearer".into(),
                shown => format!(
                    "Bearer {}",
                    text(shown, TokenKind::Bearer, TokenKind::Cookie)
                ),
            };
            push(CredentialSource::Authorization, "", value);
        }
        for shown in &self.cookies {
            let value = text(shown, TokenKind::Cookie, TokenKind::Bearer);
            push(
                CredentialSource::Cookie,
                "",
                format!("__Host-session={value}"),
            );
        }
        if let Some(shown) = &self.envelope {
            let value = match shown {
                Shown::Of(number) => number.to_string(),
                _ => "down".into(),
            };
            push(CredentialSource::Envelope, "odd", value);
        }
        let attribute = |name: &str, value: &'static str| Attribute {
            name: name.into(),
            value: value.into(),
        };
        let told = attribute("told", self.told);
        let site = self.site.map(|site| attribute("sec-fetch-site", site));
        Call {
            authority: self.host.into(),
            credentials,
            attributes: std::iter::once(told).chain(site).collect(),
            deliverable: Deliverable {
                cookie: true,
                ..Deliverable::default()
            },
            data_json: self
                .data
                .as_ref()
                .map_or(String::new(), Value::to_string)
                .into(),
            advisory: self.advisory,
            ..Call::new(self.kind.clone(), self.method, &self.target)
        }
    }
}
