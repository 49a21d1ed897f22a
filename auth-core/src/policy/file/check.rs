//! What a policy file may say of checks and where they look.

use std::{collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::policy::scalar::{At, NotInThisBuild};

/// Where look-ups look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceFile {
    /// A SQLite database, opened read-only; the path is relative to the file.
    Sqlite(At<String>),
    /// Not in this build.
    Postgres(NotInThisBuild),
    /// Not in this build.
    Http(NotInThisBuild),
    /// Not in this build.
    Redis(NotInThisBuild),
}

/// The name of one check, where a list or map is a mistake that deserves a word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct OneCheck(pub String);

impl<'de> Deserialize<'de> for OneCheck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        const SPELLINGS: &str = "`require` takes the name of one check; write \
            `require_all: [a, b]` where all must hold, or \
            `require_any: { key: a, other: [b, c] }` where one key is enough";

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = OneCheck;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a check")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<OneCheck, E> {
                Ok(OneCheck(name.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<OneCheck, A::Error> {
                Err(de::Error::custom(SPELLINGS))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<OneCheck, A::Error> {
                Err(de::Error::custom(SPELLINGS))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A named predicate.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CheckFile {
    /// An expression in CEL syntax; `true` and `false` need no quotes.
    Expression(#[schemars(schema_with = "text_or_boolean")] String),
    /// Look-ups and an expression over what they find; or a native check.
    Detailed(Box<DetailedCheckFile>),
}

fn text_or_boolean(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "boolean"] })
}

/// A check that is more than an expression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailedCheckFile {
    /// Rows to look up, by the name that `when` has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookup: BTreeMap<String, At<LookupFile>>,
    /// The expression, over session, data, wire and the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<At<String>>,
    /// A check that the embedding program registered by this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<At<String>>,
    /// Not in this build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callout: Option<NotInThisBuild>,
}

impl<'de> Deserialize<'de> for CheckFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = CheckFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression, or a map with `lookup` and `when`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CheckFile, E> {
                Ok(CheckFile::Expression(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<CheckFile, E> {
                Ok(CheckFile::Expression(value.to_string()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<CheckFile, A::Error> {
                DetailedCheckFile::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|detailed| CheckFile::Detailed(Box::new(detailed)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// One row to look up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupFile {
    /// The source.
    pub source: At<String>,
    /// The query; `$1`, `$2` ... stand for the arguments. The first row counts.
    pub sql: At<String>,
    /// The arguments, as `data.book_id` or `session.subject`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<At<String>>,
}
