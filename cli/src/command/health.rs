//! `sidegate health`.

use clap::Args;
use serde::Serialize;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::converse;
use crate::{connect::ServerArgs, exit::Exit, failure::Failure, output::Output};

const EXAMPLES: &str = "\
Examples:
  sidegate health
  sidegate health --addr http://127.0.0.1:7480 -o json";

/// Arguments of `health`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct HealthArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The service to ask about; empty is all of it.
    #[arg(long, default_value = "", value_name = "NAME")]
    service: String,
}

/// Whether it serves.
#[derive(Debug, Serialize)]
struct Health {
    /// As `serving` or `not_serving`.
    status: &'static str,
    /// What was asked about; empty is all of it.
    service: String,
}

/// Tells whether it serves: exit 0, else 7.
///
/// # Errors
///
/// Returns [`Failure`] when no Sidegate answers.
pub fn run(args: &HealthArgs, output: &Output) -> Result<Exit, Failure> {
    converse(async {
        let server = args.server.connect().await?;
        let request = server.request(HealthCheckRequest {
            service: args.service.clone(),
        });
        let mut client = HealthClient::new(server.channel());
        let answer = client.check(request).await.map_err(|status| {
            if status.code() == Code::NotFound {
                let message = format!("there is no service `{}`", args.service);
                return Failure::new(Exit::NotFound, message);
            }
            status.into()
        })?;
        let serving = answer.into_inner().status() == ServingStatus::Serving;
        let health = Health {
            status: if serving { "serving" } else { "not_serving" },
            service: args.service.clone(),
        };
        output.data(&health, |health| health.status.to_owned())?;
        Ok(if serving { Exit::Ok } else { Exit::Unavailable })
    })
}
