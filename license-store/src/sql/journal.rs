//! Batches of validations as rows of the journal, which recorders write and the compactor reads.

use std::borrow::Cow;
use std::fmt;

use license_core::domain::DomainName;
use license_core::license::{Fingerprint, LicenseId};
use license_core::usage::{BatchId, Client, Country, Location, Region, Validation, ValidationOutcome};
use license_core::validation::Claim;
use serde::{Deserialize, Serialize, Serializer};

use super::prelude::*;
use super::rows::time;

/// Maximum number of validations in a batch. The sequence of a validation is the id of its row times this,
/// plus its index.
pub(super) const MAX_BATCH: u64 = 1 << 20;

/// One validation as a JSON array. The last value is left out if it is not known, as for most validations.
#[derive(Debug, Serialize, Deserialize)]
struct JournalEntry<'a>(
    #[serde(borrow)] Cow<'a, str>,
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")] Option<EntryDetails<'a>>,
);

/// Country, region, client, and the wildcard that covered the domain.
#[derive(Debug, Serialize, Deserialize)]
struct EntryDetails<'a>(
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
);

impl<'a> JournalEntry<'a> {
    fn new(validation: &'a Validation) -> Self {
        let Validation { license_id, at, outcome, claim, covered_by, location, client } = validation;
        let Claim { domain, fingerprint, .. } = claim;
        let text = |text: Option<&'a str>| text.map(Cow::Borrowed);
        let known = location.is_some() || client.is_some() || covered_by.is_some();
        let details = known.then(|| {
            EntryDetails(
                text(location.as_ref().map(|location| location.country.as_str())),
                text(location.as_ref().and_then(|location| location.region.as_ref()).map(Region::as_str)),
                text(client.as_ref().map(Client::as_str)),
                text(covered_by.as_ref().map(DomainName::as_str)),
            )
        });
        Self(
            license_id.as_str().into(),
            at.timestamp_micros(),
            outcome.as_str().into(),
            text(domain.as_ref().map(DomainName::as_str)),
            text(fingerprint.as_ref().map(Fingerprint::as_str)),
            details,
        )
    }

    fn validation(self) -> Result<Validation, String> {
        let Self(license_id, at, outcome, domain, device, details) = self;
        let EntryDetails(country, region, client, covered_by) =
            details.unwrap_or(EntryDetails(None, None, None, None));
        let domain_name = |text: Option<Cow<'_, str>>| {
            text.map(|text| parse("domain", &text, DomainName::from_stored)).transpose()
        };
        let fingerprint = device.map(|text| parse("device", &text, Fingerprint::parse)).transpose()?;
        let region = region.as_deref().and_then(Region::parse);
        let country =
            country.map(|text| Country::parse(&text).ok_or_else(|| format!("{text:?} is no country")));
        let location = country.transpose()?.map(|country| Location { country, region });
        Ok(Validation {
            license_id: parse("license", &license_id, LicenseId::parse)?,
            at: time(at).map_err(|reason| format!("time {at}: {reason}"))?,
            outcome: ValidationOutcome::from_stored(&outcome)
                .ok_or_else(|| format!("{outcome:?} is no outcome"))?,
            claim: Claim { domain: domain_name(domain)?, fingerprint, ..Claim::default() },
            covered_by: domain_name(covered_by)?,
            location,
            client: client.as_deref().and_then(Client::new),
        })
    }
}

