//! What checks read, and what they come to (R4, R5).

use serde_json::{Value, json};

use super::{
    expression::{Expression, Fault, Name, fits},
    model::{Body, Check},
    requirements::Truth,
    twin::Hearing,
    world::{self, Found, Stated},
};

pub fn reads_session(check: &Check) -> bool {
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
pub fn needs_session(check: &Check) -> bool {
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
pub struct Facts<'a> {
    pub hearing: &'a Hearing<'a>,
    pub session: Option<&'a Stated>,
    pub carries: &'a str,
    pub data: &'a [Value; 3],
}

impl Facts<'_> {
    pub fn truth(&self, check: &Check) -> Truth {
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
