//! The data of a call: path parameters, query parameters and what body or message declare (R24).

use std::borrow::Cow;

use crate::{
    expression::{EvalError, Type},
    target::Target,
    value::{JsonLimits, Val, Value},
};

/// A name of data, by its place among the names of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub u16);

/// Where a wire has a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// A parameter of the path.
    Path(Box<str>),
    /// A parameter of the query.
    Query(Box<str>),
    /// Body or message, at this path; edges hand it in under the field's own name.
    Body(Box<str>),
}

/// A field that an operation declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its place among the names of the app.
    pub id: FieldId,
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub kind: Type,
    /// Where HTTP has it.
    pub http: FieldSource,
    /// Where the other wires have it, by their names.
    pub elsewhere: Box<[(Box<str>, Box<str>)]>,
}

/// What was wrong with data. Names fields, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// It is no JSON object.
    #[error("`data` is not what it must be, a JSON object: {0}")]
    Json(String),
    /// Two places say different things of a field.
    #[error("`data.{0}` is stated twice, with different values")]
    Conflict(Box<str>),
    /// A query parameter stands twice.
    #[error("the query parameter of `data.{0}` stands twice")]
    Duplicate(Box<str>),
    /// A query parameter is malformed.
    #[error("the query parameter of `data.{0}` is malformed")]
    Query(Box<str>),
}

/// A value, as text of the target or as JSON had it.
#[derive(Clone, Debug, PartialEq)]
enum DataValue<'a> {
    Text(Cow<'a, str>),
    Value(Value),
    /// Not there, and what was there was cut.
    Cut,
}

/// The data of a call.
#[derive(Debug, Default)]
pub struct Data<'a> {
    values: Vec<(FieldId, DataValue<'a>)>,
}

impl<'a> Data<'a> {
    /// Reads the declared fields of a call.
    ///
    /// # Errors
    ///
    /// Returns [`DataError`] when the JSON is malformed, or two places disagree.
    pub fn read<'p>(
        fields: &[Field],
        target: Option<&Target<'a>>,
        parameter: impl Fn(&str) -> Option<&'p str>,
        json: &[u8],
        complete: bool,
    ) -> Result<Self, DataError>
    where
        'p: 'a,
    {
        let body = parse(json)?;
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            let stated = body
                .as_ref()
                .and_then(|body| body.get(&field.name))
                .cloned();
            let in_target = match (target, &field.http) {
                (Some(_), FieldSource::Path(name)) => parameter(name).map(Cow::Borrowed),
                (Some(target), FieldSource::Query(name)) => query(target, name, field)?,
                _ => None,
            };
            let value = match (in_target, stated) {
                (None, None | Some(Value::Null)) if complete => continue,
                (None, None) => DataValue::Cut,
                (None, Some(value)) => DataValue::Value(value),
                (Some(text), None) => read_text(text, &field.kind),
                (Some(text), Some(value)) => {
                    let text = read_text(text, &field.kind);
                    if text.as_val() != value.as_val() {
                        return Err(DataError::Conflict(field.name.clone()));
                    }
                    text
                }
            };
            values.push((field.id, value));
        }
        Ok(Self { values })
    }

    /// The value of a field; null when it is absent.
    ///
    /// # Errors
    ///
    /// Returns [`EvalError::DataIncomplete`] when it may have been cut.
    pub fn value(&self, field: FieldId) -> Result<Val<'_>, EvalError> {
        match self.values.iter().find(|(id, _)| *id == field) {
            Some((_, DataValue::Cut)) => Err(EvalError::DataIncomplete),
            Some((_, value)) => Ok(value.as_val()),
            None => Ok(Val::Null),
        }
    }
}

impl DataValue<'_> {
    fn as_val(&self) -> Val<'_> {
        match self {
            Self::Text(text) => Val::Str(text),
            Self::Value(value) => value.as_val(),
            Self::Cut => Val::Null,
        }
    }
}

fn parse(json: &[u8]) -> Result<Option<Value>, DataError> {
    if json.is_empty() {
        return Ok(None);
    }
    match Value::from_json(json, &JsonLimits::default()) {
        Ok(object @ Value::Map(_)) => Ok(Some(object)),
        Ok(_) => Err(DataError::Json("it is another JSON value".into())),
        Err(err) => Err(DataError::Json(err.to_string())),
    }
}

fn query<'a>(
    target: &Target<'a>,
    name: &str,
    field: &Field,
) -> Result<Option<Cow<'a, str>>, DataError> {
    let mut values = target.query_values(name);
    let first = values
        .next()
        .transpose()
        .map_err(|_| DataError::Query(field.name.clone()))?;
    match values.next() {
        Some(_) => Err(DataError::Duplicate(field.name.clone())),
        None => Ok(first),
    }
}

/// Reads the text of a target as the declared type. What does not fit stays text, which is then of
/// a wrong type for every check that reads it (R4).
fn read_text<'a>(text: Cow<'a, str>, kind: &Type) -> DataValue<'a> {
    let value = match kind {
        // `+1` and `01` are other spellings of what somebody else may compare as text.
        Type::Int => text
            .parse::<i64>()
            .ok()
            .filter(|number| number.to_string() == text)
            .map(Value::Int),
        Type::Bool => match &*text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Type::Double => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(Value::Double),
        _ => None,
    };
    value.map_or(DataValue::Text(text), DataValue::Value)
}
