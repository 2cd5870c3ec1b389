//! `license-server export` and `license-server import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use license_core::access::{Actor, Principal};
use license_core::clock::{SystemClock, SystemRng};
use license_core::key::ImportedKeyFormat;
use license_core::limits;
use license_core::service::{
    ExportKeys, ImportOptions, ImportReport, Importer, ServiceOptions, Services, TransferService,
};
use license_core::transfer::{Columns, ImportLineError};

use crate::database::Database;
use crate::flags::Flags;
use crate::{secret, setup_error};

/// Exit code of an import that rejected lines. An import that failed exits with 2.
const SOME_REJECTED: u8 = 1;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File to create; without it, the export goes to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Writes license keys in clear text, to import them under another secret. Protect the file
    #[arg(long)]
    keys: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File to read; - for standard input
    file: PathBuf,

    /// Format of the file; by default, from its extension
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Checks all lines and changes nothing
    #[arg(long)]
    dry_run: bool,

    /// CSV: maps a column to a field; may be repeated
    #[arg(long, value_name = "COLUMN=FIELD")]
    map: Vec<String>,

    /// CSV: sets a field to the same value in all rows; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,

    /// Format of keys of another system, as a regular expression that must match the whole key; may be
    /// repeated
    #[arg(long = "key-format", value_name = "NAME=PATTERN", value_parser = ImportedKeyFormat::parse)]
    key_formats: Vec<ImportedKeyFormat>,

    /// Records the event license.imported for each license, and sends it to webhooks
    #[arg(long)]
    events: bool,

    /// Accepts licenses with more activations than their limit, as after a limit was lowered
    #[arg(long)]
    over_limit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON Lines, as written by an export.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
}

/// Opens the database, runs `work`, and closes it. If the database does not exist, a dry run uses an empty
/// one in memory.
async fn with_service<T>(
    flags: &Flags,
    database: &Database,
    dry_run: bool,
    work: impl AsyncFnOnce(&TransferService) -> Result<T, String>,
) -> Result<T, String> {
    if matches!(database, Database::Memory) {
        return Err("memory: has no licenses, because it belongs to one process".to_owned());
    }
    let (key_format, (plans, _)) = (flags.key_format()?, flags.plans()?);
    database.check()?;
    let starting = database.lock_folder();
    let is_new = database.is_new();
    let target = if is_new && dry_run { &Database::Memory } else { database };
    let has_secret = database.secret_file().is_some_and(|file| file.exists());
    // An import is one way to fill a new database whose secret was copied from another machine.
    let secret = secret::load(if has_secret { database } else { target }, true)?;
    let store = target.open().await.inspect_err(|_| secret.discard())?;
    drop(starting);
    if is_new && !dry_run {
        note(&format!("{database}: new; secret: {}", secret.note));
    }
    let options =
        ServiceOptions::new(&secret.secret, SystemClock, SystemRng).plans(plans).key_format(key_format);
    let result = match Services::open(Arc::clone(&store), options).await {
        Ok(services) => work(&services.transfer).await,
        Err(error) => Err(setup_error(database, &error)),
    };
    store.close().await;
    result
}

/// Exports all licenses.
pub(crate) async fn export(args: &ExportArgs, flags: &Flags) -> Result<ExitCode, String> {
    let database = Database::parse(&flags.database)?;
    if database.is_new() {
        return Err(format!("{database} does not exist"));
    }
    let ExportArgs { output, keys } = args;
    let keys = if *keys { ExportKeys::Clear } else { ExportKeys::Sealed };
    let licenses = with_service(flags, &database, false, async |service| match output {
        None => write(service, keys, &mut io::stdout().lock()).await,
        Some(path) => {
            let shown = path.display();
            let mut file = create_private(path).map_err(|error| format!("{shown}: {error}"))?;
            let written = write(service, keys, &mut file).await;
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

/// Creates a file that only its owner can read: exports hold customer data and may hold keys.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Imports licenses. Invalid lines are reported and skipped.
pub(crate) async fn import(args: &ImportArgs, flags: &Flags) -> Result<ExitCode, String> {
    let database = Database::parse(&flags.database)?;
    let shown = args.file.display().to_string();
    let format = args.format()?;
    let (input, size): (Box<dyn Read>, Option<u64>) = if args.file.as_os_str() == "-" {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(&args.file).map_err(|error| format!("{shown}: {error}"))?;
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|found| found.len());
        (Box::new(file), size)
    };
    let bar = progress(size);
    let input = BufReader::with_capacity(1 << 16, bar.wrap_read(input));
    let report = with_service(flags, &database, args.dry_run, async |service| {
        let importer = service.import(args.options()).await.map_err(|error| error.to_string())?;
        let mut importing = Importing { importer, shown: &shown, bar: &bar };
        match format {
            Format::Jsonl => importing.lines(input).await?,
            Format::Csv => importing.rows(input, &args.map, &args.set).await?,
        }
        importing.finish().await
    });
    let report = report.await;
    bar.finish_and_clear();
    let ImportReport { imported, activations, rollups, existing, refused } = report?;
    let what = if args.dry_run { "would be imported" } else { "imported" };
    note(&format!(
        "{imported} licenses, {activations} activations and {rollups} rollups {what}; \
        {existing} licenses existed; {refused} lines rejected"
    ));
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_REJECTED) })
}

