//! Ending sessions: one, a subject's, or everyone's.

use auth_core::principal::Principal;
use clap::{ArgGroup, Args};
use proto::v1::{
    RevokeAllSessionsRequest, RevokeSessionRequest, RevokeSubjectRequest, SessionState,
};
use serde::Serialize;

use super::{TenantArgs, read};
use crate::{
    connect::{Server, ServerArgs},
    exit::Exit,
    failure::Failure,
    output::Output,
    view,
};

const EXAMPLES: &str = "\
Examples:
  sidegate session revoke ID --reason \"device lost\"
  sidegate session revoke --subject u1 --dry-run
  sidegate session revoke --subject u1 --except ID
  sidegate session revoke --all --dry-run
  sidegate session revoke --all --expect 1204 --reason \"key leaked\"";

/// Arguments of `session revoke`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, group(ArgGroup::new("whose").required(true)))]
pub(super) struct RevokeArgs {
    /// The session's id or name; never its token.
    #[arg(group = "whose")]
    id: Option<String>,
    /// All sessions of this subject, as `u1` or `idp/u1`.
    #[arg(long, value_name = "SUBJECT", group = "whose")]
    subject: Option<Principal>,
    /// Everyone's sessions; needs `--expect`.
    #[arg(long, group = "whose")]
    all: bool,
    /// The one session of the subject that lives on.
    #[arg(long, value_name = "ID", requires = "subject", conflicts_with = "id")]
    except: Option<String>,
    /// How many live sessions there are; with another number nothing happens.
    #[arg(long, value_name = "N", requires = "all", conflicts_with_all = ["id", "subject"], value_parser = clap::value_parser!(i64).range(0..))]
    expect: Option<i64>,
    /// Words for the record; at most 200 characters.
    #[arg(long, value_name = "WORDS", default_value = "")]
    reason: String,
    /// Only counts.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// How many sessions ended, or would have.
#[derive(Debug, Serialize)]
struct Revoked {
    /// How many.
    revoked_count: i64,
    /// Whether they were only counted.
    dry_run: bool,
}

impl Revoked {
    fn people(&self) -> String {
        let sessions = match self.revoked_count {
            1 => "1 session".to_owned(),
            many => format!("{many} sessions"),
        };
        match (self.dry_run, self.revoked_count) {
            (true, _) => format!("would end {sessions}"),
            (false, 0) => "nothing to end: no such live session".to_owned(),
            (false, _) => format!("ended {sessions}"),
        }
    }
}

pub(super) async fn revoke(args: RevokeArgs, output: &Output) -> Result<Exit, Failure> {
    if args.all && args.expect.is_none() && !args.dry_run {
        return Err(
            Failure::usage("`--all` ends everyone's sessions and needs `--expect N`")
                .next("`sidegate session revoke --all --dry-run` counts them"),
        );
    }
    let name = match &args.id {
        Some(id) => Some(args.tenant.name("sessions", id)?),
        None => None,
    };
    let except = match &args.except {
        Some(id) => args.tenant.name("sessions", id)?,
        None => String::new(),
    };
    let server = args.server.connect().await?;
    let revoked_count = match (name, &args.subject) {
        (Some(name), _) => one(&server, &args, name).await?,
        (None, Some(subject)) => subjects(&server, &args, subject, except).await?,
        (None, None) => all(&server, &args).await?,
    };
    let revoked = Revoked {
        revoked_count,
        dry_run: args.dry_run,
    };
    output.data(&revoked, Revoked::people)?;
    Ok(Exit::Ok)
}

async fn one(server: &Server, args: &RevokeArgs, name: String) -> Result<i64, Failure> {
    if args.dry_run {
        let session = read::read(server, name).await?;
        return Ok(i64::from(session.state() == SessionState::Live));
    }
    let request = server.request(RevokeSessionRequest {
        name,
        reason: args.reason.clone(),
    });
    let answer = server.sessions().revoke_session(request).await?;
    Ok(i64::from(answer.into_inner().was_live))
}

async fn subjects(
    server: &Server,
    args: &RevokeArgs,
    subject: &Principal,
    except: String,
) -> Result<i64, Failure> {
    let request = server.request(RevokeSubjectRequest {
        parent: args.tenant.parent(),
        subject: Some(view::principal_message(subject)),
        except,
        reason: args.reason.clone(),
        dry_run: args.dry_run,
    });
    let answer = server.sessions().revoke_subject(request).await?;
    Ok(answer.into_inner().revoked_count)
}

async fn all(server: &Server, args: &RevokeArgs) -> Result<i64, Failure> {
    let request = server.request(RevokeAllSessionsRequest {
        parent: args.tenant.parent(),
        expected_count: args.expect,
        reason: args.reason.clone(),
        dry_run: args.dry_run,
    });
    let answer = server.sessions().revoke_all_sessions(request).await?;
    Ok(answer.into_inner().revoked_count)
}
