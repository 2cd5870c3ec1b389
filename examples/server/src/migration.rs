//! `license-server migrate`: migrates the schema apart from a start.

use std::process::ExitCode;

use clap::Args;
use license_store::sql::OpenError;

use crate::database::Database;
use crate::flags::DatabaseFlags;
use crate::services::print;

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Changes nothing, and tells whether a migration is needed: exit code 0 if not, 1 if it is, and 2 if the
    /// schema is of a later version or the database cannot be opened
    #[arg(long)]
    check: bool,
}

/// Runs the command. A missing SQLite file is not created: its secret would be missing.
pub(crate) async fn run(args: &MigrateArgs, flags: &DatabaseFlags) -> Result<ExitCode, String> {
    let database = Database::parse(flags)?;
    database.check_exists("schema")?;
    match database.try_open(false).await {
        Ok(store) => {
            store.close().await;
            print(&format!("{database} has the schema of this version\n"));
            Ok(ExitCode::SUCCESS)
        }
        Err(error @ OpenError::OlderSchema { .. }) if args.check => {
            print(&format!("{database}: {error}\n"));
            Ok(ExitCode::from(1))
        }
        Err(OpenError::OlderSchema { found, known }) => {
            database.open(true).await?.close().await;
            print(&format!("{database} is migrated from schema {found} to {known}\n"));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(database.failed(&error)),
    }
}
