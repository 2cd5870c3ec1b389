//! Subcommands of the binary.

use std::process::ExitCode;

use clap::Subcommand;

use crate::backup::{self, BackupArgs, RestoreArgs};
use crate::catalog::{self, CatalogCommand};
use crate::clock::{self, ClockCommand};
use crate::completions::{self, CompletionsArgs};
use crate::console::{self, LinkArgs};
use crate::database::Database;
use crate::doctor::{self, DoctorArgs};
use crate::flags::Flags;
use crate::healthcheck;
use crate::lease::{self, LeaseArgs};
use crate::man_pages::{self, ManArgs};
use crate::migration::{self, MigrateArgs};
use crate::secret_rotation::{self, SecretCommand};
use crate::signing_keys::{self, SigningKeyCommand};
use crate::tokens::{self, TokenCommand};
use crate::transfer::{self, ExportArgs, ImportArgs};
use crate::verify::{self, VerifyArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Creates, lists and revokes API tokens; servers may be running
    #[command(subcommand)]
    Token(TokenCommand),
    /// Applies a file of plans to the database, or prints the plans; servers may be running
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Writes all licenses and their activations as JSON Lines; servers may be running
    Export(ExportArgs),
    /// Imports licenses from JSON Lines or CSV; servers may be running. Existing licenses are not changed,
    /// so an import that was interrupted can be repeated
    Import(ImportArgs),
    /// Lists, rotates, revokes, exports and imports signing keys; servers may be running
    #[command(subcommand)]
    SigningKey(SigningKeyCommand),
    /// Prints the time of this machine and the last plausible time in the database; servers may be running
    Clock {
        #[command(subcommand)]
        command: Option<ClockCommand>,
    },
    /// Writes a copy of the SQLite database to a new file; servers may be running
    Backup(BackupArgs),
    /// Replaces the SQLite database by a backup; stop the server first
    Restore(RestoreArgs),
    /// Issues leases for machines without a network, and takes them back; servers may be running
    Lease(LeaseArgs),
    /// Prints each setting with its value and its source: flag, environment, file or default. Secrets are
    /// hidden
    Config,
    /// Checks and rotates the secret of the database; servers may be running
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Prints a link that opens one session of the console, within ten minutes; servers may be running. Give
    /// --listen, --tls-cert and --console-origin as the server has them, before the command
    ConsoleLink(LinkArgs),
    /// Migrates the database to the schema of this version, and ends; servers of the version before may be
    /// running
    Migrate(MigrateArgs),
    /// Checks that a database or a backup is whole, and changes nothing: exit code 0 if it is, 1 if it has
    /// faults; servers may be running
    Verify(VerifyArgs),
    /// Looks for what keeps the server from working, or soon will, and changes nothing: exit code 0, or 1 if
    /// there is an error; servers may be running. Give the flags as the server has them, before the command
    Doctor(DoctorArgs),
    /// Prints the completions of a shell
    Completions(CompletionsArgs),
    /// Prints the manual page, or writes the pages of all commands into a folder
    Man(ManArgs),
    /// Asks /health of the server at --listen, for the health check of a container: exit code 0 or 1
    Healthcheck,
}

impl ServerCommand {
    /// Runs the command.
    pub(crate) async fn run(&self, flags: &Flags) -> Result<ExitCode, String> {
        match self {
            Self::Token(command) => tokens::run(command, &flags.database).await.map(|()| ExitCode::SUCCESS),
            Self::Catalog(command) => {
                catalog::run(command, &flags.database).await.map(|()| ExitCode::SUCCESS)
            }
            Self::SigningKey(command) => signing_keys::run(command, flags).await.map(|()| ExitCode::SUCCESS),
            Self::Export(args) => transfer::export(args, flags).await,
            Self::Import(args) => transfer::import(args, flags).await,
            Self::Clock { command } => {
                clock::run(command.as_ref(), &flags.database).await.map(|()| ExitCode::SUCCESS)
            }
            Self::ConsoleLink(args) => console::run(args, flags).await.map(|()| ExitCode::SUCCESS),
            Self::Backup(args) => backup::backup(args, &flags.database).await,
            Self::Restore(args) => backup::restore(args, &flags.database).await,
            Self::Migrate(args) => migration::run(args, &flags.database).await,
            Self::Lease(args) => lease::run(args, flags).await,
            Self::Secret(command) => secret_rotation::run(command, &flags.database).await,
            Self::Completions(args) => completions::run(args).map(|()| ExitCode::SUCCESS),
            Self::Man(args) => man_pages::run(args).map(|()| ExitCode::SUCCESS),
            Self::Healthcheck => Ok(healthcheck::run(flags).await),
            Self::Config => {
                flags.settings.print(&Database::parse(&flags.database)?.to_string());
                Ok(ExitCode::SUCCESS)
            }
            Self::Doctor(args) => doctor::run(args, flags).await,
            Self::Verify(args) => verify::run(args, &flags.database).await,
        }
    }
}
