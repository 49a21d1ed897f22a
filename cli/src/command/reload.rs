//! `sidegate reload`.

use clap::Args;
use proto::admin::v1::ReloadPolicyRequest;

use super::converse;
use crate::{
    connect::ServerArgs, exit::Exit, failure::Failure, output::Output, view::status::PolicyView,
};

const EXAMPLES: &str = "\
Examples:
  sidegate reload
  sidegate validate sidegate.yaml && sidegate reload";

/// Arguments of `reload`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ReloadArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Has the policy file read again.
///
/// # Errors
///
/// Returns [`Failure`] when no Sidegate answers, or the file does not load: the old one stays.
pub fn run(args: &ReloadArgs, output: &Output) -> Result<Exit, Failure> {
    converse(async {
        let server = args.server.connect().await?;
        let request = server.request(ReloadPolicyRequest {});
        let reloaded = server.admin().reload_policy(request).await?.into_inner();
        let policy = PolicyView::from(reloaded.policy.unwrap_or_default());
        output.data(&policy, PolicyView::people)?;
        Ok(Exit::Ok)
    })
}
