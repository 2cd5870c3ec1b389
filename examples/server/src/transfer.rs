//! `license-server export` and `license-server import`: licenses out of one database and into another, or in from elsewhere.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use license_core::audit::{Actor, Who};
use license_core::clock::{SystemClock, SystemRng};
use license_core::key::ForeignFormat;
use license_core::limits;
use license_core::transfer::{
    Columns, ExportKeys, ImportFault, ImportOptions, ImportReport, Importer, TransferService,
};

use crate::database::{Database, Opened};
use crate::flags::Flags;
use crate::{check_key_format, secret};

/// What a run ends with where lines were refused; 2 is one that did not come to its end.
const SOME_REFUSED: u8 = 1;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File to write, which must not be there yet; standard output otherwise
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Writes license keys in clear, for a database with another secret. Whoever has the file has the keys
    #[arg(long)]
    keys: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File to read; - is standard input
    file: PathBuf,

    /// What the file is; its name tells otherwise
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Finds the same faults, and writes nothing
    #[arg(long)]
    dry_run: bool,

    /// CSV: a column that is a field by another name; may stand several times
    #[arg(long, value_name = "COLUMN=FIELD")]
    map: Vec<String>,

    /// CSV: a field that is the same for all rows; may stand several times
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,

    /// The form of keys of another system, as a regular expression that a whole key fits; may stand several times
    #[arg(long = "key-format", value_name = "NAME=PATTERN", value_parser = ForeignFormat::parse)]
    key_formats: Vec<ForeignFormat>,

    /// Tells of each license with the event license.imported, which goes to webhooks
    #[arg(long)]
    events: bool,

    /// Imports licenses that hold more slots than they may have, as a lowered limit leaves them
    #[arg(long)]
    over_limit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON Lines, as an export has them.
    Jsonl,
    /// A table with a header, with commas between.
    Csv,
}

/// Opens the database, lets `work` have the service over it, and closes it. A dry run on a database that is not there is on an empty
/// one in memory, and makes none.
async fn with_service<T>(
    flags: &Flags,
    database: &Database,
    dry_run: bool,
    work: impl AsyncFnOnce(&TransferService) -> Result<T, String>,
) -> Result<T, String> {
    if matches!(database, Database::Memory) {
        return Err("memory: has no licenses that another process could see".to_owned());
    }
    let (key_format, (plans, _)) = (flags.key_format()?, flags.plans()?);
    database.check()?;
    let is_new = database.is_new();
    let place = if is_new && dry_run { &Database::Memory } else { database };
    let has_secret = database.secret_file().is_some_and(|file| file.exists());
    let secret = secret::find(if has_secret { database } else { place })?;
    let opened: Opened = place.open().await.inspect_err(|_| secret.forget())?;
    if is_new && !dry_run {
        note(&format!("{database}: made now; secret: {}", secret.note));
    }
    let done = async {
        let failed = |error: &dyn std::fmt::Display| format!("{database}: {error}");
        let store = Arc::clone(&opened.transfer);
        let service =
            TransferService::new(store, &secret.secret, key_format.clone(), plans, SystemClock, SystemRng);
        let service = service.await.map_err(|error| failed(&error))?;
        check_key_format(&*opened.store, &key_format).await.map_err(|error| failed(&error))?;
        work(&service).await
    };
    let done = done.await;
    opened.close().await;
    done
}

/// Writes all licenses.
pub(crate) async fn export(args: &ExportArgs, flags: &Flags) -> Result<ExitCode, String> {
    let database = Database::parse(&flags.database)?;
    if database.is_new() {
        return Err(format!("{database} is not there"));
    }
    let ExportArgs { output, keys } = args;
    let keys = if *keys { ExportKeys::Clear } else { ExportKeys::Sealed };
    let licenses = with_service(flags, &database, false, async |service| match output {
        None => write(service, keys, &mut io::stdout().lock()).await,
        Some(path) => {
            let shown = path.display();
            let mut file = create_private(path).map_err(|error| format!("{shown}: {error}"))?;
            let written = write(service, keys, &mut file).await;
            let kept = written.and_then(|licenses| {
                file.sync_all().map(|()| licenses).map_err(|error| format!("{shown}: {error}"))
            });
            // A part of an export looks like a whole one.
            kept.inspect_err(|_| drop(std::fs::remove_file(path)))
        }
    });
    note(&format!("{} licenses", licenses.await?));
    Ok(ExitCode::SUCCESS)
}

async fn write(service: &TransferService, keys: ExportKeys, out: &mut impl Write) -> Result<u64, String> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let failed = |error: io::Error| format!("the export can't be written: {error}");
    let mut exporter = service.export(keys).await.map_err(|error| error.to_string())?;
    while let Some(line) = exporter.next_line().await.map_err(|error| error.to_string())? {
        out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    Ok(exporter.licenses())
}

