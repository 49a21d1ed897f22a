//! From the bytes of an HTTP body to the declared data of an operation (R24).
//!
//! Every edge that reads bodies reads them here, so that all see the same data. The app reads the
//! body a second time, with a parser of its own; what two parsers could read differently is refused
//! where it concerns a declared field: one that stands twice, or in another case of letters (some
//! parsers ignore the case). What is not declared need only be well-formed.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{
    data::{TextType, text},
    session::JsonObject,
    target::{TargetError, form_text},
    value::{JsonLimits, Seed, Value},
    wire::MAX_DATA_BYTES,
};

/// Why a body gave no data. Names fields, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is of no media type that is read here: ask for a decision without it.
    #[error("the body is of no media type that data is read from")]
    Unreadable,
    /// It makes no sense: the call is invalid.
    #[error("{0}")]
    Invalid(String),
}

/// A form that a body may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Json,
    Form,
}

/// A field that an operation declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared<'p> {
    /// Its name.
    pub field: &'p str,
    /// Where the body holds it, as `payload.book_id`.
    pub path: &'p str,
    /// What a text of a form is read as.
    pub text: TextType,
}

/// Whether data can be read from a body of this media type, the value of `Content-Type`.
#[must_use]
pub fn is_readable(content_type: &[u8]) -> bool {
    media(content_type).is_some()
}

/// The declared data of a whole body, as `data_json` has it: for each field of the wire profile the
/// value at its path, under the field's name. In a form all values are texts, read as the declared
/// type where they fit it, as those of a query are, and a path is a name as it stands. An empty body
/// has no data.
///
/// # Errors
///
/// Returns [`BodyError`] when the media type is another one, or the body is malformed, or a
/// declared field stands twice, in another case of letters or below what is no object, or takes
/// more than [`MAX_DATA_BYTES`].
pub fn data_json(
    body: &[u8],
    content_type: &[u8],
    fields: &[Declared<'_>],
) -> Result<Bytes, BodyError> {
    if body.is_empty() {
        return Ok(Bytes::new());
    }
    let media = media(content_type).ok_or(BodyError::Unreadable)?;
    let text = std::str::from_utf8(body).map_err(|_| invalid("the body is not UTF-8"))?;
    let mut data = JsonObject::new();
    match media {
        Media::Json => {
            let fields: Vec<Sought<'_>> = fields
                .iter()
                .map(|Declared { field, path, .. }| Sought { field, path })
                .collect();
            let mut reader = serde_json::Deserializer::from_str(text);
            let mut found = Vec::new();
            let object = Object {
                fields: &fields,
                found: &mut found,
            };
            let read = object.deserialize(&mut reader).and_then(|()| reader.end());
            read.map_err(|err| invalid(format!("the body is no JSON as declared: {err}")))?;
            data.extend(found);
        }
        Media::Form => {
            for declared in fields {
                if let Some(text) = form_value(text, declared.path)? {
                    let value = match text::value(&text, declared.text) {
                        Some(value) => json(&value),
                        None => text.into_owned().into(),
                    };
                    data.insert(declared.field.to_owned(), value);
                }
            }
        }
    }
    let json = serde_json::to_vec(&data).map_err(|err| invalid(err.to_string()))?;
    if json.len() > MAX_DATA_BYTES {
        return Err(invalid("the declared data takes more than 64 KiB"));
    }
    Ok(json.into())
}

fn invalid(why: impl Into<String>) -> BodyError {
    BodyError::Invalid(why.into())
}

/// The media type, without its parameters, of which only another charset than UTF-8 matters.
fn media(content_type: &[u8]) -> Option<Media> {
    let text = std::str::from_utf8(content_type).ok()?;
    let mut parts = text.split(';');
    let essence = parts.next()?.trim().to_ascii_lowercase();
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii")
        }
        _ => true,
    });
    let is_json = essence == "application/json"
        || (essence.ends_with("+json") && essence.matches('/').count() == 1);
    match essence.as_str() {
        _ if !is_utf8 => None,
        "application/x-www-form-urlencoded" => Some(Media::Form),
        _ => is_json.then_some(Media::Json),
    }
}

/// A field, and where it is from here on.
#[derive(Clone, Copy)]
struct Sought<'p> {
    field: &'p str,
    path: &'p str,
}

