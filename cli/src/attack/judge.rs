//! Sends the hostile requests through an edge to an app that records what reached it.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;

use super::{
    corpus::{HeaderSet, Malformed, OnOpen, header_sets, targets},
    edge::Edge,
    product::Product,
    raw::{self, Answer, NoAnswer},
    wire::{Headers, latin1},
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

/// What was asked, and what came back.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The target, one character for each byte.
    pub target: &'a str,
    /// The answer, if one came.
    pub answer: Option<&'a Answer>,
}

/// Tells what reached the app.
pub trait Witness: Sync {
    /// What came since the last time this was asked, now that this was asked.
    fn reached(&self, asked: Asked<'_>) -> Vec<Seen>;
}

/// A name that the printed configurations take away.
const TAKEN: &str = "X-HTTP-Method-Override";

/// A name that every proxy sets itself.
const SET: &str = "X-Forwarded-Proto";

/// What is wrong with handing on another spelling of them.
const ALIASED: &str = "many apps read `X_Forwarded_Proto` as `X-Forwarded-Proto`: what is taken away \
                       or set under one name comes back under the other";

/// How long an edge may take for one of them. Some have no end, and an edge waits for it.
const DEADLINE: Duration = Duration::from_secs(3);

/// An edge in front of an app, of which `open` is open to anyone, and `closed` is not for the
/// subject of `session`.
#[derive(Debug)]
pub struct Attack<'a, W> {
    /// Where the edge takes HTTP/1.1.
    pub edge: Edge,
    /// Tells what reached the app behind it, with nobody else asking.
    pub witness: &'a W,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the case.
    pub name: String,
    /// What kind of trick it is; empty for an honest request.
    pub class: String,
    /// What happened.
    pub what: String,
    /// What goes wrong where it is taken for something else; empty for an honest request.
    pub why: String,
}

/// What the proxies show of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What they say in `Server` and `Via`.
    pub says: Vec<String>,
    /// What that, and what they add to a request, makes of them.
    pub products: Vec<Product>,
}

