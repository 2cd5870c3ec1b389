//! Folds validations into the sums to add to each table. All stores count with this function.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Rollup, RollupKey, UsageSum, Validation, ValidationOutcome};
use crate::license::{Binding, Counters, LicenseId};
use crate::usage::Country;

/// Additions to counters, rollups and activations. The history has the validations unchanged.
///
/// Applying the folds of two batches, in any order, gives the same result as applying the fold of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// Sums to add to the rollups.
    pub rollups: BTreeMap<RollupKey, UsageSum>,
    /// Valid answers to add to the counters of each license.
    pub counters: BTreeMap<LicenseId, Counters>,
    /// Valid answers for each binding. Exempt hosts are included, although they have no activation.
    pub sightings: BTreeMap<LicenseId, BTreeMap<Binding, Vec<Sighting>>>,
}

/// One valid answer for one binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The time of the validation.
    pub at: DateTime<Utc>,
    /// The country, if known.
    pub country: Option<Country>,
}

/// Folds validations. Pure.
#[must_use]
pub fn fold<'a>(validations: impl IntoIterator<Item = &'a Validation>) -> Fold {
    let mut fold = Fold::default();
    for validation in validations {
        let Rollup { key, sum } = Rollup::of(validation);
        fold.rollups.entry(key).and_modify(|sums| sums.add(&sum)).or_insert(sum);
        if validation.outcome != ValidationOutcome::Valid {
            continue;
        }
        let Validation { license_id, at, claim, covered_by, location, .. } = validation;
        fold.counters.entry(license_id.clone()).or_default().count(*at);
        let domain = covered_by.as_ref().or(claim.domain.as_ref()).cloned().map(Binding::Domain);
        let device = claim.fingerprint.clone().map(Binding::Device);
        let sighting = Sighting { at: *at, country: location.as_ref().map(|location| location.country) };
        let bindings = fold.sightings.entry(license_id.clone()).or_default();
        for binding in domain.into_iter().chain(device) {
            bindings.entry(binding).or_default().push(sighting);
        }
    }
    fold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainName;
    use crate::license::Fingerprint;
    use crate::usage::LastSeen;
    use crate::validation::{Claim, DenialCode};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a time")
    }

    fn validation(license: &str, second: i64, outcome: ValidationOutcome) -> Validation {
        let claim = Claim {
            domain: Some(DomainName::parse("a.example.com").expect("a domain")),
            fingerprint: Some(Fingerprint::parse("device").expect("a fingerprint")),
            ..Claim::default()
        };
        Validation::new(LicenseId::parse(license).expect("an id"), at(second), outcome, claim)
    }

    const DENIED: ValidationOutcome = ValidationOutcome::Denied(DenialCode::LicenseExpired);

    #[test]
    fn denied_validations_reach_the_rollups_only() {
        let fold = fold(&[validation("lic_a", 1, DENIED)]);
        assert_eq!(fold.rollups.len(), 1);
        assert!(fold.counters.is_empty() && fold.sightings.is_empty());
    }

    #[test]
    fn valid_validations_count_for_license_and_bindings() {
        let mut second = validation("lic_a", 5, ValidationOutcome::Valid);
        second.covered_by = Some(DomainName::from_stored("*.example.com").expect("a wildcard"));
        let fold = fold(&[validation("lic_a", 9, ValidationOutcome::Valid), second]);
        let counters = fold.counters.values().copied().collect::<Vec<_>>();
        let expected = Counters { validation_count: 2, last_validated_at: Some(at(9)), as_of: None };
        assert_eq!(counters, [expected]);
        let seen: Vec<_> =
            fold.sightings.values().flatten().map(|(binding, seen)| (binding.value(), seen.len())).collect();
        assert_eq!(seen, [("*.example.com", 1), ("a.example.com", 1), ("device", 2)]);
    }

    #[test]
    fn folds_of_parts_add_up_to_the_whole() {
        let all: Vec<_> = (0..20)
            .map(|n| {
                let outcome = if n % 3 == 0 { DENIED } else { ValidationOutcome::Valid };
                validation(if n % 2 == 0 { "lic_a" } else { "lic_b" }, n * 50_000, outcome)
            })
            .collect();
        let whole = fold(&all);
        let mut sum = Fold::default();
        for part in all.chunks(7) {
            let part = fold(part);
            for (key, add) in part.rollups {
                sum.rollups.entry(key).and_modify(|sums| sums.add(&add)).or_insert(add);
            }
            for (id, add) in part.counters {
                sum.counters.entry(id).or_default().add(&add);
            }
            for (id, bindings) in part.sightings {
                for (binding, add) in bindings {
                    sum.sightings.entry(id.clone()).or_default().entry(binding).or_default().extend(add);
                }
            }
        }
        assert_eq!(sum, whole);
    }

    #[test]
    fn sightings_before_the_activation_are_ignored() {
        let seen = [3, 5, 9].map(|second| Sighting { at: at(second), country: None });
        let mut usage = LastSeen::default();
        usage.add(at(5), &seen);
        assert_eq!(
            (usage.validations, usage.first_seen_at, usage.last_seen_at),
            (2, Some(at(5)), Some(at(9)))
        );
    }
}
