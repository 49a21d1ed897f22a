//! Expressions of checks: as trees, as text for the file, and their value as R4 and R5 have it.

use serde_json::Value;

/// What an expression can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Subject,
    Principal,
    Role,
    Level,
    Groups,
    Vip,
    Theme,
    Scopes,
    Id,
    Number,
    Flag,
    WireKind,
    WireMethod,
    WirePath,
    /// The owner in the row of this number.
    Owner(usize),
    /// The count in the row of this number.
    Count(usize),
}

/// The type that a name is declared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Bool,
    Texts,
}

impl Name {
    pub const TEXTS: [Self; 8] = [
        Self::Subject,
        Self::Principal,
        Self::Role,
        Self::Theme,
        Self::Id,
        Self::WireKind,
        Self::WireMethod,
        Self::WirePath,
    ];

    pub fn kind(self) -> Kind {
        match self {
            Self::Level | Self::Number | Self::Count(_) => Kind::Int,
            Self::Groups | Self::Scopes => Kind::Texts,
            Self::Vip | Self::Flag => Kind::Bool,
            _ => Kind::Text,
        }
    }

    pub fn is_session(self) -> bool {
        use Name::{Groups, Level, Principal, Role, Scopes, Subject, Theme, Vip};
        matches!(
            self,
            Subject | Principal | Role | Level | Groups | Vip | Theme | Scopes
        )
    }

    pub fn is_data(self) -> bool {
        matches!(self, Self::Id | Self::Number | Self::Flag)
    }

    pub fn text(self) -> String {
        match self {
            Self::Subject => "session.subject".into(),
            Self::Principal => "session.principal".into(),
            Self::Role => "session.claims.role".into(),
            Self::Level => "session.claims.level".into(),
            Self::Groups => "session.claims.groups".into(),
            Self::Vip => "session.claims.vip".into(),
            Self::Theme => "session.attributes.theme".into(),
            Self::Scopes => "session.scopes".into(),
            Self::Id => "data.id".into(),
            Self::Number => "data.n".into(),
            Self::Flag => "data.flag".into(),
            Self::WireKind => "wire.kind".into(),
            Self::WireMethod => "wire.method".into(),
            Self::WirePath => "wire.path".into(),
            Self::Owner(row) => format!("row{row}.owner"),
            Self::Count(row) => format!("row{row}.count"),
        }
    }
}

