//! What can be asked for besides serving.

use std::process::ExitCode;

use clap::Subcommand;

use crate::flags::Flags;
use crate::tokens::{self, TokenCommand};
use crate::transfer::{self, ExportArgs, ImportArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes, lists and revokes API tokens, while servers run or not
    #[command(subcommand)]
    Token(TokenCommand),
    /// Writes all licenses and their activations as JSON Lines, while servers run or not
    Export(ExportArgs),
    /// Reads licenses from JSON Lines or CSV, while servers run or not. What is there already is left as it is; begin one that was cut
    /// short again
    Import(ImportArgs),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(&self, flags: &Flags) -> Result<ExitCode, String> {
        match self {
            Self::Token(command) => tokens::run(command, &flags.database).await.map(|()| ExitCode::SUCCESS),
            Self::Export(args) => transfer::export(args, flags).await,
            Self::Import(args) => transfer::import(args, flags).await,
        }
    }
}
