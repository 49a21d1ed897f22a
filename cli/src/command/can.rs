//! `sidegate can`: decides one call.

use std::path::PathBuf;

use auth_core::wire::WireKind;
use clap::Args;

use super::converse;
use crate::{
    connect::{Server, ServerArgs},
    decide::Decider,
    exit::Exit,
    failure::Failure,
    input,
    output::{self, Output},
    view::decision::DecisionView,
};

mod ask;
mod who;

pub(crate) use who::Who;
use who::WhoArgs;

const EXAMPLES: &str = "\
Examples:
  sidegate can \"DELETE /books/b1\" --as u1
  sidegate can \"DELETE /books/b1\" --config sidegate.yaml --explain \\
    --session '{\"subject\": \"u1\", \"claims\": {\"role\": \"user\"}, \"scopes\": []}'
  sidegate can books.v1.BookService/DeleteBook --wire grpc --as u1 --data '{\"book_id\": \"b1\"}'
  sidegate can \"GET /me\" --token @u1.token && echo allowed
  sidegate can \"GET /me\" --cookie - < u1.cookie
  sidegate can \"GET /me\" --api-key @ci.key";

/// Arguments of `can`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct CanArgs {
    /// What is called: `METHOD /path` on HTTP, else the name of the method, message, command, tool
    /// or queue.
    target: String,
    /// How it is called: http, grpc, websocket, cli, mcp, queue, schedule, rpc, or a name of yours.
    #[arg(long, value_name = "WIRE", default_value = "http", value_parser = wire_kind)]
    wire: WireKind,
    /// Decide from this policy file, with no server.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The host called. Default: the first of the app.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    #[command(flatten)]
    who: WhoArgs,
    /// What the call is about: a JSON object, `@FILE` or `-`.
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// Shows how the decision came about.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What is called, by whom.
pub(crate) struct Question {
    /// The kind of wire.
    pub(crate) kind: WireKind,
    /// The host; `None` leaves it to who decides.
    pub(crate) host: Option<String>,
    /// The method; empty where the wire has none.
    pub(crate) method: String,
    /// The target.
    pub(crate) target: String,
    /// The data, a JSON object; empty for none.
    pub(crate) data: String,
    /// Who calls.
    pub(crate) who: Who,
}

fn wire_kind(name: &str) -> Result<WireKind, String> {
    WireKind::parse(name).ok_or_else(|| "a wire has a lower-case name".to_owned())
}

/// Decides one call; the exit code is the outcome's.
///
/// # Errors
///
/// Returns [`Failure`] when nothing was decided.
pub fn run(args: CanArgs, output: &Output) -> Result<Exit, Failure> {
    let question = args.question()?;
    let mut decision = DecisionView::default();
    converse(async {
        decision = match &args.config {
            Some(file) => Decider::load(file)?.decide(question).await,
            None => ask::ask(&args.server.connect().await?, question).await?,
        };
        Ok(Exit::Ok)
    })?;
    hint(&args, &decision);
    let exit = exit_of(&decision);
    output.data(&decision, |decision| decision.people(args.explain))?;
    Ok(exit)
}

impl CanArgs {
    fn question(&self) -> Result<Question, Failure> {
        if self.who.reads_stdin() && self.data.as_deref() == Some("-") {
            return Err(Failure::usage("only one value can be read from stdin")
                .next("put the other one into a file, and write `@FILE` for it"));
        }
        let who = self.who.read()?;
        let (method, target) = split_target(&self.wire, &self.target)?;
        let data = match &self.data {
            Some(text) => {
                let text = input::value("--data", text)?;
                // Read here for its error, and passed on as it is: integers stay exact.
                input::object("--data", &text)?;
                text
            }
            None => String::new(),
        };
        Ok(Question {
            kind: self.wire.clone(),
            host: self.host.clone(),
            method,
            target,
            data,
            who,
        })
    }
}

/// The method and the target of what was typed.
pub(crate) fn split_target(wire: &WireKind, text: &str) -> Result<(String, String), Failure> {
    match wire {
        WireKind::Http => match text.split_once(' ') {
            Some((method, target)) => Ok((method.to_owned(), target.trim_start().to_owned())),
            None => Err(Failure::usage(format!(
                "`{}` is no HTTP call: a method and a path are wanted",
                text.escape_debug()
            ))
            .next(format!(
                "write `sidegate can \"GET /{}\"`, or name another wire with `--wire`",
                text.trim_start_matches('/').escape_debug()
            ))),
        },
        WireKind::Grpc if !text.starts_with('/') => Ok((String::new(), format!("/{text}"))),
        _ => Ok((String::new(), text.to_owned())),
    }
}

fn exit_of(decision: &DecisionView) -> Exit {
    auth_core::outcome::Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.as_str() == decision.outcome)
        .map_or(Exit::Unexpected, Exit::from)
}

/// A word where the host may be what is wrong.
fn hint(args: &CanArgs, decision: &DecisionView) {
    if decision.reason.code == "unknown_operation" && args.host.is_none() {
        output::say("no `--host` was given: with several apps, or hosts with `*`, name one");
    }
    if let Some(words) = args.who.overlooked(&decision.credential) {
        output::say(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_method_and_a_path_on_http_and_a_name_elsewhere() {
        for (wire, text, method, target) in [
            ("http", "DELETE /books/b1", "DELETE", "/books/b1"),
            ("grpc", "a.B/C", "", "/a.B/C"),
            ("grpc", "/a.B/C", "", "/a.B/C"),
            ("cli", "books delete", "", "books delete"),
        ] {
            let wire = WireKind::parse(wire).unwrap();
            let split = split_target(&wire, text).unwrap();
            assert_eq!(split, (method.to_owned(), target.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_http_target_without_a_method_says_what_to_write() {
        let failure = split_target(&WireKind::Http, "/books").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.render().contains("sidegate can \"GET /books\""));
    }
}