/// Makes a file for its owner's eyes only: it has customers in it, and maybe keys.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Reads licenses. What is new is kept; each bad line is named, and the others are imported.
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
    let reporter = Reporter { shown, bar };
    let report = with_service(flags, &database, args.dry_run, async |service| {
        let importer = service.import(args.options()).await.map_err(|error| error.to_string())?;
        let mut importing = Importing { importer, reporter: &reporter };
        match format {
            Format::Jsonl => importing.lines(input).await?,
            Format::Csv => importing.rows(input, &args.map, &args.set).await?,
        }
        importing.finish().await
    });
    let report = report.await;
    reporter.bar.finish_and_clear();
    let ImportReport { imported, activations, rollups, there, refused } = report?;
    let what = if args.dry_run { "would be imported" } else { "imported" };
    note(&format!(
        "{imported} licenses with {activations} activations, and {rollups} rollups {what}; {there} licenses were there; {refused} lines refused"
    ));
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_REFUSED) })
}

impl ImportArgs {
    fn format(&self) -> Result<Format, String> {
        let by_name = || match self.file.extension().and_then(std::ffi::OsStr::to_str) {
            Some("csv") => Some(Format::Csv),
            Some("jsonl" | "ndjson") => Some(Format::Jsonl),
            _ => None,
        };
        let format = self.format.or_else(by_name);
        let format = format.ok_or_else(|| format!("{}: say --format jsonl or csv", self.file.display()))?;
        if format == Format::Jsonl && !(self.map.is_empty() && self.set.is_empty()) {
            return Err("--map and --set are for CSV".to_owned());
        }
        Ok(format)
    }

    fn options(&self) -> ImportOptions {
        ImportOptions {
            dry_run: self.dry_run,
            events: self.events,
            over_limit: self.over_limit,
            key_formats: self.key_formats.clone(),
            by: Some(Arc::new(Actor::new(Who::CommandLine))),
        }
    }
}

/// How much is read, on a terminal; elsewhere nothing is shown of it.
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

/// Says what becomes of it, on standard error.
struct Reporter {
    shown: String,
    bar: ProgressBar,
}

impl Reporter {
    fn faults(&self, faults: Vec<(u64, ImportFault)>) {
        if faults.is_empty() {
            return;
        }
        self.bar.suspend(|| {
            for (line, fault) in faults {
                note(&format!("{}:{line}: {fault}", self.shown));
            }
        });
    }
}

#[expect(clippy::print_stderr, reason = "what is said to whoever runs it")]
fn note(text: &str) {
    eprintln!("{text}");
}

struct Importing<'a> {
    importer: Importer<'a>,
    reporter: &'a Reporter,
}

impl Importing<'_> {
    /// Lines, each of bounded length whatever the file is.
    async fn lines(&mut self, mut input: impl BufRead) -> Result<(), String> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let most = limits::IMPORT_LINE_BYTES as u64 + 2;
            let read = input.by_ref().take(most).read_until(b'\n', &mut line);
            if read.map_err(|error| self.unreadable(&error))? == 0 {
                break;
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if line.len() as u64 == most {
                // Too long, as it will be told: the rest is read and not kept.
                skip_line(&mut input).map_err(|error| self.unreadable(&error))?;
            }
            let done = self.importer.line(number, &line).await;
            self.tell();
            done.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn rows(&mut self, input: impl BufRead, map: &[String], set: &[String]) -> Result<(), String> {
        let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(input);
        let header = table.headers().map_err(|error| self.unreadable(&error))?;
        // Spreadsheets put a mark in front of the text.
        let header: Vec<_> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        let columns =
            Columns::new(&header, map, set).map_err(|error| format!("{}: {error}", self.reporter.shown))?;
        if !columns.left_out().is_empty() {
            note(&format!("{}: left out: {}", self.reporter.shown, columns.left_out().join(", ")));
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
                    (line, Err(ImportFault::Unreadable("it is no text".to_owned())))
                }
            };
            let done = self.importer.row(number, license).await;
            self.tell();
            done.map_err(|error| error.to_string())?;
        }
    }

    fn unreadable(&self, error: &dyn std::fmt::Display) -> String {
        format!("{}: {error}", self.reporter.shown)
    }

    /// Tells of what was found since.
    fn tell(&mut self) {
        self.reporter.faults(self.importer.take_faults());
        let ImportReport { imported, there, refused, .. } = self.importer.report();
        self.reporter.bar.set_message(format!("{imported} new, {there} there, {refused} refused"));
    }

    async fn finish(mut self) -> Result<ImportReport, String> {
        let report = self.importer.finish().await.map_err(|error| error.to_string());
        self.tell();
        report
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
