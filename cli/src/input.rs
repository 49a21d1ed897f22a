//! Values from arguments, files (`@FILE`) and stdin (`-`), and secrets, which never stand in
//! arguments: those can be read by every process with `ps`.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

use auth_core::session::JsonObject;
use serde_json::Value;

use crate::{exit::Exit, failure::Failure};

/// The most that is read of a value, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A value that the argument is or names.
///
/// # Errors
///
/// Returns [`Failure`] when the file or stdin cannot be read.
pub fn value(flag: &str, text: &str) -> Result<String, Failure> {
    match text.strip_prefix('@') {
        Some(path) => file(flag, Path::new(path)),
        None if text == "-" => stdin(flag),
        None => Ok(text.to_owned()),
    }
}

/// A JSON object that the argument is or names.
///
/// # Errors
///
/// Returns [`Failure`] when it cannot be read or is no JSON object.
pub fn object(flag: &str, text: &str) -> Result<JsonObject, Failure> {
    let text = value(flag, text)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Failure::usage(format!(
            "`{flag}` takes a JSON object, this is {}",
            kind(&other)
        ))),
        Err(err) => Err(Failure::usage(format!("`{flag}` takes a JSON object: {err}"))
            .next(format!("quote it for the shell: `{flag} '{{\"key\": \"value\"}}'`, or put it in a file: `{flag} @FILE`"))),
    }
}

/// A secret: from stdin (`-`) or a file (`@FILE`), never from the argument itself.
///
/// # Errors
///
/// Returns [`Failure`] when it stands in the argument, cannot be read or is empty.
pub fn secret(flag: &str, text: &str) -> Result<String, Failure> {
    if text != "-" && !text.starts_with('@') {
        // The argument is not repeated: it would end up in one more log.
        return Err(Failure::usage(format!(
            "a secret in an argument can be read by every process with `ps`, so `{flag}` takes none"
        ))
        .next(format!(
            "`{flag} -` reads it from stdin, `{flag} @FILE` from a file"
        )));
    }
    let secret = value(flag, text)?.trim().to_owned();
    if secret.is_empty() {
        return Err(Failure::usage(format!(
            "`{flag}`: there is nothing to read"
        )));
    }
    Ok(secret)
}

/// The token in a caller's token file.
///
/// # Errors
///
/// Returns [`Failure`] when it cannot be read or is empty.
pub fn token_file(path: &PathBuf) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|err| {
        Failure::file(Exit::NotPermitted, path, &err)
            .next("`SIDEGATE_TOKEN_FILE` names the file with the caller's token")
    })?;
    match text.trim() {
        "" => Err(Failure::new(
            Exit::NotPermitted,
            format!("`{}` holds no token", path.display()),
        )),
        token => Ok(token.to_owned()),
    }
}

fn file(flag: &str, path: &Path) -> Result<String, Failure> {
    let read = || {
        let mut text = String::new();
        fs::File::open(path)?
            .take(MAX_BYTES)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|err: io::Error| Failure::usage(format!("`{flag} @{}`: {err}", path.display())))
}

fn stdin(flag: &str) -> Result<String, Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        // There is no prompt: a script without a terminal and a person at one get the same.
        return Err(
            Failure::usage(format!("`{flag} -` reads stdin, which is a terminal"))
                .next("pipe the value in: `... | sidegate ...`"),
        );
    }
    let mut text = String::new();
    input
        .lock()
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|err| Failure::usage(format!("`{flag} -`: stdin cannot be read: {err}")))?;
    Ok(text)
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_an_argument_is_refused_and_not_repeated() {
        let failure = secret("--token", "sg1_topsecret").unwrap_err();
        let text = failure.render();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(
            text.contains("`ps`") && !text.contains("topsecret"),
            "{text}"
        );
    }
}