/// An expression that gives a truth value.
#[derive(Clone, Debug)]
pub enum Expression {
    Constant(bool),
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Has(Name),
    /// A name of type bool.
    Plain(Name),
    IsNull(Name, bool),
    Same(Name, Name, bool),
    TextIs(Name, &'static str, bool),
    NumberIs(Name, &'static str, i64),
    OneOf(Name, Vec<&'static str>),
    Holds(Name, &'static str),
    Exists(Name, &'static str),
    Size(Name, i64),
    StartsWith(Name, &'static str),
}

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A wrong type, or no session: the check is false.
    Wrong,
    /// A dependency of ours failed: the check is undetermined.
    Outage,
}

impl Expression {
    /// As the file has it.
    pub fn text(&self) -> String {
        let equals = |is: bool| if is { "==" } else { "!=" };
        match self {
            Self::Constant(value) => value.to_string(),
            Self::Not(one) => format!("!({})", one.text()),
            Self::And(one, other) => format!("({}) && ({})", one.text(), other.text()),
            Self::Or(one, other) => format!("({}) || ({})", one.text(), other.text()),
            Self::Has(name) => format!("has({})", name.text()),
            Self::Plain(name) => name.text(),
            Self::IsNull(name, is) => format!("{} {} null", name.text(), equals(*is)),
            Self::Same(one, other, is) => {
                format!("{} {} {}", one.text(), equals(*is), other.text())
            }
            Self::TextIs(name, text, is) => {
                format!("{} {} \"{text}\"", name.text(), equals(*is))
            }
            Self::NumberIs(name, sign, number) => format!("{} {sign} {number}", name.text()),
            Self::OneOf(name, texts) => format!("{} in {texts:?}", name.text()),
            Self::Holds(name, text) => format!("\"{text}\" in {}", name.text()),
            Self::Exists(name, text) => format!("{}.exists(g, g == \"{text}\")", name.text()),
            Self::Size(name, least) => format!("size({}) >= {least}", name.text()),
            Self::StartsWith(name, text) => format!("{}.startsWith(\"{text}\")", name.text()),
        }
    }

    /// The names that it reads, and whether by `has`.
    pub fn names(&self) -> Vec<(Name, bool)> {
        match self {
            Self::Constant(_) => vec![],
            Self::Not(one) => one.names(),
            Self::And(one, other) | Self::Or(one, other) => [one.names(), other.names()].concat(),
            Self::Has(name) => vec![(*name, true)],
            Self::Same(one, other, _) => vec![(*one, false), (*other, false)],
            Self::Plain(name)
            | Self::IsNull(name, _)
            | Self::TextIs(name, ..)
            | Self::NumberIs(name, ..)
            | Self::OneOf(name, _)
            | Self::Holds(name, _)
            | Self::Exists(name, _)
            | Self::Size(name, _)
            | Self::StartsWith(name, _) => vec![(*name, false)],
        }
    }

    /// Its value, left to right. `read` gives what a name stands for, and [`Fault::Wrong`] for the
    /// session where there is none.
    pub fn value(&self, read: &dyn Fn(Name) -> Result<Value, Fault>) -> Result<bool, Fault> {
        let typed = |name: Name| {
            let value = read(name)?;
            if fits(&value, name.kind()) {
                Ok(value)
            } else {
                Err(Fault::Wrong)
            }
        };
        Ok(match self {
            Self::Constant(value) => *value,
            Self::Not(one) => !one.value(read)?,
            Self::And(one, other) => one.value(read)? && other.value(read)?,
            Self::Or(one, other) => one.value(read)? || other.value(read)?,
            Self::Has(name) => match read(*name) {
                Err(Fault::Wrong) if name.is_session() => false,
                value => value? != Value::Null,
            },
            Self::Plain(name) => typed(*name)?.as_bool().ok_or(Fault::Wrong)?,
            Self::IsNull(name, is) => (typed(*name)? == Value::Null) == *is,
            Self::Same(one, other, is) => {
                let (one, other) = (typed(*one)?, typed(*other)?);
                if one == Value::Null && other == Value::Null {
                    return Err(Fault::Wrong);
                }
                (one == other) == *is
            }
            Self::TextIs(name, text, is) => (typed(*name)? == *text) == *is,
            Self::NumberIs(name, sign, number) => {
                let value = typed(*name)?;
                match *sign {
                    "==" => value == *number,
                    "!=" => value != *number,
                    sign => ordered(value.as_i64().ok_or(Fault::Wrong)?, sign, *number),
                }
            }
            Self::OneOf(name, texts) => match typed(*name)? {
                Value::Null => return Err(Fault::Wrong),
                value => texts.iter().any(|text| value == *text),
            },
            Self::Holds(name, text) | Self::Exists(name, text) => {
                let list = typed(*name)?;
                let list = list.as_array().ok_or(Fault::Wrong)?;
                list.iter().any(|entry| entry == text)
            }
            Self::Size(name, least) => {
                let list = typed(*name)?;
                let list = list.as_array().ok_or(Fault::Wrong)?;
                i64::try_from(list.len()).unwrap() >= *least
            }
            Self::StartsWith(name, text) => {
                let value = typed(*name)?;
                value.as_str().ok_or(Fault::Wrong)?.starts_with(text)
            }
        })
    }
}

fn ordered(one: i64, sign: &str, other: i64) -> bool {
    match sign {
        "<" => one < other,
        "<=" => one <= other,
        ">" => one > other,
        _ => one >= other,
    }
}

/// Whether a value is of a type; null is of every one.
pub fn fits(value: &Value, kind: Kind) -> bool {
    match (kind, value) {
        (_, Value::Null) | (Kind::Text, Value::String(_)) | (Kind::Bool, Value::Bool(_)) => true,
        (Kind::Int, Value::Number(number)) => number.is_i64(),
        (Kind::Texts, Value::Array(list)) => list.iter().all(|entry| fits(entry, Kind::Text)),
        _ => false,
    }
}