impl<W: Witness> Attack<'_, W> {
    /// Sends every target. What reached the app was allowed, and is a finding; so is an edge that
    /// does not pass an honest request before and after.
    ///
    /// # Errors
    ///
    /// Returns [`Malformed`] when this build's corpus cannot be read.
    pub async fn targets(&self) -> Result<Vec<Finding>, Malformed> {
        let mut findings = Vec::from_iter(self.honest("before the targets").await);
        for target in targets()? {
            let text = latin1(&target.bytes());
            let (reached, outcome) = self
                .ask(&target.method, &text, &target.request(self.host))
                .await;
            let found = |what: String| Finding::new(&target.name, &target.class, what, &target.why);
            // What some proxies cut off before they decide leaves a target that anyone may ask for.
            let is_cut = |seen: &&Seen| target.class == "fragment" && seen.target == self.open;
            findings.extend(
                reached
                    .iter()
                    .find(|seen| !is_cut(seen))
                    .map(|seen| found(format!("reached the app as `{}`", shown(&seen.target)))),
            );
            if matches!(outcome, Err(NoAnswer::TimedOut)) {
                findings.push(found("got no answer".to_owned()));
            }
        }
        findings.extend(self.honest("after the targets").await);
        Ok(findings)
    }

    /// Sends every set of headers to the closed target and to the open one.
    ///
    /// # Errors
    ///
    /// Returns [`Malformed`] when this build's corpus cannot be read.
    pub async fn header_sets(&self) -> Result<Vec<Finding>, Malformed> {
        let mut findings = Vec::from_iter(self.honest("before the headers").await);
        for set in header_sets()? {
            let found = |what| Finding::new(&set.name, &set.class, what, &set.why);
            let request = set.request(self.host, self.closed, self.session);
            let (reached, _) = self.ask(&set.method, self.closed, &request).await;
            // An edge that gives up on a broken body answers before the app has seen its request,
            // which then comes only now: the one to the open target, of the set before.
            if reached.iter().any(|seen| seen.target != self.open) {
                findings.push(found("reached the app on a closed target".to_owned()));
            }
            let request = set.request(self.host, self.open, self.session);
            let (reached, _) = self.ask(&set.method, self.open, &request).await;
            findings.extend(self.problem(&set, &reached).map(found));
        }
        findings.extend(self.honest("after the headers").await);
        Ok(findings)
    }

    /// Sends one honest request with names in several spellings, which say what is true anyway. A
    /// proxy that is known, and hands on a name with an underscore, is named as the one of its kind
    /// that does. Any other one must not hand on what it takes away under the plain name.
    ///
    /// Needs a witness that sees headers.
    pub async fn aliases(&self, products: &[Product]) -> Vec<Finding> {
        let [plain, underscore, dot] = ["-", "_", "."].map(|mark| TAKEN.replace('-', mark));
        let set = SET.replace('-', "_");
        let scheme = if self.edge.is_secured() {
            "https"
        } else {
            "http"
        };
        let headers = [
            (plain.as_str(), "GET"),
            (&underscore, "GET"),
            (&dot, "GET"),
            (&set, scheme),
        ];
        let request = raw::request("GET", self.open, self.host, &headers, b"");
        let (reached, _) = self.ask("GET", self.open, &request).await;
        let Some(seen) = reached.first() else {
            return Vec::new();
        };
        let brought = |names: &[&String]| {
            let lines = seen.headers.lines().iter().map(|(name, _)| name);
            let is_one = |line: &&String| names.iter().any(|name| line.eq_ignore_ascii_case(name));
            lines.into_iter().find(is_one)
        };
        let found = |name: &str, what| Finding::new(name, "alias", what, ALIASED);
        if let Some(name) = brought(&[&underscore, &set])
            && !products.is_empty()
        {
            let each = products.iter().map(|product| {
                let case = format!("alias/{}", product.name().to_lowercase());
                let what = product.with_aliases();
                found(&case, format!("is {what}: it brought `{name}` to the app"))
            });
            return each.collect();
        }
        match (brought(&[&plain]), brought(&[&underscore, &dot])) {
            (None, Some(name)) => {
                let what = format!("brought `{name}` to the app, and took `{plain}` away");
                vec![found("alias/another-spelling", what)]
            }
            (None | Some(_), _) => Vec::new(),
        }
    }

    /// What an honest request shows of the proxies that it passes; `None` where none passes.
    pub async fn shown(&self) -> Option<Shown> {
        let request = raw::request("GET", self.open, self.host, &[], b"");
        let (reached, outcome) = self.ask("GET", self.open, &request).await;
        let (seen, answer) = (reached.first()?, outcome.ok()?);
        let names = ["server", "via"].into_iter();
        Some(Shown {
            says: names
                .flat_map(|name| answer.headers.all(name))
                .map(str::to_owned)
                .collect(),
            products: Product::passed(&answer.headers, &seen.headers),
        })
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
    async fn honest(&self, when: &str) -> Option<Finding> {
        let _ = self.witness.reached(Asked {
            method: "",
            target: "",
            answer: None,
        });
        let passed = self.passes("GET").await;
        let what = || format!("an honest request did not pass {when}");
        (!passed).then(|| Finding::new("honest", "", what(), ""))
    }

    /// Whether an honest request of this method for the open target reaches the app.
    pub async fn passes(&self, method: &str) -> bool {
        let length = [("Content-Length", "0")];
        let headers = match method {
            "POST" => &length[..],
            _ => &[],
        };
        let request = raw::request(method, self.open, self.host, headers, b"");
        let (reached, _) = self.ask(method, self.open, &request).await;
        matches!(reached.as_slice(), [one] if one.target == self.open)
    }

    async fn ask(
        &self,
        method: &str,
        target: &str,
        request: &[u8],
    ) -> (Vec<Seen>, Result<Answer, NoAnswer>) {
        let outcome = self.edge.exchange(request, DEADLINE).await;
        let reached = self.witness.reached(Asked {
            method,
            target,
            answer: outcome.as_ref().ok(),
        });
        (reached, outcome)
    }
}

impl Finding {
    fn new(name: &str, class: &str, what: String, why: &str) -> Self {
        Self {
            name: name.to_owned(),
            class: class.to_owned(),
            what,
            why: why.to_owned(),
        }
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

/// Not a mebibyte of it.
fn shown(text: &str) -> String {
    text.chars()
        .take(120)
        .flat_map(char::escape_default)
        .collect()
}
