//! Rows of activations.

use chrono::{DateTime, Utc};
use license_core::domain::DomainName;
use license_core::license::{
    Activation, ActivationId, ActivationKind, Binding, Fingerprint, Label, License, LicenseState,
};
use license_core::usage::{ActivationDetail, Country, Day, EvictionCandidate, LastSeen};
use serde_json::json;

use super::reader::{Reader, int, micros, time, unknown};
use crate::Result;
use crate::sql::dialect::SqlRow;

/// The columns of an activation in a JSON array.
type ListedActivation = (String, String, i64, Option<String>, Option<i64>, i64);

impl<R: SqlRow> Reader<'_, R> {
    /// Reads a JSON array of `[id, value, created_at, label, held_until, is_returned]`, from rows of `activations`.
    pub(crate) fn listed(&self, column: &'static str, kind: ActivationKind) -> Result<Vec<Activation>> {
        let listed: Vec<ListedActivation> = self.json(column)?;
        let row = Reader { table: "activations", ..*self };
        let mut activations = Vec::with_capacity(listed.len());
        for (id, value, created_at, label, held_until, is_returned) in listed {
            let hold = (held_until, is_returned);
            activations.push(row.activation_of(&id, kind, &value, created_at, label.as_deref(), hold)?);
        }
        // Databases differ in whether an aggregate keeps the order of its select.
        activations.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(activations)
    }

    /// Reads a JSON array of `[kind, value]`, from rows of `activations`.
    pub(crate) fn bindings(&self) -> Result<Vec<Binding>> {
        let listed: Vec<(String, String)> = self.json("bindings")?;
        let row = Reader { table: "activations", ..*self };
        listed.into_iter().map(|(kind, value)| row.binding(row.kind(&kind)?, &value)).collect()
    }

    pub(crate) fn activation(&self) -> Result<Activation> {
        let (id, kind, value) = (self.text("id")?, self.text("kind")?, self.text("value")?);
        let label = self.maybe_text("label")?;
        let hold = (self.maybe_int("held_until")?, self.int("is_returned")?);
        self.activation_of(&id, self.kind(&kind)?, &value, self.int("created_at")?, label.as_deref(), hold)
    }

    pub(crate) fn eviction_candidate(&self) -> Result<EvictionCandidate> {
        Ok(EvictionCandidate { activation: self.activation()?, seen_at: self.time("last_seen_at")? })
    }

    pub(crate) fn activation_detail(&self) -> Result<ActivationDetail> {
        let last_seen = LastSeen {
            first_seen_at: self.maybe_time("first_seen_at")?,
            last_seen_at: self.maybe_time("last_validated_at")?,
            validations: self.count("validations")?,
            country: self.maybe_country()?,
            as_of: self.maybe_time("as_of")?,
        };
        Ok(ActivationDetail { activation: self.activation()?, last_seen })
    }

    fn kind(&self, text: &str) -> Result<ActivationKind> {
        let kinds = [ActivationKind::Domain, ActivationKind::Device];
        let kind = kinds.into_iter().find(|known| known.as_str() == text);
        kind.ok_or_else(|| self.corrupt("kind", unknown(text)))
    }

    fn binding(&self, kind: ActivationKind, value: &str) -> Result<Binding> {
        Ok(match kind {
            ActivationKind::Domain => Binding::Domain(self.parse("value", value, DomainName::from_stored)?),
            ActivationKind::Device => Binding::Device(self.parse("value", value, Fingerprint::parse)?),
        })
    }

    fn activation_of(
        &self,
        id: &str,
        kind: ActivationKind,
        value: &str,
        created_at: i64,
        label: Option<&str>,
        (held_until, is_returned): (Option<i64>, i64),
    ) -> Result<Activation> {
        let binding = self.binding(kind, value)?;
        let id = self.parse("id", id, ActivationId::parse)?;
        let label = label.map(|text| self.parse("label", text, Label::parse)).transpose()?;
        let held_until = held_until.map(|at| self.parse("held_until", at, time)).transpose()?;
        let created_at = self.parse("created_at", created_at, time)?;
        Ok(Activation { id, binding, created_at, label, held_until, is_returned: is_returned != 0 })
    }
}

/// An activation as a JSON row. `last_seen_at` is set even if it was never seen.
pub(crate) fn activation_row(
    license: &License,
    activation: &Activation,
    last_seen: &LastSeen,
    last_seen_at: DateTime<Utc>,
) -> serde_json::Value {
    let Activation { id, binding, created_at, label, held_until, is_returned } = activation;
    let LastSeen { first_seen_at, last_seen_at: _, validations, country, as_of: _ } = last_seen;
    json!([
        license.id.as_str(),
        binding.kind().as_str(),
        binding.value(),
        id.as_str(),
        created_at.timestamp_micros(),
        label.as_ref().map(Label::as_str),
        idle_plan(license),
        micros(*first_seen_at),
        last_seen_at.timestamp_micros(),
        Day::of(last_seen_at).number(),
        int(*validations),
        country.as_ref().map(Country::as_str),
        micros(*held_until),
        i64::from(*is_returned),
    ])
}

/// As [`activation_row`], of an activation that was never seen.
pub(crate) fn new_activation_row(license: &License, activation: &Activation) -> serde_json::Value {
    activation_row(license, activation, &LastSeen::default(), activation.created_at)
}

/// Returns the plan version by which `find_idle` finds the license; `None` if it is revoked.
pub(crate) fn idle_plan(license: &License) -> Option<String> {
    (license.state != LicenseState::Revoked).then(|| plan_version(&license.plan, license.plan_version))
}

/// Returns a plan version as one text. No name of a plan has an `@`.
pub(crate) fn plan_version(plan: &str, version: u32) -> String {
    format!("{plan}@{version}")
}
