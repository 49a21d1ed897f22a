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
        judge::{Attack, Finding, Witness},
        raw::{self, NoAnswer},
    },
    command::converse,
    exit::Exit,
    failure::Failure,
    input,
    output::{self, Output},
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
  attack_open: { session: none, http: \"GET /public/**\" }

Behind the proxy there must be something that serves the text of the proof file on every path: it \
shows that the proxy is yours to attack, and tells an answer of the app from one of the proxy. \
Nothing hostile is sent before the proof was seen at `/public/ok`.

With `--app` this command is that app itself: let the proxy's upstream point to it. It then also \
tells which headers reached the app. Without it, any server that serves the file will do, and what \
only the headers at the app could tell is listed as not judged.

Exit code: 0 nothing got through, 10 something did, 7 the proof was not seen.";

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
    /// How many requests were sent that must not get through.
    sent: usize,
    /// Those whose harm only the headers at the app could tell, which nobody saw.
    not_judged: Vec<String>,
    /// What got through.
    findings: Vec<Advised>,
}

/// A finding, and what to do about it.
#[derive(Debug, Serialize)]
struct Advised {
    #[serde(flatten)]
    finding: Finding,
    /// What mends it, for each kind of proxy.
    fix: &'static str,
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
        let findings = match args.app {
            Some(address) => {
                let app = App::start(address, &proof).await.map_err(|err| {
                    let message = format!("`--app {address}` cannot be listened on: {err}");
                    Failure::new(Exit::Conflict, message)
                })?;
                attack(args, &host, &edge, session, &app).await?
            }
            None => attack(args, &host, &edge, session, &Answers::with(&proof)).await?,
        };
        let report = report(args, &host, &edge, findings).await?;
        output.data(&report, people)?;
        Ok(if report.findings.is_empty() {
            Exit::Ok
        } else {
            Exit::Deny
        })
    })
}

async fn attack<W: Witness>(
    args: &AttackArgs,
    host: &str,
    edge: &Edge,
    session: &str,
    witness: &W,
) -> Result<Vec<Finding>, Failure> {
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
    while !attack.passes().await {
        if start.elapsed() > PATIENCE || args.app.is_none() {
            return Err(unproven(args));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut findings = attack.targets().await.map_err(damaged)?;
    findings.extend(attack.header_sets().await.map_err(damaged)?);
    Ok(findings)
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

async fn report(
    args: &AttackArgs,
    host: &str,
    edge: &Edge,
    findings: Vec<Finding>,
) -> Result<Report, Failure> {
    let sets = header_sets().map_err(damaged)?;
    let unseen = |set: &&HeaderSet| {
        args.app.is_none() && matches!(set.on_open, OnOpen::Stripped | OnOpen::Bounded)
    };
    let advised = findings.into_iter().map(|finding| Advised {
        fix: advice(&finding),
        finding,
    });
    Ok(Report {
        proxy: args.url.clone(),
        says_it_is: says_it_is(host, edge).await,
        sent: targets().map_err(damaged)?.len() + 2 * sets.len(),
        not_judged: sets
            .iter()
            .filter(unseen)
            .map(|it| it.name.clone())
            .collect(),
        findings: advised.collect(),
    })
}

async fn says_it_is(host: &str, edge: &Edge) -> Vec<String> {
    let request = raw::request("GET", OPEN, host, &[], b"");
    let answer = edge.exchange(&request, raw::DEADLINE).await.ok();
    let names = answer.iter().flat_map(|answer| {
        let named = ["server", "via"].into_iter();
        named.flat_map(|name| answer.headers.all(name))
    });
    names.map(output::printable).collect()
}

fn people(report: &Report) -> String {
    let kind = match report.says_it_is.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    let mut text = match report.findings.len() {
        0 => format!(
            "{}{kind}: {} hostile requests, none got through",
            report.proxy, report.sent
        ),
        many => format!(
            "{}{kind}: {} hostile requests, {many} got through\n",
            report.proxy, report.sent
        ),
    };
    for Advised { finding, fix } in &report.findings {
        let rows = [
            ("what", finding.what.clone()),
            ("why", finding.why.clone()),
            ("fix", (*fix).to_owned()),
        ];
        text.push_str(&format!("\n{}\n", output::printable(&finding.name)));
        for line in output::pairs(rows).lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if !report.not_judged.is_empty() {
        text.push_str(&format!(
            "\n{} sets of headers were not judged on the open target: `--app` sees what reached the \
             app",
            report.not_judged.len()
        ));
    }
    text
}