fn parse<T, E: fmt::Display>(
    what: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, String> {
    parse(text).map_err(|error| format!("{what} {text:?}: {error}"))
}

/// A validation with its number in the order of recording.
#[derive(Debug)]
pub(super) struct SequencedValidation {
    pub(super) sequence: u64,
    pub(super) validation: Validation,
}

/// Decodes the entries of the journal row `id`.
///
/// # Errors
/// Returns the reason if an entry cannot be read.
pub(super) fn decode(id: u64, entries: &str) -> Result<Vec<SequencedValidation>, String> {
    let entries: Vec<JournalEntry<'_>> = serde_json::from_str(entries).map_err(|error| error.to_string())?;
    let sequenced = |(sequence, entry): (u64, JournalEntry<'_>)| {
        Ok(SequencedValidation { sequence, validation: entry.validation()? })
    };
    (id.saturating_mul(MAX_BATCH)..).zip(entries).map(sequenced).collect()
}

/// A batch as parameters of [`Dialect::RECORD`].
#[derive(Debug)]
pub(super) struct JournalBatch {
    pub(super) size: u64,
    earliest: i64,
    latest: i64,
    entries: String,
}

impl JournalBatch {
    pub(super) fn new(validations: &[Validation]) -> Self {
        let times = validations.iter().map(|validation| validation.at.timestamp_micros());
        let mut entries = Vec::with_capacity(2 + 96 * validations.len());
        // One by one, without collecting them first.
        let written =
            serde_json::Serializer::new(&mut entries).collect_seq(validations.iter().map(JournalEntry::new));
        debug_assert!(written.is_ok(), "texts and numbers are always JSON: {written:?}");
        Self {
            size: validations.len() as u64,
            earliest: times.clone().min().unwrap_or_default(),
            latest: times.max().unwrap_or_default(),
            entries: String::from_utf8(entries).unwrap_or_default(),
        }
    }
}

impl<D: Dialect> SqlDatabase<D> {
    pub(super) async fn try_record(&self, batch: &JournalBatch, id: Option<BatchId>) -> Result<()> {
        let writer = id.map_or([0; 16], |id| *id.writer.as_bytes());
        let number = id.map_or(0, |id| int(id.number));
        let JournalBatch { size, earliest, latest, entries } = batch;
        let values = values![writer.as_slice(), number, *latest, *earliest, int(*size), entries.as_str()];
        if !D::SINGLE_WRITER && !self.dialect.needs_transactions() {
            // One statement is a transaction: one round trip to the server instead of three.
            self.read(&self.sql.journal.record, values).await?;
            self.written();
            return Ok(());
        }
        let mut tx = self.begin(Durability::ProcessCrash).await?;
        self.fetch(&mut tx, &self.sql.journal.record, values).await?;
        self.commit(tx).await
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn validation(client: Option<&str>) -> Validation {
        let claim = Claim {
            domain: Some(DomainName::parse("a.example.com").expect("a domain")),
            fingerprint: Some(Fingerprint::parse("\"quoted\" \u{1f511}").expect("a fingerprint")),
            ..Claim::default()
        };
        let at = DateTime::from_timestamp_micros(1_780_000_000_123_456).expect("a time");
        let id = LicenseId::parse("lic_a").expect("an id");
        let mut validation = Validation::new(id, at, ValidationOutcome::Valid, claim);
        validation.client = client.and_then(Client::new);
        validation
    }

    #[test]
    fn decoded_batch_equals_recorded_batch() {
        let mut whole = validation(Some("Acme/1.0"));
        whole.covered_by = DomainName::from_stored("*.example.com").ok();
        whole.location =
            Some(Location { country: Country::parse("DE").expect("a country"), region: Region::parse("BW") });
        let batch = [validation(None), whole];
        let encoded = JournalBatch::new(&batch);
        let decoded = decode(3, &encoded.entries).expect("it is readable");
        let (sequences, validations): (Vec<_>, Vec<_>) =
            decoded.into_iter().map(|one| (one.sequence, one.validation)).unzip();
        assert_eq!(validations, batch);
        assert_eq!(sequences, [3 << 20, (3 << 20) + 1]);
        assert!(encoded.entries.starts_with(r#"[["lic_a",1780000000123456,"VALID","a.example.com","#));
    }

    #[test]
    fn damaged_entries_are_rejected_with_a_reason() {
        for (entries, reason) in [
            ("rubbish", "expected value"),
            (r#"[["lic_a",1,"VALID"]]"#, "invalid length"),
            (r#"[["no id",1,"VALID",null,null]]"#, "no id"),
            (r#"[["lic_a",9223372036854775807,"VALID",null,null]]"#, "out of range"),
            (r#"[["lic_a",1,"MAYBE",null,null]]"#, "MAYBE"),
            (r#"[["lic_a",1,"VALID","..",null]]"#, ".."),
        ] {
            let error = decode(1, entries).expect_err(entries);
            assert!(error.contains(reason), "{entries}: {error}");
        }
    }
}
