//! Rows of usage: validations and rollups.

use license_core::usage::{
    Client, Day, Location, Region, RollupKey, UsageSum, Validation, ValidationCursor, ValidationOutcome,
};
use license_core::validation::Claim;
use serde_json::Value as Json;

use super::reader::{Reader, int};
use crate::Result;
use crate::sql::dialect::SqlRow;

impl<R: SqlRow> Reader<'_, R> {
    pub(crate) fn outcome(&self) -> Result<ValidationOutcome> {
        self.known("outcome", ValidationOutcome::from_stored)
    }

    /// Reads the columns `n`, `first_at` and `last_at`.
    pub(crate) fn usage_sum(&self) -> Result<UsageSum> {
        let (first_at, last_at) = (self.time("first_at")?, self.time("last_at")?);
        Ok(UsageSum { count: self.count("n")?, first_at, last_at })
    }

    pub(crate) fn rollup_key(&self) -> Result<RollupKey> {
        // Columns of a key are never NULL; an unknown value is empty.
        let is_known = |column| self.text(column).map(|text| !text.is_empty());
        Ok(RollupKey {
            day: Day::from_number(self.int("day")?),
            license_id: self.license_id("license_id")?,
            outcome: self.outcome()?,
            domain: if is_known("domain")? { self.maybe_domain("domain")? } else { None },
            device: if is_known("device")? { self.maybe_device()? } else { None },
            country: if is_known("country")? { self.maybe_country()? } else { None },
        })
    }

    pub(crate) fn validation(&self) -> Result<(ValidationCursor, Validation)> {
        let at = self.time("at")?;
        let region = self.maybe_text("region")?.as_deref().and_then(Region::parse);
        let location = self.maybe_country()?.map(|country| Location { country, region });
        let validation = Validation {
            license_id: self.license_id("license_id")?,
            at,
            outcome: self.outcome()?,
            claim: Claim {
                domain: self.maybe_domain("domain")?,
                fingerprint: self.maybe_device()?,
                ..Claim::default()
            },
            covered_by: self.maybe_domain("covered_by")?,
            location,
            client: self.maybe_text("client")?.as_deref().and_then(Client::new),
        };
        Ok((ValidationCursor { at, sequence: self.count("sequence")? }, validation))
    }
}

/// A rollup as a JSON row.
pub(crate) fn rollup_row(key: &RollupKey, sum: &UsageSum) -> Vec<Json> {
    let UsageSum { count, first_at, last_at } = sum;
    let mut row = vec![Json::from(key.day.number())];
    row.extend(key.texts().map(Json::from));
    row.extend([int(*count), first_at.timestamp_micros(), last_at.timestamp_micros()].map(Json::from));
    row
}
