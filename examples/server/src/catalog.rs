//! `license-server catalog`: products and plans from the command line.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use license_core::access::{Actor, Principal};
use license_core::catalog_command::{PlanChange, PlanDifference};
use license_core::clock::{SystemClock, SystemRng};
use license_core::service::{CatalogService, ClockAndRng};

use crate::database::Database;
use crate::flags::{DatabaseFlags, read_plans};

#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Creates and changes the plans of a file, and archives the other plans. Sold licenses keep their terms.
    /// Plans that a running server manages by --plans cannot be changed
    Apply {
        /// File of plans in TOML, as for --plans
        file: PathBuf,

        /// Prints what would change, and changes nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Prints products and plans as TOML, without archived plans; catalog apply accepts it
    Export,
}

/// Runs the command on an existing database. A new one would need a secret, which plans do not.
pub(crate) async fn run(command: &CatalogCommand, flags: &DatabaseFlags) -> Result<(), String> {
    let plans = match command {
        CatalogCommand::Apply { file, .. } => Some(read_plans(file)?),
        CatalogCommand::Export => None,
    };
    let store = Database::parse(flags)?.open_existing("plans").await?;
    let sources = Arc::new(ClockAndRng::new(SystemClock, SystemRng));
    let service = CatalogService::new(Arc::clone(&store) as _, sources);
    let service = service.by(&Arc::new(Actor::new(Principal::CommandLine)));
    let done = async {
        match (command, plans) {
            (CatalogCommand::Apply { dry_run: true, .. }, Some(plans)) => {
                service.apply_dry_run(&plans).await.map(|differences| lines(&differences))
            }
            (_, Some(plans)) => service.apply(&plans).await.map(|differences| lines(&differences)),
            (_, None) => {
                let catalog = service.reload().await.map_err(|error| error.to_string())?;
                return catalog.to_toml().map_err(|error| error.to_string());
            }
        }
        .map_err(|error| error.to_string())
    };
    let done = done.await;
    store.close().await;
    print(&done?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "output of the command")]
fn print(text: &str) {
    print!("{text}");
}

/// Returns a tab-separated line for each plan.
fn lines(differences: &[PlanDifference]) -> String {
    let line = |PlanDifference { plan, change }: &PlanDifference| match change {
        PlanChange::Created => format!("{plan}\tnew\n"),
        PlanChange::NewVersion { version, fields } => {
            format!("{plan}\tnew version {version}: {}\n", fields.join(", "))
        }
        PlanChange::Archived => format!("{plan}\tarchived\n"),
        PlanChange::Unarchived => format!("{plan}\tunarchived\n"),
        PlanChange::Unchanged => format!("{plan}\tunchanged\n"),
    };
    differences.iter().map(line).collect()
}
