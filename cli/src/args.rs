//! What may be typed.

use clap::{Parser, Subcommand};

use crate::{command, output::Format, style::When};

const TEMPLATE: &str =
    "{before-help}{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  sidegate dev                                     a running book shop, with lines to paste
  sidegate init && sidegate validate sidegate.yaml a first policy file of your own
  sidegate can \"GET /books\" --config sidegate.yaml may nobody in particular do this?
  sidegate session revoke --subject u1             log somebody out everywhere
  sidegate session why ID                          who ended this session, when and why";

const EXIT_CODES: &str = "\
Exit codes: 0 done or allowed, 1 unexpected, 2 usage, 3 bad file, 4 cases failed, 5 not found,
6 operator not allowed, 7 undetermined or no answer, 8 conflict, 10 denied, 11 unauthenticated,
12 invalid, 13 limited.";

/// Sessions and permissions, the same on every wire.
#[derive(Debug, Parser)]
#[command(
    name = "sidegate",
    version,
    before_help = EXAMPLES,
    after_help = EXIT_CODES,
    help_template = TEMPLATE,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// The form of data on stdout.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORM",
        default_value = "table"
    )]
    pub output: Format,
    /// Whether output is coloured; `NO_COLOR` and `CLICOLOR_FORCE` count too.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[command(help_template = TEMPLATE)]
pub enum Command {
    /// Runs a demo shop, or the files of a directory, and shows decisions live.
    Dev(command::dev::DevArgs),
    /// Runs Sidegate.
    Serve(command::serve::ServeArgs),
    /// Writes the smallest policy file and cases that test it; never overwrites.
    Init(command::init::InitArgs),
    /// Reads a policy file and says everything that is wrong with it.
    Validate(command::validate::ValidateArgs),
    /// Decides one call: from a file, with no server, or as a running Sidegate does.
    Can(Box<command::can::CanArgs>),
    /// Sessions: list, get, create, rotate, revoke, watch, why.
    Session(command::session::SessionArgs),
    /// API keys: create, list, revoke.
    Key(command::key::KeyArgs),
    /// Proxies that ask Sidegate: print their configuration.
    Proxy(command::proxy::ProxyArgs),
    /// Tells what is running.
    Status(command::status::StatusArgs),
    /// Tells whether it serves; for probes.
    Health(command::health::HealthArgs),
    /// Has the policy file read again; a bad one leaves the old one in force.
    Reload(command::reload::ReloadArgs),
    /// Prints the JSON Schema of the policy file, for editors.
    Schema(command::schema::SchemaArgs),
    /// Prints a shell's completions.
    Completion(command::completion::CompletionArgs),
}
