//! Messages of an import, on standard error.

use std::collections::HashMap;
use std::fmt::Display;
use std::mem::{Discriminant, discriminant};

use indicatif::ProgressBar;
use license_core::service::{ImportReport, Importer};
use license_core::transfer::ImportNote;

use crate::services::note;

/// Remarks of one kind that are shown. Others are counted.
const SHOWN_NOTES: u64 = 10;

/// Messages about a file, beside its progress bar.
pub(super) struct Messages<'a> {
    file: &'a str,
    bar: &'a ProgressBar,
    notes: HashMap<Discriminant<ImportNote>, u64>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(file: &'a str, bar: &'a ProgressBar) -> Self {
        Self { file, bar, notes: HashMap::new() }
    }

    /// Returns the error of the file.
    pub(super) fn failed(&self, error: &dyn Display) -> String {
        format!("{}: {error}", self.file)
    }

    /// Prints a message about the file.
    pub(super) fn file(&self, message: &str) {
        self.bar.suspend(|| note(&format!("{}: {message}", self.file)));
    }

    /// Prints the invalid lines and the remarks since the last call, and shows the progress.
    pub(super) fn report(&mut self, importer: &mut Importer<'_>) {
        for (line, fault) in importer.take_faults() {
            self.line(line, &fault);
        }
        for (line, remark) in importer.take_notes() {
            let count = self.notes.entry(discriminant(&remark)).or_default();
            *count += 1;
            if *count <= SHOWN_NOTES {
                self.line(line, &format_args!("note: {remark}"));
            }
        }
        let ImportReport { imported, existing, refused, .. } = importer.report();
        self.bar.set_message(format!("{imported} new, {existing} existing, {refused} rejected"));
    }

    /// Prints what concerns the whole file.
    pub(super) fn summary(&self, importer: &Importer<'_>) {
        let more: u64 = self.notes.values().map(|count| count.saturating_sub(SHOWN_NOTES)).sum();
        if more > 0 {
            self.file(&format!("{more} more notes like these"));
        }
        let unreadable = importer.report().unreadable_keys;
        if let Some(pattern) = importer.proposed_pattern() {
            self.file(&format!(
                "keys in no declared format: {unreadable}; if they are valid, add --key-format 'imported={pattern}'"
            ));
        }
        for format in importer.key_formats().iter().filter(|format| format.is_guessable()) {
            self.file(&format!(
                "keys of the format {} have about {} bits of entropy, so they can be guessed: past \
                 --rate-failures they are refused even if they are valid; rotate these keys to end that",
                format.name(),
                format.entropy_bits()
            ));
        }
    }

    fn line(&self, line: u64, message: &dyn Display) {
        self.bar.suspend(|| note(&format!("{}:{line}: {message}", self.file)));
    }
}
