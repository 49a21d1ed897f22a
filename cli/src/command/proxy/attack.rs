//! `sidegate proxy attack`.

use std::{
    io::ErrorKind,
    net::{SocketAddr, ToSocketAddrs as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde::Serialize;

use super::advice::advice;
use crate::{
    attack::{
        app::{Answers, App},
        corpus::{HeaderSet, Malformed, OnOpen, header_sets, targets},
        edge::Edge,
        judge::{Attack, Finding, Shown, Witness},
        product::Product,
        raw::NoAnswer,
    },
    command::converse,
    exit::Exit,
    failure::Failure,
    input,
    output::{self, Output},
    style,
};

const EXAMPLES: &str = "\
Examples:
  openssl rand -hex 32 > proof.txt
  sidegate proxy attack http://127.0.0.1:8080 --proof proof.txt --app 127.0.0.1:3000
  sidegate proxy attack https://staging.example --proof proof.txt --token @reader.token
  sidegate proxy attack http://127.0.0.1:8080 --proof proof.txt --app 127.0.0.1:3000 -o json";

const EXPLAINED: &str = "\
The requests name `/public/...`, which the policy must open to anyone, and by tricks `/admin/...`, \
which it must not; for the attack, add an operation such as
  attack_open: { session: optional, http: [ \"GET /public/**\", \"POST /public/**\" ] }

Behind the proxy there must be something that serves the text of the proof file on every path: it \
shows that the proxy is yours to attack, and tells an answer of the app from one of the proxy. \
Nothing hostile is sent before the proof was seen at `/public/ok`.

With `--app` this command is that app itself: let the proxy's upstream point to it. It then also \
tells which headers reached the app, and whether the proxy is one that hands on names with an \
underscore, as Caddy before 2.11.4 and Traefik without `aliasHeadersStrategy` do. Without it, any \
server that serves the file will do, and what only the headers at the app could tell is listed as \
not judged.

Exit code: 0 nothing was found, 10 something was, 7 the proof was not seen.";

/// What the policy opens to anyone.
const OPEN: &str = "/public/ok";
/// What it does not.
const CLOSED: &str = "/admin/users";
/// The least bytes of a proof.
const MIN_PROOF: usize = 16;
/// The most bytes of a proof.
const MAX_PROOF: usize = 4096;
/// How long the proxy may take to find the app that has just been started.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `proxy attack`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = EXPLAINED)]
pub struct AttackArgs {
    /// The proxy, as `http://HOST:PORT` or `https://HOST:PORT`.
    url: String,
    /// The host that the requests name, and the certificate, where it is not that of the URL.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The authorities, in PEM, that vouch for the proxy's certificate. Default: those of the system.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A file with a text of 16 to 4096 bytes that nobody can guess, which the app behind the proxy
    /// serves.
    #[arg(long, value_name = "FILE")]
    proof: PathBuf,
    /// Be the app behind the proxy, and listen here.
    #[arg(long, value_name = "IP:PORT")]
    app: Option<SocketAddr>,
    /// The token of an ordinary user's session, from stdin (`-`) or a file (`@FILE`). Without one,
    /// requests that need it carry a token that nobody has.
    #[arg(long, value_name = "-|@FILE")]
    token: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    /// The proxy.
    proxy: String,
    /// What its answers say it is, from `Server` and `Via`; empty when they do not say.
    says_it_is: Vec<String>,
    /// What that, and what it adds to a request, makes of it; empty when nobody saw the requests.
    taken_for: Vec<Product>,
    /// How many requests were sent that must not get through as they are.
    sent: usize,
    /// Those whose harm nobody could tell.
    not_judged: Vec<NotJudged>,
    /// What got through, and what else is wrong.
    findings: Vec<Advised>,
}

/// A case that was sent, and might do harm all the same.
#[derive(Debug, Serialize)]
struct NotJudged {
    /// Its name.
    name: String,
    /// What is in the way.
    why: &'static str,
}

/// A finding, and what to do about it.
#[derive(Clone, Debug, Serialize)]
struct Advised {
    #[serde(flatten)]
    finding: Finding,
    /// What mends it, for the proxies that it is taken for.
    fix: String,
}

/// Attacks the proxy.
///
/// # Errors
///
/// Returns [`Failure`] when the proxy does not serve the proof, so that nothing hostile was sent.
pub fn run(args: &AttackArgs, output: &Output) -> Result<Exit, Failure> {
    let proof = proof(args)?;
    let place = Place::parse(&args.url)?;
    let host = match &args.host {
        Some(host) if host.is_empty() || host.chars().any(|c| c.is_control() || c == ' ') => {
            return Err(Failure::usage("`--host` takes the name of a host"));
        }
        Some(host) => host.clone(),
        None => place.host.to_owned(),
    };
    let edge = place.edge(&host, args.ca_file.as_deref())?;
    let token = args
        .token
        .as_deref()
        .map(|text| input::secret("--token", text))
        .transpose()?;
    converse(async {
        reachable(&edge, args).await?;
        let session = token.as_deref().unwrap_or("sg1_nobody");
        let found = match args.app {
            Some(address) => {
                let app = App::start(address, &proof).await.map_err(|err| {
                    let message = format!("`--app {address}` cannot be listened on: {err}");
                    Failure::new(Exit::Conflict, message)
                })?;
                attack(args, &host, &edge, session, &app).await?
            }
            None => attack(args, &host, &edge, session, &Answers::with(&proof)).await?,
        };
        let report = report(args, found)?;
        output.data(&report, people)?;
        Ok(if report.findings.is_empty() {
            Exit::Ok
        } else {
            Exit::Deny
        })
    })
}

/// What an attack brought to light.
struct Found {
    shown: Shown,
    /// Whether the open target takes an honest request of the other method that is sent, too.
    takes_post: bool,
    findings: Vec<Finding>,
}

async fn attack<W: Witness>(
    args: &AttackArgs,
    host: &str,
    edge: &Edge,
    session: &str,
    witness: &W,
) -> Result<Found, Failure> {
    let attack = Attack {
        edge: edge.clone(),
        witness,
        host,
        session,
        open: OPEN,
        closed: CLOSED,
    };
    // A proxy may need a moment until it has noticed that the app is there now.
    let start = tokio::time::Instant::now();
    let mut shown = loop {
        if let Some(shown) = attack.shown().await {
            break shown;
        }
        if start.elapsed() > PATIENCE || args.app.is_none() {
            return Err(unproven(args));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    if args.app.is_none() {
        // What an answer says may be the app's own.
        shown.products.clear();
    }
    let takes_post = attack.passes("POST").await;
    let mut findings = attack.aliases(&shown.products).await;
    findings.extend(attack.targets().await.map_err(damaged)?);
    findings.extend(attack.header_sets().await.map_err(damaged)?);
    Ok(Found {
        shown,
        takes_post,
        findings,
    })
}

fn unproven(args: &AttackArgs) -> Failure {
    let message = format!(
        "`{}` does not serve the proof at `{OPEN}`, so nothing hostile was sent",
        args.url
    );
    Failure::new(Exit::Unavailable, message).next(match args.app {
        Some(address) => format!(
            "let the proxy's upstream be http://{address}, and open `{OPEN}` to anyone in the policy"
        ),
        None => format!(
            "serve the file behind the proxy at `{OPEN}`, or let the proxy's upstream point here \
             and use `--app IP:PORT`"
        ),
    })
}

fn damaged(err: Malformed) -> Failure {
    Failure::new(Exit::Unexpected, err.to_string())
}

/// The text of the proof.
fn proof(args: &AttackArgs) -> Result<String, Failure> {
    let read = std::fs::read_to_string(&args.proof);
    let text = read.map_err(|err| Failure::file(Exit::Usage, &args.proof, &err).next(NEW_PROOF))?;
    let text = text.trim();
    if !(MIN_PROOF..=MAX_PROOF).contains(&text.len()) {
        let message = format!(
            "the proof has {} bytes; it must have {MIN_PROOF} to {MAX_PROOF}",
            text.len()
        );
        return Err(Failure::usage(message).next(NEW_PROOF));
    }
    Ok(text.to_owned())
}

const NEW_PROOF: &str = "`openssl rand -hex 32 > proof.txt` makes a good one";

/// What a URL says of the proxy.
struct Place<'a> {
    url: &'a str,
    is_secured: bool,
    /// As requests name it, with its port where the URL has one.
    host: &'a str,
}

impl<'a> Place<'a> {
    fn parse(url: &'a str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            let help = "name the proxy as `http://HOST:PORT` or `https://HOST:PORT`";
            Failure::usage(format!("`{url}` {why}")).next(help)
        };
        let (is_secured, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(wrong("is no URL of a proxy")),
        };
        let host = rest.trim_end_matches('/');
        let is_odd = host.contains(['/', '?', '#', '@']) || host.chars().any(char::is_control);
        if host.is_empty() || is_odd {
            return Err(wrong("must hold a host and a port, and no more"));
        }
        Ok(Self {
            url,
            is_secured,
            host,
        })
    }

    /// Where it is. Its certificate must be for `host`.
    fn edge(&self, host: &str, ca: Option<&Path>) -> Result<Edge, Failure> {
        let authority = match (split_port(self.host).1, self.is_secured) {
            (Some(_), _) => self.host.to_owned(),
            (None, false) => format!("{}:80", self.host),
            (None, true) => format!("{}:443", self.host),
        };
        let found = authority.to_socket_addrs().map(|mut all| all.next());
        let Ok(Some(address)) = found else {
            let message = format!("the host of `{}` is not known", self.url);
            return Err(Failure::new(Exit::Unavailable, message));
        };
        if !self.is_secured {
            return Ok(address.into());
        }
        let edge = Edge::secured(address, split_port(host).0, ca);
        edge.map_err(|error| Failure::usage(error.to_string()))
    }
}

/// A host and the port after it.
fn split_port(authority: &str) -> (&str, Option<u16>) {
    let split = authority
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    split.map_or((authority, None), |(host, port)| (host, Some(port)))
}

/// Tells what is wrong with TLS before anything else is: without it the proof cannot be seen.
async fn reachable(edge: &Edge, args: &AttackArgs) -> Result<(), Failure> {
    if !edge.is_secured() {
        return Ok(());
    }
    match edge.connect(PATIENCE).await {
        Err(NoAnswer::Refused(error)) if error.kind() == ErrorKind::InvalidData => {
            let message = format!("TLS with `{}` failed: {error}", args.url);
            let help = "name its authorities with `--ca-file FILE`, and the host of its certificate \
                        with `--host`";
            Err(Failure::new(Exit::Unavailable, message).next(help))
        }
        // What else is wrong shows when the proof is asked for.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn report(args: &AttackArgs, found: Found) -> Result<Report, Failure> {
    let sets = header_sets().map_err(damaged)?;
    let Shown { says, products } = found.shown;
    let advised = found.findings.into_iter().map(|finding| Advised {
        fix: advice(&finding, &products),
        finding,
    });
    Ok(Report {
        proxy: args.url.clone(),
        says_it_is: says.iter().map(|name| output::printable(name)).collect(),
        // The request with aliases, each target, and each set to two targets.
        sent: 1 + targets().map_err(damaged)?.len() + 2 * sets.len(),
        not_judged: not_judged(&sets, args.app.is_some(), found.takes_post),
        findings: advised.collect(),
        taken_for: products,
    })
}

const UNSEEN: &str = "what they bring to the app only `--app` sees";
const NO_POST: &str = "`POST` to the open target does not reach the app: open it in the policy too";

fn not_judged(sets: &[HeaderSet], is_app: bool, takes_post: bool) -> Vec<NotJudged> {
    let mut all: Vec<_> = sets
        .iter()
        .filter_map(|set| {
            let needs_sight = matches!(set.on_open, OnOpen::Stripped | OnOpen::Bounded);
            let why = match (set.method.as_str(), needs_sight) {
                ("POST", _) if !takes_post => NO_POST,
                (_, true) if !is_app => UNSEEN,
                _ => return None,
            };
            let name = set.name.clone();
            Some(NotJudged { name, why })
        })
        .collect();
    if !is_app {
        let name = "alias".to_owned();
        all.push(NotJudged { name, why: UNSEEN });
    }
    all
}

fn people(report: &Report) -> String {
    let outcome = match report.findings.len() {
        0 => "none got through".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    };
    let mut text = format!(
        "{}: {} hostile requests, {outcome}\n{}\n",
        report.proxy,
        report.sent,
        kind(report)
    );
    for (fix, findings) in grouped(&report.findings, |it| &it.fix) {
        text.push_str(&format!("\n{} {fix}\n", style::bold("fix:")));
        let findings = findings.iter().map(|it| &it.finding);
        let width = findings.clone().map(|it| it.name.len()).max().unwrap_or(0);
        for Finding {
            name, what, why, ..
        } in findings.clone().take(SHOWN)
        {
            let why = match why.as_str() {
                "" => String::new(),
                why => style::dim(&format!(" ({})", output::printable(why))),
            };
            let what = output::printable(what);
            text.push_str(&format!("  {name:width$}  {what}{why}\n"));
        }
        let more = findings.len().saturating_sub(SHOWN);
        if more > 0 {
            text.push_str(&format!("  and {more} more, which `-o json` lists\n"));
        }
    }
    for (why, sets) in grouped(&report.not_judged, |it| it.why) {
        text.push_str(&format!(
            "\n{} cases were not judged on the open target: {why}",
            sets.len()
        ));
    }
    text
}

/// How many findings that the same thing mends are shown to people.
const SHOWN: usize = 20;

/// In words, what the proxy is.
fn kind(report: &Report) -> String {
    let products: Vec<_> = report.taken_for.iter().map(|it| it.name()).collect();
    match (report.says_it_is.as_slice(), products.as_slice()) {
        ([], []) => "its answers do not say what it is".to_owned(),
        ([], products) => format!("it adds to requests what {} adds", products.join(", ")),
        (names, _) => format!("it says it is {}", names.join(", ")),
    }
}

/// Values that have the same text, in the order in which each text first stands there.
fn grouped<T>(values: &[T], text: impl Fn(&T) -> &str) -> Vec<(&str, Vec<&T>)> {
    let mut groups: Vec<(&str, Vec<&T>)> = Vec::new();
    for value in values {
        let own = text(value);
        match groups.iter_mut().find(|(known, _)| *known == own) {
            Some((_, group)) => group.push(value),
            None => groups.push((own, vec![value])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(name: &str, fix: &str) -> Advised {
        Advised {
            finding: Finding {
                name: name.to_owned(),
                class: "c".to_owned(),
                what: format!("what of {name}"),
                why: "because".to_owned(),
            },
            fix: fix.to_owned(),
        }
    }

    fn report(findings: Vec<Advised>) -> Report {
        Report {
            proxy: "http://h".to_owned(),
            says_it_is: Vec::new(),
            taken_for: vec![Product::Traefik],
            sent: 9,
            not_judged: Vec::new(),
            findings,
        }
    }

    fn shown(report: &Report) -> String {
        anstream::adapter::strip_str(&people(report)).to_string()
    }

    #[test]
    fn a_clean_proxy_takes_two_lines() {
        let text = shown(&report(Vec::new()));
        let lines = "http://h: 9 hostile requests, none got through\n\
                     it adds to requests what Traefik adds\n";
        assert_eq!(text, lines);
    }

    #[test]
    fn people_read_each_fix_once_above_what_it_mends() {
        let found = [("a", "one"), ("long", "two"), ("b", "one")];
        let text = shown(&report(
            found.map(|(name, fix)| finding(name, fix)).to_vec(),
        ));
        let told = "fix: one\n  a  what of a (because)\n  b  what of b (because)\n\n\
                    fix: two\n  long  what of long (because)\n";
        assert!(text.ends_with(told), "{text}");
    }

    #[test]
    fn what_is_more_than_people_read_is_counted() {
        let many = (0..SHOWN + 3).map(|number| finding(&number.to_string(), "one"));
        let text = shown(&report(many.collect()));
        assert!(
            text.ends_with("  and 3 more, which `-o json` lists\n"),
            "{text}"
        );
        assert_eq!(text.matches("what of").count(), SHOWN);
    }

    #[test]
    fn what_nobody_could_tell_is_not_judged() {
        let sets = header_sets().unwrap();
        let why = |is_app, takes_post| {
            let all = not_judged(&sets, is_app, takes_post).into_iter();
            all.map(|it| (it.name, it.why)).collect::<Vec<_>>()
        };
        assert_eq!(why(true, true), []);
        let unseen = why(false, true);
        let has = |name: &str| unseen.contains(&(name.to_owned(), UNSEEN));
        assert!(has("identity/subject") && has("alias"), "{unseen:?}");
        assert!(!has("credentials/api-key-twice"), "{unseen:?}");
        let without_post = why(true, false);
        assert!(without_post.contains(&("framing/lengths-differ".to_owned(), NO_POST)));
        assert!(without_post.iter().all(|(_, why)| *why == NO_POST));
    }
}
