//! `sidegate session`.

use auth_core::session::SessionId;
use clap::{Args, Subcommand};

use super::converse;
use crate::{exit::Exit, failure::Failure, output::Output};

mod change;
mod read;
mod revoke;

const EXAMPLES: &str = "\
Examples:
  sidegate session list --subject u1
  sidegate session why ID
  sidegate session revoke ID --reason \"device lost\"
  sidegate session revoke --subject u1 --except ID
  sidegate session watch -o json";

/// Arguments of `session`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, arg_required_else_help = true)]
pub struct SessionArgs {
    #[command(subcommand)]
    verb: SessionVerb,
}

#[derive(Debug, Subcommand)]
enum SessionVerb {
    /// Lists sessions, oldest first.
    List(read::ListArgs),
    /// Shows one session, live or ended.
    Get(read::GetArgs),
    /// Makes a session; its token is printed this once.
    Create(change::CreateArgs),
    /// Gives a session a new token; the old one dies at once.
    Rotate(change::RotateArgs),
    /// Ends a session, a subject's, or everyone's.
    Revoke(revoke::RevokeArgs),
    /// Shows what happens to sessions as it happens.
    Watch(read::WatchArgs),
    /// Tells who ended a session, when and why, or that it lives.
    Why(read::WhyArgs),
}

/// Does what was asked of sessions.
///
/// # Errors
///
/// Returns [`Failure`] when it was not done.
pub fn run(args: SessionArgs, output: &Output) -> Result<Exit, Failure> {
    converse(async {
        match args.verb {
            SessionVerb::List(args) => read::list(args, output).await,
            SessionVerb::Get(args) => read::get(args, output).await,
            SessionVerb::Create(args) => change::create(args, output).await,
            SessionVerb::Rotate(args) => change::rotate(args, output).await,
            SessionVerb::Revoke(args) => revoke::revoke(args, output).await,
            SessionVerb::Watch(args) => read::watch(args, output).await,
            SessionVerb::Why(args) => read::why(args, output).await,
        }
    })
}

/// Whose sessions and keys.
#[derive(Debug, Args)]
pub struct TenantArgs {
    /// The tenant.
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
}

impl TenantArgs {
    /// The tenant as requests name it.
    #[must_use]
    pub fn parent(&self) -> String {
        format!("tenants/{}", self.tenant)
    }

    /// The resource name of `id`, which may be a whole name already.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when it is neither.
    pub fn name(&self, collection: &str, id: &str) -> Result<String, Failure> {
        if id.starts_with("sg1_") {
            // It is not repeated: it would end up in one more log.
            return Err(Failure::usage(
                "this is a session's token, not its id; a token in an argument can be read by \
                 every process with `ps`",
            )
            .next("`sidegate session list` shows ids"));
        }
        if id.starts_with("tenants/") {
            return Ok(id.to_owned());
        }
        if SessionId::parse(id).is_none() {
            let message = format!("`{}` is no id: a UUID is wanted", id.escape_debug());
            let list = if collection == "sessions" {
                "session"
            } else {
                "key"
            };
            return Err(Failure::usage(message).next(format!("`sidegate {list} list` shows ids")));
        }
        Ok(format!(
            "{}/{collection}/{}",
            self.parent(),
            id.to_lowercase()
        ))
    }
}

/// The size of a page when `missing` are missing.
#[must_use]
pub fn page_size(missing: usize) -> i32 {
    i32::try_from(missing.clamp(1, 1000)).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantArgs {
        TenantArgs {
            tenant: "default".to_owned(),
        }
    }

    #[test]
    fn an_id_becomes_a_name() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let name = tenant().name("sessions", id).unwrap();
        assert_eq!(name, format!("tenants/default/sessions/{id}"));
        assert_eq!(tenant().name("sessions", &name).unwrap(), name);
    }

    #[test]
    fn a_token_is_no_id_and_is_not_repeated() {
        let failure = tenant().name("sessions", "sg1_topsecret").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(!failure.render().contains("topsecret"));
    }
}
