//! Keys that parse and would do nothing: each is refused or warned of.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::{
    io,
    path::{Path, PathBuf},
};

use auth_core::policy::{Natives, Policy, source::Files};

/// A main file and one that it may include as `apps/*.yaml`.
#[derive(Debug)]
struct Two {
    main: &'static str,
    included: &'static str,
}

impl Files for Two {
    fn read(&self, path: &Path) -> io::Result<String> {
        let text = if path.starts_with("apps") {
            self.included
        } else {
            self.main
        };
        Ok(text.to_owned())
    }

    fn expand(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(vec!["apps/shop.yaml".into()])
    }

    fn read_secret(&self, _: &Path) -> io::Result<Vec<u8>> {
        // No real secret, only as varied as one must be.
        Ok(b"q7Zr0pXw2LkV9sTfYb4uJm6HcNd8GaEo1RiQ5xBnWzKvPjMyDhSgUtCl".to_vec())
    }
}

fn load(main: &'static str, included: &'static str) -> Result<Policy, String> {
    let files = Two { main, included };
    Policy::load(Path::new("main.yaml"), &files, &Natives::default()).map_err(|err| err.to_string())
}

const SHOP: &str = "app: shop\noperations: { a: { http: GET /a } }\n";

#[test]
fn what_would_be_ignored_is_refused() {
    for (main, included, place, words) in [
        (
            "include: [ 'apps/*.yaml' ]\napp: books\n",
            SHOP,
            "main.yaml:2:6",
            "`app` has no meaning here",
        ),
        (
            "include: [ 'apps/*.yaml' ]\nhosts: [ books.example ]\n",
            SHOP,
            "main.yaml:2:10",
            "`hosts` has no meaning here",
        ),
        (
            "include: [ 'apps/*.yaml' ]\n",
            "sources: { db: { sqlite: ./a } }\noperations: { a: { http: GET /a } }\n",
            "apps/shop.yaml:1:1",
            "`sources` belongs to the platform",
        ),
        (
            "include: [ 'apps/*.yaml' ]\n",
            "include: [ b.yaml ]\n",
            "apps/shop.yaml:1:12",
            "an included file cannot include others",
        ),
        (
            "operations: { a: { http: GET /a, custom: { mcp: b } } }\n",
            "",
            "main.yaml:1:",
            "write it without `custom`",
        ),
        (
            "rules: [ { match: { tag: t }, wire_only: true, require: c } ]\nchecks: { c: true }\n",
            "",
            "main.yaml:1:",
            "`wire_only` goes with",
        ),
    ] {
        let refusal = load(main, included).unwrap_err();
        for part in [place, words] {
            assert!(refusal.contains(part), "{main}: `{part}` not in\n{refusal}");
        }
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    for (main, included, place, words) in [
        (
            "app: a\nsessions: { beyond_limit: refuse }\n",
            "",
            ("main.yaml", 2),
            "`beyond_limit` has no effect without `max_per_subject`",
        ),
        (
            "strategies:\n  - bearer:\n      issuers:\n        - issuer: https://id.example\n          \
             audience: a\n          namespace: idp\n          algorithms: [ HS256 ]\n          \
             keys_file: k\n          private_address: true\n",
            "",
            ("main.yaml", 8),
            "`private_address` has no effect",
        ),
        (
            "operations:\n  a: { session: none, actors: allow, http: GET /a }\n",
            "",
            ("main.yaml", 2),
            "`actors: allow` has no effect",
        ),
        (
            "operations:\n  a:\n    http: GET /a\n    data: { b: { type: string, mcp: arguments.b } }\n",
            "",
            ("main.yaml", 4),
            "the operation has no target on mcp",
        ),
        (
            "operations:\n  a:\n    mcp: a\n    data: { b: { type: string, http: query.b } }\n",
            "",
            ("main.yaml", 4),
            "the operation has no target on http",
        ),
        (
            "rules: [ { match: { tag: t }, require: c } ]\nchecks: { c: true }\n\
             operations: { a: { http: GET /a } }\n",
            "",
            ("main.yaml", 1),
            "this rule matches no operation",
        ),
        (
            "include: [ 'apps/*.yaml' ]\n",
            "checks: { c: true }\nrules: [ { match: { tag: t }, require: c } ]\n\
             operations: { a: { http: GET /a } }\n",
            ("apps/shop.yaml", 2),
            "this rule matches no operation",
        ),
    ] {
        let policy = load(main, included).unwrap_or_else(|err| panic!("{main}{included}{err}"));
        let found = policy.warnings.iter().find(|warning| {
            (warning.file.as_str(), warning.line) == place && warning.message.contains(words)
        });
        assert!(found.is_some(), "{main}{included}: {:?}", policy.warnings);
    }
}

#[test]
fn a_file_whose_every_key_has_effect_gives_no_warning() {
    let main = "include: [ 'apps/*.yaml' ]\nchecks: { c: true }\n\
                rules: [ { match: { prefix: /a }, require: c } ]\n\
                sessions: { max_per_subject: 2, beyond_limit: refuse }\n";
    let policy = load(main, SHOP).unwrap();
    assert_eq!(policy.warnings, []);
}
