//! Who calls, as `sidegate can` is told.

use auth_core::{
    principal::Principal,
    stated::StatedSession,
    wire::{Credential, CredentialSource},
};
use clap::Args;
use serde_json::Value;

use crate::{failure::Failure, input, stated};

/// The cookie where none is named, as in policy files.
const COOKIE: &str = "__Host-session";
/// The header of API keys where none is named, as in policy files.
const API_KEY_HEADER: &str = "x-api-key";

/// Who calls; nobody where nothing is said.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct WhoArgs {
    /// Somebody with no claims, as `u1` or `idp/u1`.
    #[arg(long = "as", value_name = "SUBJECT")]
    subject: Option<Principal>,
    /// A session: JSON, `@FILE` or `-`.
    #[arg(long, value_name = "JSON")]
    session: Option<String>,
    /// The holder of a token, read from stdin (`-`) or `@FILE`.
    #[arg(long, value_name = "-|@FILE", allow_hyphen_values = true)]
    token: Option<String>,
    /// The holder of a cookie, read from stdin (`-`) or `@FILE`: `NAME=VALUE`, or the value alone
    /// of `__Host-session`.
    #[arg(long, value_name = "-|@FILE", allow_hyphen_values = true)]
    cookie: Option<String>,
    /// The holder of an API key, read from stdin (`-`) or `@FILE`: `HEADER: KEY`, or the key alone
    /// for `x-api-key`.
    #[arg(long, value_name = "-|@FILE", allow_hyphen_values = true)]
    api_key: Option<String>,
}

/// Who calls.
pub(crate) enum Who {
    /// Somebody with a stated session; its text as given.
    Session(Box<StatedSession>, String),
    /// The holder of a credential.
    Holder(Credential),
    /// Nobody.
    Nobody,
}

impl Who {
    /// Somebody with this session, in process.
    pub(crate) fn stated(session: StatedSession) -> Self {
        Self::Session(Box::new(session), String::new())
    }
}

impl WhoArgs {
    /// Whether stdin is read for it.
    pub(super) fn reads_stdin(&self) -> bool {
        let values = [&self.session, &self.token, &self.cookie, &self.api_key];
        values.iter().any(|value| value.as_deref() == Some("-"))
    }

    /// Reads it, from stdin or a file where it says so.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when it cannot be read or a secret stands in the argument itself.
    pub(super) fn read(&self) -> Result<Who, Failure> {
        if let Some(subject) = &self.subject {
            let json = serde_json::json!({ "subject": subject }).to_string();
            let session = StatedSession::of(subject.clone());
            return Ok(Who::Session(Box::new(session), json));
        }
        if let Some(session) = &self.session {
            let json = input::value("--session", session)?;
            return Ok(Who::Session(Box::new(stated::parse(&json)?), json));
        }
        if let Some(token) = &self.token {
            return Ok(Who::Holder(bearer(&input::secret("--token", token)?)));
        }
        if let Some(line) = &self.cookie {
            return Ok(Who::Holder(cookie(&input::secret("--cookie", line)?)));
        }
        if let Some(key) = &self.api_key {
            return Ok(Who::Holder(api_key(&input::secret("--api-key", key)?)));
        }
        Ok(Who::Nobody)
    }

    /// A word where a policy does not look for what was presented.
    pub(super) fn overlooked(&self, fate: &Value) -> Option<&'static str> {
        if fate["state"] != "absent" {
            return None;
        }
        if self.cookie.is_some() {
            return Some("the policy takes no cookie of this name: `--cookie` reads `NAME=VALUE`");
        }
        if self.api_key.is_some() {
            return Some(
                "the policy takes no API key in this header: `--api-key` reads `HEADER: KEY`",
            );
        }
        let is_token = self.token.is_some();
        is_token.then_some("the policy has no strategy `bearer`, which takes tokens")
    }
}

fn bearer(token: &str) -> Credential {
    Credential {
        source: CredentialSource::Authorization,
        name: String::new(),
        value: format!("Bearer {token}").into(),
    }
}

/// A cookie as a line of cookies; tokens of ours hold no `=`.
fn cookie(text: &str) -> Credential {
    let line = match text.contains('=') {
        true => text.to_owned(),
        false => format!("{COOKIE}={text}"),
    };
    Credential {
        source: CredentialSource::Cookie,
        name: String::new(),
        value: line.into(),
    }
}

/// An API key in its header; keys of ours hold no `:`.
fn api_key(text: &str) -> Credential {
    let (header, key) = text.split_once(':').unwrap_or((API_KEY_HEADER, text));
    Credential {
        source: CredentialSource::Header,
        name: header.trim().to_ascii_lowercase(),
        value: key.trim().to_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_and_a_key_have_the_names_of_policy_files_where_none_is_given() {
        for (credential, name, value) in [
            (cookie("sg1_x"), "", "__Host-session=sg1_x"),
            (cookie("sid=sg1_x; a=1"), "", "sid=sg1_x; a=1"),
            (api_key("sgk_x"), "x-api-key", "sgk_x"),
            (api_key("X-Key: sgk_x"), "x-key", "sgk_x"),
        ] {
            assert_eq!(
                (&*credential.name, &*credential.value),
                (name, value.as_bytes())
            );
        }
    }
}
