//! The data of a call: path parameters, query parameters and what body or message declare (R24).

mod flat;
pub(crate) mod text;

use std::borrow::Cow;

pub use self::text::TextType;
use self::{
    flat::{Flat, Plain},
    text::read_text,
};
use crate::{
    expression::{EvalError, Type},
    target::Target,
    value::{JsonLimits, Val, Value},
    wire::WireKind,
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

impl Field {
    /// Whether a call on this kind of wire has it in its body or message, and not in its target.
    #[must_use]
    pub fn is_in_message(&self, kind: &WireKind) -> bool {
        *kind != WireKind::Http || matches!(self.http, FieldSource::Body(_))
    }
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

/// A value, as text that stands in target or JSON, or as what was made of it.
#[derive(Clone, Debug, PartialEq)]
enum DataValue<'a> {
    Text(&'a str),
    Value(Value),
    /// Not there, and what was there was cut.
    Cut,
}

/// How many fields are read without an allocation.
const INLINE_FIELDS: usize = 4;

/// The data of a call.
#[derive(Debug)]
pub struct Data<'a> {
    first: [Option<(FieldId, DataValue<'a>)>; INLINE_FIELDS],
    more: Vec<(FieldId, DataValue<'a>)>,
}

impl<'a> Data<'a> {
    /// No data.
    #[inline]
    pub(crate) const fn none() -> Self {
        Self {
            first: [None, None, None, None],
            more: Vec::new(),
        }
    }

    /// Reads the declared fields of a call, in place: moving them costs as much as reading them.
    ///
    /// # Errors
    ///
    /// Returns [`DataError`] when the JSON is malformed, or two places disagree. What was read
    /// until then stays, and is not to be used.
    pub(crate) fn read<'p: 'a>(
        &mut self,
        fields: &[Field],
        target: Option<&Target<'a>>,
        parameter: impl Fn(&str) -> Option<&'p str>,
        json: &'a [u8],
        complete: bool,
    ) -> Result<(), DataError> {
        if json.is_empty() {
            return self.add(fields, target, parameter, |_| None, complete);
        }
        let mut flat = Flat::default();
        if flat.read(json).is_some() {
            let stated = |name: &str| flat.get(name).map(DataValue::from);
            return self.add(fields, target, parameter, stated, complete);
        }
        let body = parse(json)?;
        let stated = |name: &str| body.get(name).cloned().map(DataValue::Value);
        self.add(fields, target, parameter, stated, complete)
    }

    fn add<'p: 'a>(
        &mut self,
        fields: &[Field],
        target: Option<&Target<'a>>,
        parameter: impl Fn(&str) -> Option<&'p str>,
        stated: impl Fn(&str) -> Option<DataValue<'a>>,
        complete: bool,
    ) -> Result<(), DataError> {
        for field in fields {
            let in_target = match (target, &field.http) {
                (Some(_), FieldSource::Path(name)) => parameter(name).map(Cow::Borrowed),
                (Some(target), FieldSource::Query(name)) => query(target, name, field)?,
                _ => None,
            };
            // What has its place in the target is known, whatever became of the body.
            let is_cut =
                !complete && (target.is_none() || matches!(field.http, FieldSource::Body(_)));
            let value = match (in_target, stated(&field.name)) {
                (None, None | Some(DataValue::Value(Value::Null))) if !is_cut => continue,
                (None, None) => DataValue::Cut,
                (None, Some(value)) => value,
                // What most fields are goes to its place without a stop.
                (Some(Cow::Borrowed(text)), None) if field.kind == Type::String => {
                    self.push(field.id, DataValue::Text(text));
                    continue;
                }
                (Some(text), None) => read_text(text, (&field.kind).into()),
                (Some(text), Some(value)) => {
                    let text = read_text(text, (&field.kind).into());
                    if text.as_val() != value.as_val() {
                        return Err(DataError::Conflict(field.name.clone()));
                    }
                    text
                }
            };
            self.push(field.id, value);
        }
        Ok(())
    }

    /// Whether a field may have been cut.
    #[must_use]
    pub fn is_cut(&self, field: FieldId) -> bool {
        let mut values = self.first.iter().flatten().chain(&self.more);
        values.any(|(id, value)| *id == field && matches!(value, DataValue::Cut))
    }

    /// Whether any field may have been cut.
    #[must_use]
    pub fn is_any_cut(&self) -> bool {
        let mut values = self.first.iter().flatten().chain(&self.more);
        values.any(|(_, value)| matches!(value, DataValue::Cut))
    }

    #[inline]
    fn push(&mut self, field: FieldId, value: DataValue<'a>) {
        match self.first.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some((field, value)),
            None => self.more.push((field, value)),
        }
    }

    /// The value of a field; null when it is absent.
    ///
    /// # Errors
    ///
    /// Returns [`EvalError::DataIncomplete`] when it may have been cut.
    pub fn value(&self, field: FieldId) -> Result<Val<'_>, EvalError> {
        match self.get(field) {
            Some(DataValue::Cut) => Err(EvalError::DataIncomplete),
            Some(value) => Ok(value.as_val()),
            None => Ok(Val::Null),
        }
    }

    /// The value of a field, where it is a text.
    #[must_use]
    pub fn text(&self, field: FieldId) -> Option<&str> {
        self.get(field)?.as_str()
    }

    fn get(&self, field: FieldId) -> Option<&DataValue<'a>> {
        let mut values = self.first.iter().flatten().chain(&self.more);
        values.find(|(id, _)| *id == field).map(|(_, value)| value)
    }
}

impl DataValue<'_> {
    fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Value(value) => value.as_str(),
            Self::Cut => None,
        }
    }

    fn as_val(&self) -> Val<'_> {
        match self {
            Self::Text(text) => Val::Str(text),
            Self::Value(value) => value.as_val(),
            Self::Cut => Val::Null,
        }
    }
}

impl<'a> From<Plain<'a>> for DataValue<'a> {
    fn from(value: Plain<'a>) -> Self {
        match value {
            Plain::Text(text) => Self::Text(text),
            Plain::Int(value) => Self::Value(Value::Int(value)),
            Plain::Bool(value) => Self::Value(Value::Bool(value)),
            Plain::Null => Self::Value(Value::Null),
        }
    }
}

impl<'a> From<Cow<'a, str>> for DataValue<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Text(text),
            Cow::Owned(text) => Self::Value(Value::String(text.into())),
        }
    }
}

fn parse(json: &[u8]) -> Result<Value, DataError> {
    match Value::from_json(json, &JsonLimits::default()) {
        Ok(object @ Value::Map(_)) => Ok(object),
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
