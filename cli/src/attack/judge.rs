//! Sends the hostile requests through an edge to an app that records what reached it.

use std::{collections::BTreeSet, future::Future, net::SocketAddr, time::Duration};

use super::{
    corpus::{HeaderSet, Malformed, OnOpen, header_sets, targets},
    raw::{self, NoAnswer},
    wire::Headers,
};

/// A request, as it reached the app.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The request target, one character for each byte.
    pub target: String,
    /// The headers, in order and case.
    pub headers: Headers,
    /// The trailers of a chunked body.
    pub trailers: Headers,
}

/// An app that tells what reached it.
pub trait Witness: Sync {
    /// Why it cannot tell.
    type Silent: From<Malformed> + Send;

    /// What came since the last time this was asked.
    fn take(&self) -> impl Future<Output = Result<Vec<Seen>, Self::Silent>> + Send;
}

/// How long an edge may take for one of them. Some have no end, and an edge waits for it.
const DEADLINE: Duration = Duration::from_secs(3);

/// An edge in front of an app, of which `open` is open to anyone, and `closed` is not for the
/// subject of `session`.
#[derive(Debug)]
pub struct Attack<'a, W> {
    /// Where the edge takes HTTP/1.1.
    pub edge: SocketAddr,
    /// The app behind it, with nobody else asking.
    pub app: &'a W,
    /// The host that the requests name.
    pub host: &'a str,
    /// The token of an ordinary user's live session.
    pub session: &'a str,
    /// A target that anyone may ask for, such as `/public/ok`.
    pub open: &'a str,
    /// A target that is forbidden, such as `/admin/users`.
    pub closed: &'a str,
}

/// A hostile request that got further than it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the case.
    pub name: String,
    /// What happened.
    pub what: String,
}

impl<W: Witness> Attack<'_, W> {
    /// Sends every target. What reached the app was allowed, and is a finding; so is an edge that
    /// does not pass an honest request before and after.
    pub async fn targets(&self) -> Result<Vec<Finding>, W::Silent> {
        let mut findings = self.honest("before the targets").await?;
        for target in targets()? {
            let outcome = self.ask(&target.request(self.host)).await;
            findings.extend(self.app.take().await?.first().map(|request| {
                found(
                    &target.name,
                    format!("reached the app as `{}`", shown(&request.target)),
                )
            }));
            if matches!(outcome, Err(NoAnswer::TimedOut)) {
                findings.push(found(&target.name, "got no answer".to_owned()));
            }
        }
        findings.extend(self.honest("after the targets").await?);
        Ok(findings)
    }

    /// Sends every set of headers to the closed target and to the open one.
    pub async fn header_sets(&self) -> Result<Vec<Finding>, W::Silent> {
        let mut findings = self.honest("before the headers").await?;
        for set in header_sets()? {
            let closed = set.request(self.host, self.closed, self.session);
            let _ = self.ask(&closed).await;
            // An edge that gives up on a broken body answers before the app has seen its request,
            // which then comes only now: the one to the open target, of the set before.
            let reached = self.app.take().await?;
            if reached.iter().any(|it| it.target != self.open) {
                findings.push(found(
                    &set.name,
                    "reached the app on a closed target".to_owned(),
                ));
            }
            let open = set.request(self.host, self.open, self.session);
            let _ = self.ask(&open).await;
            let problem = self.problem(&set, &self.app.take().await?);
            findings.extend(problem.map(|what| found(&set.name, what)));
        }
        findings.extend(self.honest("after the headers").await?);
        Ok(findings)
    }

    /// What is wrong with what reached the app when the set was sent to the open target.
    fn problem(&self, set: &HeaderSet, reached: &[Seen]) -> Option<String> {
        if set.on_open == OnOpen::Refused && !reached.is_empty() {
            return Some("is an invalid request and reached the app".to_owned());
        }
        if reached.len() > 1 {
            return Some("reached the app as several requests".to_owned());
        }
        let request = reached.first()?;
        if request.target != self.open || request.method != set.method {
            return Some(format!(
                "became `{} {}`",
                request.method,
                shown(&request.target)
            ));
        }
        let lines = request.headers.lines().iter();
        let mut lines = lines.chain(request.trailers.lines());
        let spoofed = lines.find(|(name, value)| {
            // A line that is folded or has no colon has no name, and is read by its text.
            let name = if name.is_empty() { value } else { name };
            is_ours(name) && value.contains(&set.marker)
        });
        spoofed.map(|(name, value)| format!("brought `{name}: {}` to the app", shown(value)))
    }

    /// An edge that refuses everything would survive every attack.
    async fn honest(&self, when: &str) -> Result<Vec<Finding>, W::Silent> {
        let _ = self.app.take().await?;
        let request = raw::request("GET", self.open, self.host, &[], b"");
        let _ = self.ask(&request).await;
        Ok(match self.app.take().await?.as_slice() {
            [one] if one.target == self.open => Vec::new(),
            _ => vec![found(
                "honest",
                format!("an honest request did not pass {when}"),
            )],
        })
    }

    async fn ask(&self, request: &[u8]) -> Result<raw::Answer, NoAnswer> {
        raw::exchange(self.edge, request, DEADLINE).await
    }
}

/// The names of the cases that got through.
#[must_use]
pub fn names(findings: &[Finding]) -> BTreeSet<&str> {
    findings
        .iter()
        .map(|finding| finding.name.as_str())
        .collect()
}

/// A name of ours under any spelling.
fn is_ours(name: &str) -> bool {
    name.trim_start()
        .to_ascii_lowercase()
        .starts_with("sidegate")
}

fn found(name: &str, what: String) -> Finding {
    Finding {
        name: name.to_owned(),
        what,
    }
}

/// Not a mebibyte of it.
fn shown(text: &str) -> String {
    text.chars()
        .take(120)
        .flat_map(char::escape_default)
        .collect()
}
