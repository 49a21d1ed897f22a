//! The JSON Schema of the policy file: published, up to date, and of one mind with the code.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use auth_core::policy::{
    diagnostic::PolicyError,
    file::PolicyFile,
    source::{Document, MAX_FILE_BYTES},
};
use jsonschema::Validator;
use serde_json::Value;

mod schema {
    pub(crate) mod bad;
}

/// The published schema, beside the crate's sources.
const PUBLISHED: &str = include_str!("../schema/sidegate.schema.json");

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn validator() -> Validator {
    let schema = schemars::schema_for!(PolicyFile);
    jsonschema::validator_for(schema.as_value()).unwrap()
}

/// What a schema sees of a file: plain data, after YAML 1.2.
fn data(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

fn parse(text: &str) -> Result<Document, PolicyError> {
    Document::parse(Path::new("f.yaml"), text.to_owned())
}

fn read(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    assert!(text.len() < MAX_FILE_BYTES, "{}", path.display());
    text
}

/// The files with this ending in a folder of the repository, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap_or_else(|err| panic!("{folder}: {err}"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    found
}

/// Every valid policy file of the repository, by where it stands.
fn valid() -> Vec<(String, String)> {
    let mut all: Vec<PathBuf> = ["cli/demo", "cli/demo/init", "cli/demo/apps"]
        .iter()
        .flat_map(|folder| files(folder, ".yaml"))
        .filter(|path| !path.ends_with("sidegate.test.yaml"))
        .collect();
    all.extend(files("tests/cases/policies", ".yaml"));
    let mut texts: Vec<(String, String)> = all
        .iter()
        .map(|path| (path.display().to_string(), read(path)))
        .collect();
    for path in files("tests/cases", ".yaml") {
        let cases = data(&read(&path));
        let policy = cases.get("policy").and_then(Value::as_str);
        if let Some(policy) = policy.filter(|policy| policy.contains('\n')) {
            texts.push((path.display().to_string(), policy.to_owned()));
        }
    }
    texts.extend(
        read(&root().join("README.md"))
            .split("```yaml\n")
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap_or_default())
            .map(|text| ("README.md".to_owned(), text.to_owned())),
    );
    texts
}

#[test]
fn the_published_schema_is_the_codes() {
    let mut now = serde_json::to_string_pretty(&schemars::schema_for!(PolicyFile)).unwrap();
    now.push('\n');
    assert!(
        now == PUBLISHED,
        "auth-core/schema/sidegate.schema.json is stale; renew it with \
         `cargo run -p sidegate-cli -- schema > auth-core/schema/sidegate.schema.json`"
    );
}

#[test]
fn every_policy_of_the_repository_is_valid_under_the_schema_and_loads() {
    let validator = validator();
    let texts = valid();
    assert!(texts.len() >= 14, "only {} were found", texts.len());
    for (name, text) in texts {
        if let Err(err) = validator.validate(&data(&text)) {
            panic!("{name}: {err} at {}\n{text}", err.instance_path());
        }
        if let Err(err) = parse(&text) {
            panic!("{name}: {err}");
        }
    }
}

#[test]
fn what_the_schema_refuses_the_code_refuses() {
    let validator = validator();
    for text in schema::bad::BOTH_REFUSE {
        assert!(!validator.is_valid(&data(text)), "schema: {text}");
        assert!(parse(text).is_err(), "code: {text}");
    }
}

#[test]
fn what_only_the_code_can_see_passes_the_schema() {
    let validator = validator();
    for (text, words) in schema::bad::CODE_ALONE_REFUSES {
        assert!(validator.is_valid(&data(text)), "schema: {text}");
        let refusal = load(text).unwrap_err().to_string();
        assert!(refusal.contains(words), "{text}\n{refusal}");
    }
}

/// Compiles the text in full.
fn load(text: &str) -> Result<auth_core::policy::Policy, PolicyError> {
    use auth_core::policy::{Natives, Policy, source::Text};
    let files = Text(text.to_owned());
    Policy::load(Path::new("f.yaml"), &files, &Natives::default())
}

/// Puts each of some values in the place of each value of each valid file: schema and code must say
/// the same of every one.
#[test]
fn schema_and_code_agree_on_every_kind_of_value_everywhere() {
    let validator = validator();
    let mut seen = 0;
    let mut differences = Vec::new();
    for (name, text) in valid() {
        let whole = data(&text);
        for place in places(&whole, "") {
            for value in kinds() {
                let mut mutant = whole.clone();
                *mutant.pointer_mut(&place).unwrap() = value.clone();
                let by_schema = validator.is_valid(&mutant);
                let by_code = parse(&mutant.to_string());
                seen += 1;
                if by_schema != by_code.is_ok() {
                    let code = by_code.err().map(|err| err.diagnostics[0].message.clone());
                    differences.push(format!("{name} {place} = {value}: code says {code:?}"));
                }
            }
        }
    }
    assert!(seen > 1000, "{seen}");
    assert!(
        differences.is_empty(),
        "{} of {seen}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn kinds() -> Vec<Value> {
    use serde_json::json;
    vec![
        json!(null),
        json!(true),
        json!(7),
        json!("x y"),
        json!([]),
        json!({}),
        json!([[]]),
        json!({ "zz": 1 }),
    ]
}

/// The JSON pointers of all values below `value`.
fn places(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    below
        .into_iter()
        .flat_map(|(key, value)| {
            let here = format!("{at}/{key}");
            let mut all = places(value, &here);
            all.push(here);
            all
        })
        .collect()
}
