//! Imports a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use license_core::access::{Actor, Principal};
use license_core::key::ImportedKeyFormat;
use license_core::limits;
use license_core::service::{ImportOptions, ImportReport, Importer};
use license_core::transfer::Columns;

use super::encoding::strip_mark;
use super::messages::Messages;
use super::table::{Delimiter, Table};
use super::time_zone::TimeZone;
use crate::database::Database;
use crate::flags::Flags;
use crate::services::{note, with_services};

/// Exit code of an import that rejected lines. An import that failed exits with 2.
const SOME_REJECTED: u8 = 1;

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

    /// CSV: character between cells, or the word tab; by default, recognised from the header
    #[arg(long, value_name = "CHARACTER", value_parser = Delimiter::parse)]
    delimiter: Option<Delimiter>,

    /// CSV: time zone of dates and of times without one: an IANA name such as Europe/Berlin, or an offset
    /// such as +02:00; by default UTC
    #[arg(long, value_name = "ZONE", value_parser = TimeZone::parse, allow_hyphen_values = true)]
    timezone: Option<TimeZone>,

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
    let report = with_services(flags, &database, args.dry_run, async |services| {
        let importer = services.transfer.import(args.options()).await.map_err(|error| error.to_string())?;
        let mut importing = Importing { importer, messages: Messages::new(&shown, &bar) };
        match format {
            Format::Jsonl => importing.lines(input).await?,
            Format::Csv => importing.rows(input, args).await?,
        }
        importing.finish().await
    });
    let report = report.await;
    bar.finish_and_clear();
    let ImportReport { imported, activations, rollups, existing, refused, trial_claims, .. } = report?;
    let what = if args.dry_run { "would be imported" } else { "imported" };
    let claims = if trial_claims == 0 { String::new() } else { format!(" and {trial_claims} trial claims") };
    note(&format!(
        "{imported} licenses, {activations} activations and {rollups} rollups{claims} {what}; \
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
        let of_table = [
            ("--map", !self.map.is_empty()),
            ("--set", !self.set.is_empty()),
            ("--delimiter", self.delimiter.is_some()),
            ("--timezone", self.timezone.is_some()),
        ];
        if let (Format::Jsonl, Some((flag, _))) = (format, of_table.iter().find(|(_, given)| *given)) {
            return Err(format!("{flag} is for tables: leave it out, or set --format csv"));
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

struct Importing<'a> {
    importer: Importer<'a>,
    messages: Messages<'a>,
}

impl Importing<'_> {
    /// Imports JSON Lines. Memory is bounded by the length limit of a line.
    async fn lines(&mut self, mut input: impl BufRead) -> Result<(), String> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let max = limits::IMPORT_LINE_BYTES as u64 + 2;
            let read = input.by_ref().take(max).read_until(b'\n', &mut line);
            if read.map_err(|error| self.messages.failed(&error))? == 0 {
                break;
            }
            let is_cut = line.len() as u64 == max && line.last() != Some(&b'\n');
            if number == 1 {
                strip_mark(&mut line).map_err(|error| self.messages.failed(&error))?;
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if is_cut {
                // Too long: the importer rejects it, and the rest of the line is skipped.
                skip_line(&mut input).map_err(|error| self.messages.failed(&error))?;
            }
            let result = self.importer.line(number, &line).await;
            self.messages.report(&mut self.importer);
            result.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Imports the rows of a table.
    async fn rows(&mut self, input: impl BufRead, args: &ImportArgs) -> Result<(), String> {
        let mut table = Table::open(input, args.delimiter).map_err(|error| self.messages.failed(&error))?;
        let header = table.next().map_err(|error| self.messages.failed(&error))?;
        let Some((_, header)) = header else {
            return Err(self.messages.failed(&"the table is empty: its first line must name the columns"));
        };
        let header = header.map_err(|error| self.messages.failed(&error))?;
        let columns = Columns::new(&header, &args.map, &args.set);
        let mut columns = columns.map_err(|error| self.messages.failed(&error))?;
        if let Some(zone) = args.timezone {
            columns = zone.apply(columns);
        }
        if !columns.left_out().is_empty() {
            self.messages.file(&format!("ignored columns: {}", columns.left_out().join(", ")));
        }
        let mut rows = 0;
        while let Some((number, cells)) = table.next().map_err(|error| self.messages.failed(&error))? {
            let license = cells.and_then(|cells| columns.license(&cells));
            let result = self.importer.row(number, license).await;
            self.messages.report(&mut self.importer);
            result.map_err(|error| error.to_string())?;
            rows += 1;
        }
        if rows == 0 {
            self.messages.file("the table has a header, but no rows");
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<ImportReport, String> {
        let result = self.importer.finish().await.map_err(|error| error.to_string());
        self.messages.report(&mut self.importer);
        self.messages.summary(&self.importer);
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