impl<'p> Sought<'p> {
    fn head(&self) -> &'p str {
        self.path
            .split_once('.')
            .map_or(self.path, |(head, _)| head)
    }

    /// Where it is within its head; `None` where the head is itself.
    fn below(&self) -> Option<Self> {
        let (_, path) = self.path.split_once('.')?;
        Some(Self {
            field: self.field,
            path,
        })
    }
}

/// Reads an object and what is sought in it.
struct Object<'s, 'p> {
    fields: &'s [Sought<'p>],
    found: &'s mut Vec<(String, serde_json::Value)>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// Nothing where an object may be is an object without members.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen: Vec<&str> = Vec::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            let concerned = self
                .fields
                .iter()
                .find(|sought| is_like(sought.head(), &name));
            let Some(head) = concerned.map(Sought::head) else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Some(why) = odd(head, &name, &seen) {
                return Err(serde::de::Error::custom(why));
            }
            seen.push(head);
            let here = self.fields.iter().filter(|sought| sought.head() == head);
            self.found.extend(members.next_value_seed(Member {
                fields: here.copied().collect(),
            })?);
        }
        Ok(())
    }
}

/// What is wrong with a member that is called like a declared one.
fn odd(head: &str, name: &str, seen: &[&str]) -> Option<String> {
    if name != head {
        return Some(format!("`{head}` stands in another case of letters"));
    }
    seen.contains(&head)
        .then(|| format!("`{head}` stands twice"))
}

/// Reads a member: as it is, or what is sought below it.
struct Member<'p> {
    fields: Vec<Sought<'p>>,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = Vec<(String, serde_json::Value)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let below: Vec<_> = self.fields.iter().filter_map(Sought::below).collect();
        let mut found = Vec::new();
        if below.len() == self.fields.len() {
            let object = Object {
                fields: &below,
                found: &mut found,
            };
            object.deserialize(deserializer)?;
            return Ok(found);
        }
        let limits = JsonLimits::default();
        let seed = Seed {
            depth: limits.max_depth,
        };
        let value = seed.deserialize(deserializer)?;
        for sought in &self.fields {
            let value = match sought.below() {
                None => Some(&value),
                Some(below) => below.path.split('.').try_fold(&value, Value::get),
            };
            if let Some(value) = value {
                found.push((sought.field.to_owned(), json(value)));
            }
        }
        Ok(found)
    }
}

/// A value that was read from JSON, as JSON again; integers stay exact.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => (*value).into(),
        Value::String(text) => (**text).into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(map) => map
            .iter()
            .map(|(name, value)| (name.to_string(), json(value)))
            .collect::<JsonObject>()
            .into(),
        // Neither stands in JSON.
        Value::Null | Value::Timestamp(_) | Value::Duration(_) => serde_json::Value::Null,
    }
}

/// The one value of a form under a name.
fn form_value<'f>(form: &'f str, name: &str) -> Result<Option<Cow<'f, str>>, BodyError> {
    let malformed = |err: TargetError| invalid(format!("the form is malformed: {err}"));
    let mut found = None;
    for piece in form.split('&') {
        let key = |pair: &'f str| form_text(pair.split_once('=').map_or(pair, |(key, _)| key));
        // Some readers also split at `;`, and would see other pairs.
        if piece.contains(';') {
            for part in piece.split(';') {
                if is_like(name, &key(part).map_err(malformed)?) {
                    return Err(malformed(TargetError::QuerySemicolon));
                }
            }
            continue;
        }
        let key = key(piece).map_err(malformed)?;
        if !is_like(name, &key) {
            continue;
        }
        let seen: &[&str] = if found.is_some() { &[name] } else { &[] };
        if let Some(why) = odd(name, &key, seen) {
            return Err(invalid(format!("the form: {why}")));
        }
        let value = piece.split_once('=').map_or("", |(_, value)| value);
        found = Some(form_text(value).map_err(malformed)?);
    }
    Ok(found)
}

/// Whether two names are the same to a parser that ignores the case of letters.
fn is_like(one: &str, other: &str) -> bool {
    let fold = |text: &str| -> Vec<char> {
        let upper = text.chars().flat_map(char::to_uppercase);
        upper.flat_map(char::to_lowercase).collect()
    };
    match one.is_ascii() && other.is_ascii() {
        true => one.eq_ignore_ascii_case(other),
        false => fold(one) == fold(other),
    }
}

#[cfg(test)]
mod tests;
