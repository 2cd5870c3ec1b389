//! `license-server clock`: the clock of this machine beside the heartbeat of the database.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use license_core::access::{Actor, Principal};
use license_core::clock::{SystemClock, SystemRng};
use license_core::service::{ClockAndRng, ClockService, ClockState};

use crate::database::Database;
use crate::flags::DatabaseFlags;

#[derive(Debug, Subcommand)]
pub(crate) enum ClockCommand {
    /// Accepts the time of this machine. Servers with this time resume their jobs within seconds
    Accept,
}

/// Runs the command on an existing database. It needs no secret.
pub(crate) async fn run(command: Option<&ClockCommand>, flags: &DatabaseFlags) -> Result<(), String> {
    let store = Database::parse(flags)?.open_existing("clock").await?;
    let sources = Arc::new(ClockAndRng::new(SystemClock, SystemRng));
    let clock = ClockService::new(Arc::clone(&store) as _, sources);
    let done = execute(command, &clock).await;
    store.close().await;
    done
}

#[expect(clippy::print_stdout, reason = "output of the command")]
async fn execute(command: Option<&ClockCommand>, clock: &ClockService) -> Result<(), String> {
    let text = |error: license_core::store::StoreError| error.to_string();
    match command {
        None => {
            let ClockState { now, heartbeat, is_plausible } = clock.state().await.map_err(text)?;
            println!("this machine  {}", shown(now));
            println!("heartbeat     {}", heartbeat.map_or_else(|| "none".to_owned(), shown));
            println!(
                "plausible     {}",
                if is_plausible { "yes" } else { "no: jobs that act on time are paused" }
            );
        }
        Some(ClockCommand::Accept) => {
            let now = clock.accept(&Actor::new(Principal::CommandLine)).await.map_err(text)?;
            println!("accepted {}", shown(now));
        }
    }
    Ok(())
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
