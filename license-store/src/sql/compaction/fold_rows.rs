//! A fold as JSON rows, prepared before a transaction begins.

use std::collections::BTreeMap;

use license_core::domain::DomainName;
use license_core::license::{Binding, Counters, Fingerprint, LicenseId};
use license_core::usage::{Client, Day, Fold, Region, Sighting, Validation, fold};
use license_core::validation::Claim;

use crate::sql::journal::SequencedValidation;
use crate::sql::prelude::*;
use crate::sql::rows::rollup_row;

/// When bindings of each license were seen.
pub(super) type Sightings = BTreeMap<LicenseId, BTreeMap<Binding, Vec<Sighting>>>;

/// The rows that a transaction of the compactor writes.
#[derive(Debug)]
pub(super) struct FoldRows {
    pub(super) history: String,
    pub(super) rollups: String,
    /// Empty if no validation was valid.
    pub(super) counters: String,
    pub(super) sightings: Sightings,
}

impl FoldRows {
    /// Folds validations. The rows of each table are in the order of its key.
    pub(super) fn new(validations: &[SequencedValidation]) -> Self {
        let Fold { rollups, counters, sightings } = fold(validations.iter().map(|one| &one.validation));
        let mut history: Vec<_> = validations.iter().collect();
        history.sort_by_key(|one| Day::of(one.validation.at));
        let counted =
            counters.iter().map(|(id, Counters { validation_count, last_validated_at, as_of: _ })| {
                let day = last_validated_at.map(|at| Day::of(at).number());
                json!([id.as_str(), int(*validation_count), micros(*last_validated_at), day])
            });
        Self {
            history: json_rows(history.into_iter().map(history_row)),
            rollups: json_rows(rollups.iter().map(|(key, sum)| rollup_row(key, sum).into())),
            counters: if counters.is_empty() { String::new() } else { json_rows(counted) },
            sightings,
        }
    }
}

fn history_row(SequencedValidation { sequence, validation }: &SequencedValidation) -> serde_json::Value {
    let Validation { license_id, at, outcome, claim, covered_by, location, client } = validation;
    let Claim { domain, fingerprint, .. } = claim;
    json!([
        Day::of(*at).number(),
        license_id.as_str(),
        at.timestamp_micros(),
        int(*sequence),
        outcome.as_str(),
        domain.as_ref().map(DomainName::as_str),
        fingerprint.as_ref().map(Fingerprint::as_str),
        location.as_ref().map(|location| location.country.as_str()),
        location.as_ref().and_then(|location| location.region.as_ref()).map(Region::as_str),
        client.as_ref().map(Client::as_str),
        covered_by.as_ref().map(DomainName::as_str),
    ])
}
