//! What the README tells people to type, typed.

use std::path::Path;

use crate::{run::run, running::Dev};

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    std::fs::read_to_string(path).unwrap()
}

/// The code blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let readme = readme();
    let parts = readme.split(&fence).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap().to_owned())
        .collect()
}

/// Splits a line as a shell would, as far as the README's lines need it.
fn words(line: &str) -> Vec<&str> {
    let quoted = line.split('"').enumerate();
    quoted
        .flat_map(|(index, part)| {
            if index % 2 == 1 {
                vec![part]
            } else {
                part.split_whitespace().collect()
            }
        })
        .collect()
}

/// Where the lines for the demo find the shop.
const SHOP: &str = "http://localhost:7483";

#[test]
fn the_minute_with_curl_does_what_the_readme_says() {
    let dev = Dev::start();
    let blocks = blocks("sh");
    let minute = blocks.iter().find(|block| block.contains(SHOP)).unwrap();
    let text = |name: &str| dev.ready[name].as_str().unwrap().to_owned();
    let port = text("proxy").rsplit(':').next().unwrap().to_owned();
    let program = env!("CARGO_BIN_EXE_sidegate");
    let script = minute
        .replace(SHOP, &format!("http://localhost:{port}"))
        .replace(
            "\nsidegate ",
            &format!("\nSIDEGATE_ADDR='{}' {program} ", text("admin")),
        );
    std::fs::write(dev.path("readme.sh"), script).unwrap();
    let ran = dev.script("readme.sh");
    let mut rest = ran.stdout.as_str();
    for part in [
        "welcome, rita",
        r#""deleted":"b1""#,
        "requirement_failed",
        "ended 1 session",
        "credential_rejected",
    ] {
        let found = rest.split_once(part);
        rest = found
            .unwrap_or_else(|| panic!("`{part}` is missing: {ran:?}"))
            .1;
    }
}

#[test]
fn the_commands_for_a_policy_of_ones_own_do_what_the_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks("sh");
    let lines: Vec<_> = blocks
        .iter()
        .filter(|block| !block.contains(SHOP))
        .flat_map(|block| block.lines())
        .filter(|line| line.starts_with("sidegate "))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let codes: Vec<_> = lines
        .iter()
        .map(|line| run(folder.path(), words(line).get(1..).unwrap()).code)
        .collect();
    // Made, valid with all its cases, and a deny with the tree of checks behind it.
    assert_eq!(codes, [0, 0, 10], "{lines:?}");
}

#[test]
fn the_commands_that_start_and_test_it_are_there() {
    let blocks = blocks("sh");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    assert!(blocks.contains(&"cargo run --release -p sidegate-cli -- dev\n".to_owned()));
    assert!(blocks.contains(&"tests/run\n".to_owned()));
    assert!(root.join("tests/run").exists());
}

#[test]
fn the_examples_of_a_policy_file_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let policies = blocks("yaml");
    assert_eq!(policies.len(), 2);
    for policy in policies {
        std::fs::write(folder.path().join("sidegate.yaml"), &policy).unwrap();
        let ran = run(folder.path(), &["validate", "sidegate.yaml"]);
        assert_eq!(ran.code, 0, "{policy}\n{}", ran.stderr);
    }
}
