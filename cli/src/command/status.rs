//! `sidegate status`.

use clap::Args;
use proto::admin::v1::GetStatusRequest;

use super::converse;
use crate::{
    connect::ServerArgs, exit::Exit, failure::Failure, output::Output, view::status::StatusView,
};

const EXAMPLES: &str = "\
Examples:
  sidegate status
  sidegate status --data-dir /var/lib/sidegate -o json";

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Tells what is running.
///
/// # Errors
///
/// Returns [`Failure`] when no Sidegate answers.
pub fn run(args: &StatusArgs, output: &Output) -> Result<Exit, Failure> {
    converse(async {
        let server = args.server.connect().await?;
        let request = server.request(GetStatusRequest {});
        let status = server.admin().get_status(request).await?.into_inner();
        output.data(&StatusView::from(status), StatusView::people)?;
        Ok(Exit::Ok)
    })
}
