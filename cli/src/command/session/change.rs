//! Making sessions and giving them new tokens.

use std::time::{Duration, SystemTime};

use auth_core::principal::Principal;
use clap::{Args, ValueEnum};
use proto::v1::{CreateSessionRequest, RotateSessionRequest, SignIn, TokenKind};
use serde::Serialize;

use super::{TenantArgs, read};
use crate::{
    connect::{Server, ServerArgs, span},
    exit::Exit,
    failure::Failure,
    input,
    output::{self, Output},
    view::{self, session::SessionView},
};

const CREATE_EXAMPLES: &str = "\
Examples:
  sidegate session create --subject u1 --claims '{\"role\": \"admin\"}'
  sidegate session create --subject u1 --ttl 15m -o json | jq -r .token > u1.token";

/// Arguments of `session create`.
#[derive(Debug, Args)]
#[command(before_help = CREATE_EXAMPLES)]
pub(super) struct CreateArgs {
    /// Who is signed in, as `u1` or `idp/u1`.
    #[arg(long, value_name = "SUBJECT")]
    subject: Principal,
    /// Facts about the subject: a JSON object, `@FILE` or `-`.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    claims: String,
    /// The app's own data: a JSON object, `@FILE` or `-`.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    attributes: String,
    /// A scope granted; may be given again.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Grants every scope.
    #[arg(long, conflicts_with = "scopes")]
    all_scopes: bool,
    /// How long it may last; only shorter than configured.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    ttl: Option<Duration>,
    /// What shall carry the token.
    #[arg(long, value_name = "KIND", default_value = "bearer")]
    kind: Kind,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// What carries a token.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Bearer,
    Cookie,
}

/// A session with its new token.
#[derive(Debug, Serialize)]
struct WithToken {
    /// The session.
    session: SessionView,
    /// Its token, printed this once.
    token: String,
}

impl WithToken {
    fn print(&self, output: &Output) -> Result<Exit, Failure> {
        output.data(self, |it| {
            format!("{}\n\n{}", it.session.people(), it.token)
        })?;
        output::say("the token is printed this once; it cannot be shown again");
        Ok(Exit::Ok)
    }
}

pub(super) async fn create(args: CreateArgs, output: &Output) -> Result<Exit, Failure> {
    if args.claims == "-" && args.attributes == "-" {
        return Err(Failure::usage(
            "only one of `--claims` and `--attributes` can be stdin",
        ));
    }
    let claims = input::object("--claims", &args.claims)?;
    let attributes = input::object("--attributes", &args.attributes)?;
    let server = args.server.connect().await?;
    let request = server.request(CreateSessionRequest {
        parent: args.tenant.parent(),
        sign_in: Some(SignIn {
            subject: Some(view::principal_message(&args.subject)),
            claims_json: view::json_bytes(&claims),
            attributes_json: view::json_bytes(&attributes),
            scopes: args.scopes,
            all_scopes: args.all_scopes,
            auth_time: Some(SystemTime::now().into()),
            ttl: args.ttl.map(view::span_message),
            ..SignIn::default()
        }),
        kind: match args.kind {
            Kind::Bearer => TokenKind::Bearer.into(),
            Kind::Cookie => TokenKind::Cookie.into(),
        },
        request_id: String::new(),
    });
    let answer = server
        .sessions()
        .create_session(request)
        .await?
        .into_inner();
    let created = WithToken {
        session: answer.session.unwrap_or_default().into(),
        token: answer.token,
    };
    created.print(output)
}

const ROTATE_EXAMPLES: &str = "\
Examples:
  sidegate session rotate ID
  sidegate session rotate ID --dry-run
  sidegate session rotate ID --etag '\"3\"' -o json";

/// Arguments of `session rotate`.
#[derive(Debug, Args)]
#[command(before_help = ROTATE_EXAMPLES)]
pub(super) struct RotateArgs {
    /// The session's id or name; never its token.
    id: String,
    /// The etag last read; when the session has changed since, nothing happens.
    #[arg(long, value_name = "ETAG", default_value = "")]
    etag: String,
    /// Only tells what it would do; the token stays.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn rotate(args: RotateArgs, output: &Output) -> Result<Exit, Failure> {
    let name = args.tenant.name("sessions", &args.id)?;
    let server = args.server.connect().await?;
    if args.dry_run {
        return try_rotation(&server, &args, name, output).await;
    }
    let request = server.request(RotateSessionRequest {
        name,
        etag: args.etag,
    });
    let answer = server
        .sessions()
        .rotate_session(request)
        .await?
        .into_inner();
    let rotated = WithToken {
        session: answer.session.unwrap_or_default().into(),
        token: answer.token,
    };
    rotated.print(output)
}

/// A rotation that was only tried.
#[derive(Debug, Serialize)]
struct Tried {
    /// The session as it is and stays.
    session: SessionView,
    /// Whether it was only looked at: always.
    dry_run: bool,
}

/// Ends as the rotation would: well, not found, or in conflict.
async fn try_rotation(
    server: &Server,
    args: &RotateArgs,
    name: String,
    output: &Output,
) -> Result<Exit, Failure> {
    let session = SessionView::from(read::read(server, name).await?);
    if session.state != "live" {
        let message = format!("the session has ended: {}", session.state);
        let why = format!("`sidegate session why {}` tells who ended it", session.id);
        return Err(Failure::new(Exit::NotFound, message).next(why));
    }
    if !args.etag.is_empty() && args.etag != session.etag {
        let message = format!("the session has changed: its etag is {}", session.etag);
        return Err(Failure::new(Exit::Conflict, message)
            .next("read it again with `sidegate session get`, and decide anew"));
    }
    let tried = Tried {
        session,
        dry_run: true,
    };
    output.data(&tried, |it| {
        format!(
            "{}\n\nwould get a new token; the old one would die at once",
            it.session.people()
        )
    })?;
    Ok(Exit::Ok)
}