impl ImportArgs {
    fn format(&self) -> Result<Format, String> {
        let by_name = || match self.file.extension().and_then(std::ffi::OsStr::to_str) {
            Some("csv") => Some(Format::Csv),
            Some("jsonl" | "ndjson") => Some(Format::Jsonl),
            _ => None,
        };
        let format = self.format.or_else(by_name);
        let format = format.ok_or_else(|| {
            format!("{}: unknown format; set --format to jsonl or csv", self.file.display())
        })?;
        if format == Format::Jsonl && !(self.map.is_empty() && self.set.is_empty()) {
            return Err("--map and --set require CSV".to_owned());
        }
        Ok(format)
    }

    fn options(&self) -> ImportOptions {
        ImportOptions {
            dry_run: self.dry_run,
            events: self.events,
            over_limit: self.over_limit,
            key_formats: self.key_formats.clone(),
            by: Some(Arc::new(Actor::new(Principal::CommandLine))),
        }
    }
}

/// Returns a progress bar. It is shown on a terminal only.
fn progress(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:40} {percent}% of {total_bytes} {eta} {msg}"),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[expect(clippy::print_stderr, reason = "message to the user of the command")]
fn note(text: &str) {
    eprintln!("{text}");
}

struct Importing<'a> {
    importer: Importer<'a>,
    shown: &'a str,
    bar: &'a ProgressBar,
}

impl Importing<'_> {
    /// Imports JSON Lines. Memory is bounded by the length limit of a line.
    async fn lines(&mut self, mut input: impl BufRead) -> Result<(), String> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let max = limits::IMPORT_LINE_BYTES as u64 + 2;
            let read = input.by_ref().take(max).read_until(b'\n', &mut line);
            if read.map_err(|error| self.unreadable(&error))? == 0 {
                break;
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if line.len() as u64 == max {
                // Too long: the importer rejects it, and the rest of the line is skipped.
                skip_line(&mut input).map_err(|error| self.unreadable(&error))?;
            }
            let result = self.importer.line(number, &line).await;
            self.report();
            result.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Imports the rows of a table.
    async fn rows(&mut self, input: impl BufRead, map: &[String], set: &[String]) -> Result<(), String> {
        let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(input);
        let header = table.headers().map_err(|error| self.unreadable(&error))?;
        // Spreadsheets write a byte order mark.
        let header: Vec<_> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        let columns = Columns::new(&header, map, set).map_err(|error| format!("{}: {error}", self.shown))?;
        if !columns.left_out().is_empty() {
            note(&format!("{}: ignored columns: {}", self.shown, columns.left_out().join(", ")));
        }
        let mut row = csv::StringRecord::new();
        loop {
            let (number, license) = match table.read_record(&mut row) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    let cells: Vec<_> = row.iter().collect();
                    (row.position().map_or(0, csv::Position::line), columns.license(&cells))
                }
                Err(error) if error.is_io_error() => return Err(self.unreadable(&error)),
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    (line, Err(ImportLineError::new("it is not UTF-8 text")))
                }
            };
            let result = self.importer.row(number, license).await;
            self.report();
            result.map_err(|error| error.to_string())?;
        }
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.shown)
    }

    /// Reports progress, and the invalid lines since the last call, on standard error.
    fn report(&mut self) {
        let faults = self.importer.take_faults();
        if !faults.is_empty() {
            self.bar.suspend(|| {
                for (line, fault) in faults {
                    note(&format!("{}:{line}: {fault}", self.shown));
                }
            });
        }
        let ImportReport { imported, existing, refused, .. } = self.importer.report();
        self.bar.set_message(format!("{imported} new, {existing} existing, {refused} rejected"));
    }

    async fn finish(mut self) -> Result<ImportReport, String> {
        let result = self.importer.finish().await.map_err(|error| error.to_string());
        self.report();
        result
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let part = input.fill_buf()?;
        let end = part.iter().position(|byte| *byte == b'\n');
        let (used, done) = end.map_or((part.len(), part.is_empty()), |end| (end + 1, true));
        input.consume(used);
        if done {
            return Ok(());
        }
    }
}
