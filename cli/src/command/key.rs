//! `sidegate key`.

use std::time::Duration;

use auth_core::principal::Principal;
use clap::{Args, Subcommand};
use proto::admin::v1::{CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest};
use serde::Serialize;

use super::{converse, session::TenantArgs};
use crate::{
    connect::{Server, ServerArgs, span},
    exit::Exit,
    failure::Failure,
    input,
    output::{self, Output},
    view::{self, key::KeyView},
};

const EXAMPLES: &str = "\
Examples:
  sidegate key create --name ci --subject robot --scope books:read --ttl 90d
  sidegate key list
  sidegate key revoke ID --reason \"laptop lost\"";

const CREATE_EXAMPLES: &str = "\
Examples:
  sidegate key create --name ci --subject robot --scope books:read --ttl 90d
  sidegate key create --name ci --subject robot -o json | jq -r .key > ci.key";

const LIST_EXAMPLES: &str = "\
Examples:
  sidegate key list
  sidegate key list -o json";

const REVOKE_EXAMPLES: &str = "\
Examples:
  sidegate key revoke ID --dry-run
  sidegate key revoke ID --reason \"laptop lost\"";

/// Arguments of `key`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, arg_required_else_help = true)]
pub struct KeyArgs {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// Makes an API key; it is printed this once.
    Create(CreateArgs),
    /// Lists API keys, oldest first; never the keys themselves.
    List(ListArgs),
    /// Revokes an API key.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(before_help = CREATE_EXAMPLES)]
struct CreateArgs {
    /// What people call it.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// For whom it acts, as `robot` or `idp/robot`.
    #[arg(long, value_name = "SUBJECT")]
    subject: Principal,
    /// A scope granted; may be given again.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Grants every scope.
    #[arg(long, conflicts_with = "scopes")]
    all_scopes: bool,
    /// Facts about the holder: a JSON object, `@FILE` or `-`.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    claims: String,
    /// How long it lives, as `90d`; without it, for ever.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    ttl: Option<Duration>,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
#[command(before_help = LIST_EXAMPLES)]
struct ListArgs {
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
#[command(before_help = REVOKE_EXAMPLES)]
struct RevokeArgs {
    /// The key's id.
    id: String,
    /// Words for the record.
    #[arg(long, value_name = "WORDS", default_value = "")]
    reason: String,
    /// Only tells what it would do.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    tenant: TenantArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Does what was asked of API keys.
///
/// # Errors
///
/// Returns [`Failure`] when it was not done.
pub fn run(args: KeyArgs, output: &Output) -> Result<Exit, Failure> {
    converse(async {
        match args.verb {
            KeyVerb::Create(args) => create(args, output).await,
            KeyVerb::List(args) => list(args, output).await,
            KeyVerb::Revoke(args) => revoke(args, output).await,
        }
    })
}

/// A new API key, with the key itself.
#[derive(Debug, Serialize)]
struct Created {
    /// The key as lists show it.
    api_key: KeyView,
    /// The key itself, printed this once.
    key: String,
}

async fn create(args: CreateArgs, output: &Output) -> Result<Exit, Failure> {
    let claims = input::object("--claims", &args.claims)?;
    let server = args.server.connect().await?;
    let request = server.request(CreateApiKeyRequest {
        parent: args.tenant.parent(),
        display_name: args.name,
        subject: Some(view::principal_message(&args.subject)),
        scopes: args.scopes,
        all_scopes: args.all_scopes,
        claims_json: view::json_bytes(&claims),
        ttl: args.ttl.map(view::span_message),
    });
    let answer = server.admin().create_api_key(request).await?.into_inner();
    let created = Created {
        api_key: answer.api_key.unwrap_or_default().into(),
        key: answer.key,
    };
    output.data(&created, |created| {
        format!("{}\n\n{}", created.api_key.people(), created.key)
    })?;
    output::say("the key is printed this once; it cannot be shown again");
    Ok(Exit::Ok)
}

/// API keys.
#[derive(Debug, Serialize)]
struct Keys {
    /// The keys.
    api_keys: Vec<KeyView>,
    /// Whether there are more.
    more: bool,
}

async fn list(args: ListArgs, output: &Output) -> Result<Exit, Failure> {
    let server = args.server.connect().await?;
    let keys = pages(&server, &args.tenant, args.limit).await?;
    if keys.api_keys.is_empty() {
        output::say("no API keys; `sidegate key create` makes one");
    } else if keys.more {
        output::say("there are more; `--limit N` shows more of them");
    }
    output.data(&keys, |keys| view::key::table(&keys.api_keys))?;
    Ok(Exit::Ok)
}

async fn pages(server: &Server, tenant: &TenantArgs, limit: u32) -> Result<Keys, Failure> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut keys = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = server.request(ListApiKeysRequest {
            parent: tenant.parent(),
            page_size: super::session::page_size(limit - keys.len()),
            page_token,
        });
        let page = server.admin().list_api_keys(request).await?.into_inner();
        keys.extend(page.api_keys.into_iter().map(KeyView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() || keys.len() >= limit {
            keys.truncate(limit);
            return Ok(Keys {
                api_keys: keys,
                more: !page_token.is_empty(),
            });
        }
    }
}

/// The end of an API key.
#[derive(Debug, Serialize)]
struct Revoked {
    /// The key's name.
    name: String,
    /// Whether it was live until now.
    was_live: bool,
    /// Whether it was only looked at.
    dry_run: bool,
}

impl Revoked {
    fn people(&self) -> String {
        let words = match (self.was_live, self.dry_run) {
            (true, false) => "revoked",
            (true, true) => "would revoke it",
            (false, false) => "it had ended already; nothing changed",
            (false, true) => "it has ended already; nothing would change",
        };
        words.to_owned()
    }
}

async fn revoke(args: RevokeArgs, output: &Output) -> Result<Exit, Failure> {
    let name = args.tenant.name("apiKeys", &args.id)?;
    let server = args.server.connect().await?;
    let was_live = if args.dry_run {
        is_live(&server, &args.tenant, &name).await?
    } else {
        let request = server.request(RevokeApiKeyRequest {
            name: name.clone(),
            reason: args.reason,
        });
        let answer = server.admin().revoke_api_key(request).await?;
        answer.into_inner().was_live
    };
    let revoked = Revoked {
        name,
        was_live,
        dry_run: args.dry_run,
    };
    output.data(&revoked, Revoked::people)?;
    Ok(Exit::Ok)
}

/// Whether a key lives, from the list of keys: a single one cannot be read.
async fn is_live(server: &Server, tenant: &TenantArgs, name: &str) -> Result<bool, Failure> {
    let keys = pages(server, tenant, u32::MAX).await?;
    match keys.api_keys.iter().find(|key| key.name == name) {
        Some(key) => Ok(key.state == "live"),
        None => Err(Failure::new(Exit::NotFound, "there is no such API key")
            .next("`sidegate key list` shows the keys kept")),
    }
}
