//! `license-server token`: API tokens from the command line.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use license_core::access::{Actor, ApiToken, Principal, Scope, Scopes, TokenId, TokenName};
use license_core::clock::{SystemClock, SystemRng};
use license_core::service::{AccessService, ClockAndRng, TokenSpec};
use license_core::store::PageRequest;

use crate::database::Database;
use crate::flags::DatabaseFlags;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Creates a token and prints it to standard output, only once
    Create(CreateArgs),
    /// Prints all tokens, newest first, as tab-separated id, kind (api, session or link), status, scopes,
    /// expiry, last use and name
    List,
    /// Revokes a token permanently
    Revoke {
        /// Id of the token, such as tok_…
        #[arg(value_parser = id)]
        id: TokenId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the token
    #[arg(long, value_parser = TokenName::parse)]
    name: TokenName,

    /// Comma-separated scopes: licenses:read, licenses:write, usage:read, webhooks:read, webhooks:write,
    /// tokens:write, audit:read, catalog:read, catalog:write, leases:write, keys:write,
    /// admin
    #[arg(long, value_parser = Scopes::parse)]
    scopes: Scopes,

    /// Expiry as an RFC 3339 time; without it, the token does not expire
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<DateTime<Utc>>,
}

pub(crate) fn id(text: &str) -> Result<TokenId, &'static str> {
    TokenId::parse(text).map_err(|_| "must be tok_ followed by 1 to 40 of a-z and 0-9")
}

fn time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.to_utc()).map_err(|_| "must be a time such as 2027-01-31T00:00:00Z")
}

/// Runs the command on an existing database. A new one would need a secret, which tokens do not.
pub(crate) async fn run(command: &TokenCommand, flags: &DatabaseFlags) -> Result<(), String> {
    let store = Database::parse(flags)?.open_existing("tokens").await?;
    let sources = Arc::new(ClockAndRng::new(SystemClock, SystemRng));
    let shared = || Arc::clone(&store);
    let access = AccessService::new(shared() as _, shared() as _, shared() as _, sources);
    let done = execute(command, &access).await;
    store.close().await;
    done
}

#[expect(clippy::print_stdout, reason = "output of the command")]
async fn execute(command: &TokenCommand, access: &AccessService) -> Result<(), String> {
    let (by, all) = (Actor::new(Principal::CommandLine), Scopes::from(Scope::Admin));
    match command {
        TokenCommand::Create(CreateArgs { name, scopes, expires }) => {
            let spec = TokenSpec { name: name.clone(), scopes: *scopes, expires_at: *expires };
            let (_, secret) = access.create(&spec, all, &by).await.map_err(|error| error.to_string())?;
            println!("{}", secret.reveal());
        }
        TokenCommand::List => {
            let mut page = PageRequest::default();
            loop {
                let found = access.tokens(&page).await.map_err(|error| error.to_string())?;
                for token in &found.items {
                    println!("{}", line(token, access.now()));
                }
                let Some(after) = found.next else { break };
                page.after = Some(after);
            }
        }
        TokenCommand::Revoke { id } => {
            let token = access.revoke(id, all, &by).await.map_err(|error| error.to_string())?;
            println!("{}", line(&token, access.now()));
        }
    }
    Ok(())
}

fn line(token: &ApiToken, now: DateTime<Utc>) -> String {
    let ApiToken {
        id,
        digest: _,
        name,
        scopes,
        created_at: _,
        last_used_at,
        expires_at,
        revoked_at: _,
        kind,
    } = token;
    let shown = |time: &Option<DateTime<Utc>>| {
        time.map_or_else(|| "never".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    };
    let status = token.state(now).as_str();
    let (expiry, used, name, kind) = (shown(expires_at), shown(last_used_at), name.as_str(), kind.as_str());
    format!("{id}\t{kind}\t{status}\t{scopes}\t{expiry}\t{used}\t{name}")
}
