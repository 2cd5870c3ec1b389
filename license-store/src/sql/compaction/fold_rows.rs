//! A fold as the JSON that the statements read.

use chrono::{DateTime, Utc};
use license_core::activation::{Binding, Fingerprint};
use license_core::client::Client;
use license_core::domain::DomainName;
use license_core::license::{Counters, LicenseId};
use license_core::place::{Country, Region};
use license_core::seen::ActivationUsage;
use license_core::store::StoreError;
use license_core::usage::{Day, Fold, Sighting, UsageSum, Validation, fold};
use license_core::verdict::Claim;
use serde_json::json;

use crate::sql::database::{SqlDatabase, Tx, reader};
use crate::sql::dialect::{Dialect, values};
use crate::sql::journal::Sequenced;
use crate::sql::rows::{int, json_rows, micros};

/// When bindings were seen, in the order of their keys.
type Sightings = std::collections::BTreeMap<(LicenseId, Binding), Vec<Sighting>>;

/// What a transaction of the compactor writes, prepared outside the lock.
#[derive(Debug)]
pub(in crate::sql) struct FoldRows {
    pub(super) history: String,
    pub(super) rollups: String,
    /// Empty if no validation was valid.
    pub(super) counters: String,
    pub(super) sightings: Sightings,
}

impl FoldRows {
    /// Folds validations. Each table is written in the order of its key.
    pub(in crate::sql) fn new(validations: &[Sequenced]) -> Self {
        let Fold { rollups, counters, sightings } = fold(validations.iter().map(|one| &one.validation));
        let mut history: Vec<_> = validations.iter().collect();
        history.sort_by_key(|one| Day::of(one.validation.at));
        let rollups = rollups.iter().map(|(key, UsageSum { count, first_at, last_at })| {
            let [license, outcome, domain, device, country] = key.texts();
            let (first, last) = (first_at.timestamp_micros(), last_at.timestamp_micros());
            json!([key.day.number(), license, outcome, domain, device, country, int(*count), first, last])
        });
        let counted =
            counters.iter().map(|(id, Counters { validation_count, last_validated_at, as_of: _ })| {
                json!([id.as_str(), int(*validation_count), micros(*last_validated_at)])
            });
        Self {
            history: json_rows(history.into_iter().map(history_row)),
            rollups: json_rows(rollups),
            counters: if counters.is_empty() { String::new() } else { json_rows(counted) },
            sightings,
        }
    }
}

fn history_row(Sequenced { sequence, validation }: &Sequenced) -> serde_json::Value {
    let Validation { license_id, at, outcome, claim, covered_by, place, client } = validation;
    let Claim { domain, fingerprint } = claim;
    json!([
        Day::of(*at).number(),
        license_id.as_str(),
        at.timestamp_micros(),
        int(*sequence),
        outcome.as_str(),
        domain.as_ref().map(DomainName::as_str),
        fingerprint.as_ref().map(Fingerprint::as_str),
        place.as_ref().map(|place| place.country.as_str()),
        place.as_ref().and_then(|place| place.region.as_ref()).map(Region::as_str),
        client.as_ref().map(Client::as_str),
        covered_by.as_ref().map(DomainName::as_str),
    ])
}

impl<D: Dialect> SqlDatabase<D> {
    /// Adds sightings to the activations that exist. An activation counts only what is not older than itself.
    pub(super) async fn write_sightings(
        &self,
        tx: &mut Tx<D>,
        sightings: &Sightings,
    ) -> Result<(), StoreError> {
        if sightings.is_empty() {
            return Ok(());
        }
        let keys =
            json_rows(sightings.keys().map(|(license, binding)| {
                json!([license.as_str(), binding.kind().as_str(), binding.value()])
            }));
        let found = self.fetch(tx, &self.compaction.seen_activations, values![keys.as_str()]).await?;
        let mut seen = Vec::new();
        for row in &found {
            let row = reader::<D>(row, "activations", "");
            let license = row.license_id("license_id")?;
            let before = match row.activation_detail() {
                Ok(before) => before,
                Err(error) => {
                    // A damaged row must not stop the counting of all others.
                    tracing::error!(%error, license = license.as_str(), "an activation cannot be read; it is not counted");
                    continue;
                }
            };
            let (activation, mut usage) = (before.activation, before.usage);
            let added = sightings.get(&(license.clone(), activation.binding.clone()));
            usage.add(activation.created_at, added.map_or(&[], Vec::as_slice));
            if usage.validations > before.usage.validations {
                seen.push(seen_row(
                    &license,
                    &activation.binding,
                    activation.created_at,
                    &usage,
                    row.time("seen_at")?,
                ));
            }
        }
        if seen.is_empty() {
            return Ok(());
        }
        let seen = json_rows(seen.into_iter());
        self.fetch(tx, &self.compaction.update_seen, values![seen.as_str()]).await.map(drop)
    }
}

fn seen_row(
    license: &LicenseId,
    binding: &Binding,
    created_at: DateTime<Utc>,
    usage: &ActivationUsage,
    seen_before: DateTime<Utc>,
) -> serde_json::Value {
    let ActivationUsage { first_seen_at, last_seen_at, validations, country, as_of: _ } = usage;
    let seen_at = last_seen_at.map_or(seen_before, |seen| seen.max(seen_before));
    json!([
        license.as_str(),
        binding.kind().as_str(),
        binding.value(),
        created_at.timestamp_micros(),
        micros(*first_seen_at),
        seen_at.timestamp_micros(),
        Day::of(seen_at).number(),
        int(*validations),
        country.as_ref().map(Country::as_str),
    ])
}
