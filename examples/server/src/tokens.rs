//! `license-server token`: tokens from the command line, for the first one and for automation.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use license_core::access::{AccessService, TokenSpec};
use license_core::audit::{Actor, Who};
use license_core::clock::{SystemClock, SystemRng};
use license_core::store::PageRequest;
use license_core::token::{ApiToken, Scope, Scopes, TokenId, TokenName};

use crate::database::Database;
use crate::flags::DatabaseFlags;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Makes a token and prints it, this once, on standard output
    Create(CreateArgs),
    /// Prints all tokens, newest first: id, status, scopes, expiry, last use and name, with tabs between them
    List,
    /// Revokes a token, for good
    Revoke {
        /// Its id, `tok_…`
        #[arg(value_parser = id)]
        id: TokenId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What it is called
    #[arg(long, value_parser = TokenName::parse)]
    name: TokenName,

    /// What it may do, with commas between: licenses:read, licenses:write, usage:read, webhooks:read, webhooks:write, tokens:write,
    /// audit:read, admin
    #[arg(long, value_parser = Scopes::parse)]
    scopes: Scopes,

    /// When it ends, as RFC 3339 has it; never otherwise
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<DateTime<Utc>>,
}

fn id(text: &str) -> Result<TokenId, &'static str> {
    TokenId::parse(text).ok_or("a token's id is tok_ and 1 to 40 of a-z and 0-9")
}

fn time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.to_utc()).map_err(|_| "this must be a time such as 2027-01-31T00:00:00Z")
}

/// Does what is asked, on the database of the flags. A database is not made for it: a server has to give it a secret.
pub(crate) async fn run(command: &TokenCommand, flags: &DatabaseFlags) -> Result<(), String> {
    let database = Database::parse(flags)?;
    if matches!(database, Database::Memory) {
        return Err("memory: has no tokens that another process could see".to_owned());
    }
    if database.is_new() {
        return Err(format!("{database} is not there yet: start the server once"));
    }
    database.check()?;
    let opened = database.open().await?;
    let access = AccessService::new(Arc::clone(&opened.access), SystemClock, SystemRng);
    let done = carry_out(command, &access).await;
    opened.close().await;
    done
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
async fn carry_out(command: &TokenCommand, access: &AccessService) -> Result<(), String> {
    let (by, all) = (Actor::new(Who::CommandLine), Scopes::from(Scope::Admin));
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
    let ApiToken { id, digest: _, name, scopes, created_at: _, last_used_at, expires_at, revoked_at: _ } =
        token;
    let shown = |time: &Option<DateTime<Utc>>| {
        time.map_or_else(|| "never".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    };
    let status = token.state(now).as_str();
    format!("{id}\t{status}\t{scopes}\t{}\t{}\t{}", shown(expires_at), shown(last_used_at), name.as_str())
}
