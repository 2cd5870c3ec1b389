//! When what holds a slot was seen, and how it is called.

use chrono::{DateTime, Utc};
use license_core::activation::{ActivationId, ActivationKind, Binding, Label};
use license_core::license::{LicenseId, LicenseState};
use license_core::seen::{ActivationDetail, IdleQuery, SeenActivation, Unseen};
use license_core::usage::Sighting;

use super::{Data, Entry};

impl Entry {
    /// Adds sightings to the activation with this binding, if there is one.
    pub(super) fn see(&mut self, binding: &Binding, sightings: &[Sighting]) {
        let id = self.by_value(binding.kind()).get(binding.value());
        if let Some(ActivationDetail { activation, usage }) =
            id.cloned().and_then(|id| self.activations.get_mut(&id))
        {
            usage.add(activation.created_at, sightings);
        }
    }

    pub(super) fn label(&mut self, id: &ActivationId, label: Option<Label>) {
        if let Some(held) = self.activations.get_mut(id) {
            held.activation.label = label;
        }
    }

    pub(super) fn forget_labels(&mut self) {
        self.activations.values_mut().for_each(|held| held.activation.label = None);
    }

    pub(super) fn unseen(&self, unseen: &Unseen) -> Vec<SeenActivation> {
        unseen.among(
            self.devices().map(|held| SeenActivation {
                activation: held.activation.clone(),
                seen_at: self.seen_at(held),
            }),
        )
    }

    fn seen_at(&self, held: &ActivationDetail) -> DateTime<Utc> {
        held.usage.last_seen_at.unwrap_or_else(|| held.seen_at().max(self.imported_at.unwrap_or_default()))
    }

    fn devices(&self) -> impl Iterator<Item = &ActivationDetail> {
        self.activations.values().filter(|held| held.activation.binding.kind() == ActivationKind::Device)
    }
}

impl Data {
    pub(super) fn idle(&self, query: &IdleQuery<'_>) -> Vec<LicenseId> {
        let IdleQuery { plan, before, limit } = *query;
        let mut idle: Vec<_> = self
            .licenses
            .values()
            .filter(|entry| entry.license.plan == plan && entry.license.state != LicenseState::Revoked)
            .filter_map(|entry| {
                let longest = entry.devices().map(|held| entry.seen_at(held)).min()?;
                (longest < before).then(|| (longest, entry.license.id.clone()))
            })
            .collect();
        idle.sort();
        idle.into_iter().take(limit as usize).map(|(_, id)| id).collect()
    }
}
