//! R24: the declared data of a call.

use auth_core::wire::WireKind;
use serde_json::{Value, json};

use super::{expression::Kind, model::FIELDS, routing::segments, twin::Hearing};

impl Hearing<'_> {
    /// R24: the declared data; `Err` when it is malformed, given twice or in conflict.
    pub fn data(&self) -> Result<[Value; 3], ()> {
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

/// The text of a path or query as the declared type; what does not fit stays text.
fn read(text: &str, kind: Kind) -> Value {
    match (kind, text.parse::<i64>(), text) {
        (Kind::Int, Ok(number), text) if number.to_string() == text => json!(number),
        (Kind::Bool, _, "true") => json!(true),
        (Kind::Bool, _, "false") => json!(false),
        _ => json!(text),
    }
}
