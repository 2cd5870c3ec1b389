//! Writes an export.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use license_core::access::{Actor, Principal};
use license_core::service::{ExportKeys, TransferService};

use crate::database::Database;
use crate::flags::Flags;
use crate::private_file::create_private;
use crate::services::{note, with_services};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File to create; without it, the export goes to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Writes license keys in clear text, to import them under another secret. Protect the file
    #[arg(long)]
    keys: bool,
}

/// Exports all licenses.
pub(crate) async fn export(args: &ExportArgs, flags: &Flags) -> Result<ExitCode, String> {
    let database = Database::parse(&flags.database)?;
    if database.is_new() {
        return Err(format!("{database} does not exist"));
    }
    let ExportArgs { output, keys } = args;
    let keys = if *keys { ExportKeys::Clear } else { ExportKeys::Sealed };
    let licenses = with_services(flags, &database, false, async |services| match output {
        None => write(&services.transfer, keys, &mut io::stdout().lock()).await,
        Some(path) => {
            let shown = path.display();
            let mut file = create_private(path).map_err(|error| format!("{shown}: {error}"))?;
            let written = write(&services.transfer, keys, &mut file).await;
            let synced = written.and_then(|licenses| {
                file.sync_all().map(|()| licenses).map_err(|error| format!("{shown}: {error}"))
            });
            // A partial export looks like a complete one.
            synced.inspect_err(|_| drop(std::fs::remove_file(path)))
        }
    });
    note(&format!("{} licenses", licenses.await?));
    Ok(ExitCode::SUCCESS)
}

async fn write(service: &TransferService, keys: ExportKeys, out: &mut impl Write) -> Result<u64, String> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let failed = |error: io::Error| format!("the export cannot be written: {error}");
    let mut exporter =
        service.export(keys, &Actor::new(Principal::CommandLine)).await.map_err(|error| error.to_string())?;
    while let Some(line) = exporter.next_line().await.map_err(|error| error.to_string())? {
        out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    Ok(exporter.licenses())
}
