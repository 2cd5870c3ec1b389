//! Lines of rollups.

use serde::{Deserialize, Serialize};

use super::fields::stored_count;
use super::texts::Time;
use super::written;
use crate::domain::DomainName;
use crate::license::{Fingerprint, LicenseId};
use crate::transfer::error::ImportLineError;
use crate::usage::{Country, Day, Rollup, RollupKey, UsageSum, ValidationOutcome};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RollupFields {
    day: Day,
    license: LicenseId,
    outcome: ValidationOutcome,
    domain: Option<DomainName>,
    device: Option<Fingerprint>,
    country: Option<Country>,
    count: u64,
    first_at: Time,
    last_at: Time,
}

impl TryFrom<RollupFields> for Rollup {
    type Error = ImportLineError;

    fn try_from(fields: RollupFields) -> Result<Self, ImportLineError> {
        let RollupFields { day, license, outcome, domain, device, country, count, .. } = fields;
        let (Time(first_at), Time(last_at)) = (fields.first_at, fields.last_at);
        if count == 0 {
            return Err(ImportLineError::value("count", &0.into(), "it must be at least 1"));
        }
        stored_count("count", Some(count))?;
        for (name, time) in [("first_at", first_at), ("last_at", last_at)] {
            if Day::of(time) != day {
                return Err(ImportLineError::field(name, format!("it must be on the day {day}")));
            }
        }
        if last_at < first_at {
            return Err(ImportLineError::field("last_at", "it must not be before first_at"));
        }
        let key = RollupKey { day, license_id: license, outcome, domain, device, country };
        Ok(Self { key, sum: UsageSum { count, first_at, last_at } })
    }
}

pub(crate) fn rollup_line(rollup: &Rollup) -> String {
    let Rollup { key, sum: UsageSum { count, first_at, last_at } } = rollup.clone();
    let RollupKey { day, license_id: license, outcome, domain, device, country } = key;
    let (first_at, last_at) = (Time(first_at), Time(last_at));
    let fields = RollupFields { day, license, outcome, domain, device, country, count, first_at, last_at };
    written("rollup", &fields)
}
