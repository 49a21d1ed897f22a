//! Reading sessions.

use auth_core::principal::Principal;
use clap::{Args, ValueEnum};
use proto::v1::{
    ListSessionsRequest, ManagedSession, ReadSessionRequest, SessionState, WatchSessionsRequest,
};
use serde::Serialize;

use super::{TenantArgs, page_size};
use crate::{
    connect::{Server, ServerArgs},
    exit::Exit,
    failure::Failure,
    output::{self, Output},
    style,
    view::{
        self,
        session::{EventView, RevocationView, SessionView},
    },
};

const LIST_EXAMPLES: &str = "\
Examples:
  sidegate session list
  sidegate session list --subject u1 --state all
  sidegate session list -o json | jq -r '.sessions[].id'";

/// Arguments of `session list`.
#[derive(Debug, Args)]
#[command(before_help = LIST_EXAMPLES)]
pub(super) struct ListArgs {
    /// Only this subject's, as `u1` or `idp/u1`.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<Principal>,
    /// Only sessions in this state.
    #[arg(long, value_name = "STATE", default_value = "live")]
    state: StateFilter,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Which sessions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum StateFilter {
    Live,
    IdleExpired,
    LifetimeExpired,
    Revoked,
    All,
}

impl StateFilter {
    const fn admits(self, state: SessionState) -> bool {
        match self {
            Self::All => true,
            Self::Live => matches!(state, SessionState::Live),
            Self::IdleExpired => matches!(state, SessionState::IdleExpired),
            Self::LifetimeExpired => matches!(state, SessionState::LifetimeExpired),
            Self::Revoked => matches!(state, SessionState::Revoked),
        }
    }
}

/// Sessions.
#[derive(Debug, Serialize)]
struct Sessions {
    /// The sessions.
    sessions: Vec<SessionView>,
    /// Whether there are more.
    more: bool,
}

pub(super) async fn list(args: ListArgs, output: &Output) -> Result<Exit, Failure> {
    let server = args.server.connect().await?;
    let sessions = pages(&server, &args).await?;
    if sessions.sessions.is_empty() {
        output::say("no such sessions");
    } else if sessions.more {
        output::say("there are more; `--limit N` shows more of them");
    }
    output.data(&sessions, |list| view::session::table(&list.sessions))?;
    Ok(Exit::Ok)
}

async fn pages(server: &Server, args: &ListArgs) -> Result<Sessions, Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut sessions = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = server.request(ListSessionsRequest {
            parent: args.tenant.parent(),
            page_size: page_size(limit - sessions.len()),
            page_token,
            subject: args.subject.as_ref().map(view::principal_message),
            include_ended: args.state != StateFilter::Live,
        });
        let page = server.sessions().list_sessions(request).await?.into_inner();
        let admitted = page
            .sessions
            .into_iter()
            .filter(|s| args.state.admits(s.state()));
        sessions.extend(admitted.map(SessionView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() || sessions.len() >= limit {
            let more = !page_token.is_empty() || sessions.len() > limit;
            sessions.truncate(limit);
            return Ok(Sessions { sessions, more });
        }
    }
}

const GET_EXAMPLES: &str = "\
Examples:
  sidegate session get ID
  sidegate session get ID -o json | jq .claims";

/// Arguments of `session get`.
#[derive(Debug, Args)]
#[command(before_help = GET_EXAMPLES)]
pub(super) struct GetArgs {
    /// The session's id or name; never its token.
    id: String,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn get(args: GetArgs, output: &Output) -> Result<Exit, Failure> {
    let name = args.tenant.name("sessions", &args.id)?;
    let server = args.server.connect().await?;
    let session = SessionView::from(read(&server, name).await?);
    output.data(&session, SessionView::people)?;
    Ok(Exit::Ok)
}

/// Reads one session.
pub(super) async fn read(server: &Server, name: String) -> Result<ManagedSession, Failure> {
    let request = server.request(ReadSessionRequest { name });
    let answer = server.sessions().read_session(request).await?.into_inner();
    Ok(answer.session.unwrap_or_default())
}

const WHY_EXAMPLES: &str = "\
Examples:
  sidegate session why ID
  sidegate session why ID -o json | jq .revocation";

/// Arguments of `session why`.
#[derive(Debug, Args)]
#[command(before_help = WHY_EXAMPLES)]
pub(super) struct WhyArgs {
    /// The session's id or name; never its token.
    id: String,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// What became of a session.
#[derive(Debug, Serialize)]
struct Why {
    /// The session's name.
    name: String,
    /// Who is, or was, signed in.
    subject: Option<String>,
    /// Whether it lives.
    state: &'static str,
    /// Who ended it, when and why.
    revocation: Option<RevocationView>,
    /// When it ends if it is not used again, or ended for that.
    idle_expire_time: Option<String>,
    /// When it ends at the latest, or ended.
    expire_time: Option<String>,
    /// All of it in a sentence.
    why: String,
}

pub(super) async fn why(args: WhyArgs, output: &Output) -> Result<Exit, Failure> {
    let name = args.tenant.name("sessions", &args.id)?;
    let server = args.server.connect().await?;
    let session = SessionView::from(read(&server, name).await?);
    let why = Why {
        why: session.why(),
        name: session.name,
        subject: session.subject,
        state: session.state,
        revocation: session.revocation,
        idle_expire_time: session.idle_expire_time,
        expire_time: session.expire_time,
    };
    output.data(&why, |why| {
        let state = match why.state {
            "live" => style::good(why.state),
            state => style::bad(state),
        };
        let subject = why.subject.as_deref().unwrap_or("(anonymous)");
        output::printable(&format!("{subject}: {}", why.why)).replacen(
            subject,
            &format!("{state}  {subject}"),
            1,
        )
    })?;
    Ok(Exit::Ok)
}

const WATCH_EXAMPLES: &str = "\
Examples:
  sidegate session watch
  sidegate session watch -o json | jq -r 'select(.type == \"session_revoked\") | .session'";

/// Arguments of `session watch`.
#[derive(Debug, Args)]
#[command(before_help = WATCH_EXAMPLES)]
pub(super) struct WatchArgs {
    /// The `position` last seen; without it, from now on.
    #[arg(long, value_name = "POSITION", default_value = "")]
    from: String,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn watch(args: WatchArgs, output: &Output) -> Result<Exit, Failure> {
    let server = args.server.connect().await?;
    // Without a deadline: a watch lasts.
    let request = WatchSessionsRequest {
        parent: args.tenant.parent(),
        position: args.from,
    };
    let mut events = server
        .sessions()
        .watch_sessions(request)
        .await?
        .into_inner();
    while let Some(message) = events.message().await? {
        if let Some(event) = EventView::of(message) {
            output.item(&event, EventView::line)?;
        }
    }
    Err(
        Failure::new(Exit::Unavailable, "the watch ended: the sidecar stopped")
            .next("go on with `--from POSITION` of the last event (`-o json` shows it)"),
    )
}
