//! The hostile requests, as the bytes to send.

use serde::{Deserialize, de::DeserializeOwned};

/// A target that may never be allowed, sent without a credential.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name, unique.
    pub name: String,
    /// What kind of trick it is.
    pub class: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    target: String,
    then: Option<Padding>,
    /// Whether the core refuses the target as such; otherwise its path is judged, and denied.
    pub ambiguous: bool,
    /// What goes wrong where it is taken for something else.
    pub why: String,
}

impl Target {
    /// The bytes of the target.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = bytes(&self.target);
        if let Some(then) = &self.then {
            bytes.extend(self::bytes(&then.whole()));
        }
        bytes
    }

    /// The whole request to a host, on a connection of its own.
    #[must_use]
    pub fn request(&self, host: &str) -> Vec<u8> {
        let mut request = format!("{} ", self.method).into_bytes();
        request.extend(self.bytes());
        request
            .extend(format!(" HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes());
        request
    }
}

/// What may happen to a set of headers on an open path. On a closed one nothing is ever allowed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OnOpen {
    /// May reach the app, without the marker in any `sidegate-` header.
    Stripped,
    /// May reach the app.
    Harmless,
    /// May not reach the app.
    Refused,
    /// At most one request may reach the app, on the target that was asked for.
    Framed,
    /// Refused, or passed like `Stripped`.
    Bounded,
}

/// A set of header lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderSet {
    /// Its name, unique.
    pub name: String,
    /// What kind of trick it is.
    pub class: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    lines: Vec<String>,
    #[serde(default = "once")]
    repeat: usize,
    padding: Option<Padding>,
    #[serde(default)]
    body: String,
    /// What must not arrive in a header of ours.
    #[serde(default = "evil")]
    pub marker: String,
    /// What may happen on an open path.
    pub on_open: OnOpen,
    /// What goes wrong where it is believed.
    pub why: String,
}

impl HeaderSet {
    /// Whether it carries the session of an ordinary user.
    #[must_use]
    pub fn needs_session(&self) -> bool {
        self.lines.iter().any(|line| line.contains("{session}"))
    }

    /// The header lines, with a session's token where one is asked for.
    #[must_use]
    pub fn lines(&self, session: &str) -> Vec<Vec<u8>> {
        let padding = self
            .padding
            .as_ref()
            .map(Padding::whole)
            .unwrap_or_default();
        let turns = (0..self.repeat).flat_map(|turn| {
            let turn = turn.to_string();
            self.lines
                .iter()
                .map(move |line| line.replace("{n}", &turn))
        });
        turns
            .map(|line| {
                line.replace("{session}", session)
                    .replace("{padding}", &padding)
            })
            .map(|line| bytes(&line))
            .collect()
    }

    /// The whole request for a target of a host, on a connection of its own.
    #[must_use]
    pub fn request(&self, host: &str, target: &str, session: &str) -> Vec<u8> {
        let mut request = format!("{} {target} HTTP/1.1\r\nHost: {host}\r\n", self.method);
        // Where the set has a `Connection` of its own, that one stands alone.
        let mut own = self.lines.iter();
        if !own.any(|line| line.to_ascii_lowercase().starts_with("connection:")) {
            request.push_str("Connection: close\r\n");
        }
        let mut request = request.into_bytes();
        // A folded line must follow the line that it is to be read into.
        for line in self.lines(session) {
            request.extend(line);
            request.extend(b"\r\n");
        }
        request.extend(b"\r\n");
        request.extend(bytes(&self.body));
        request
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Padding {
    text: String,
    times: usize,
}

impl Padding {
    fn whole(&self) -> String {
        self.text.repeat(self.times)
    }
}

/// Every target of `targets.yaml`.
///
/// # Errors
///
/// Returns what is wrong with the file.
pub fn targets() -> Result<Vec<Target>, Malformed> {
    load(include_str!("targets.yaml"))
}

/// Every set of `headers.yaml`.
///
/// # Errors
///
/// Returns what is wrong with the file.
pub fn header_sets() -> Result<Vec<HeaderSet>, Malformed> {
    load(include_str!("headers.yaml"))
}

/// The corpus of this build is damaged.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the hostile requests of this build cannot be read: {0}")]
pub struct Malformed(String);

fn load<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Malformed> {
    serde_saphyr::from_str(text).map_err(|err| Malformed(err.to_string()))
}

/// One byte for each character; a test holds the corpus to characters that are bytes.
fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).unwrap_or(b'?'))
        .collect()
}

fn get() -> String {
    "GET".to_owned()
}

fn evil() -> String {
    "evil".to_owned()
}

const fn once() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_enough_targets_and_each_has_its_name() {
        let targets = targets().unwrap();
        let names: BTreeSet<_> = targets.iter().map(|target| &target.name).collect();
        assert!(targets.len() >= 90, "{}", targets.len());
        assert_eq!(names.len(), targets.len());
    }

    #[test]
    fn the_core_refuses_the_ambiguous_targets_and_reads_the_others() {
        for target in targets().unwrap() {
            let bytes = target.bytes();
            let read = auth_core::target::Target::parse(&bytes);
            assert_eq!(read.is_err(), target.ambiguous, "{}: {read:?}", target.name);
            if let Ok(read) = read {
                assert!(!read.path().starts_with("/public/"), "{}", target.name);
            }
        }
    }

    #[test]
    fn the_corpus_is_written_in_characters_that_are_bytes() {
        for text in [include_str!("targets.yaml"), include_str!("headers.yaml")] {
            let values = text.lines().filter(|line| !line.starts_with('#'));
            for line in values {
                assert!(line.chars().all(|c| u8::try_from(c).is_ok()), "{line}");
            }
        }
    }

    #[test]
    fn there_are_enough_header_sets_and_each_has_its_name() {
        let sets = header_sets().unwrap();
        let names: BTreeSet<_> = sets.iter().map(|set| &set.name).collect();
        assert!(sets.len() >= 40, "{}", sets.len());
        assert_eq!(names.len(), sets.len());
    }

    #[test]
    fn a_set_is_written_as_it_stands() {
        let sets = header_sets().unwrap();
        let request = |name: &str| {
            let set = sets.iter().find(|set| set.name == name).unwrap();
            String::from_utf8_lossy(&set.request("h", "/x", "sg1")).into_owned()
        };
        assert!(request("injection/fold").contains("\r\nX-Note: a\r\n Sidegate-Subject: evil"));
        assert!(request("credentials/cookie-twice").contains("=sg1; __Host-session=evil\r\n"));
        assert_eq!(request("bomb/many").matches("\r\nX-Bomb-").count(), 500);
        assert!(request("bomb/many").contains("X-Bomb-499: evil"));
        assert!(request("framing/lengths-differ").ends_with("Sidegate-Subject: evil\r\n\r\n"));
        assert!(!request("hop-by-hop/connection-names-all").contains("close\r\n"));
    }

    #[test]
    fn a_set_that_may_not_be_believed_carries_its_marker() {
        let marked = |set: &HeaderSet| {
            String::from_utf8_lossy(&set.request("h", "/x", "sg1")).contains(&set.marker)
        };
        let stripped = header_sets().unwrap().into_iter();
        for set in stripped.filter(|set| set.on_open == OnOpen::Stripped && set.class == "identity")
        {
            assert!(marked(&set), "{}", set.name);
        }
    }
}
