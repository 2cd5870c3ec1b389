//! Faults of devices.

use license_core::seen::SeenActivation;

use super::*;

impl Broken {
    /// Decides on a view that `spoil` has changed.
    fn decide_on(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
        spoil: impl FnOnce(&Entry, &mut View),
    ) -> Result<Outcome, StoreError> {
        let mut data = self.data();
        let mut view = data.view(id, command, context)?;
        spoil(data.entry(id)?, &mut view);
        let Decision { outcome, changes } = decide(view, command, context);
        if let Some(changes) = changes {
            data.apply(id, &changes)?;
        }
        Ok(outcome)
    }

    pub(super) fn evicting_by_age(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        self.decide_on(id, command, context, |entry, view| {
            let devices = entry.of_kind(Some(ActivationKind::Device)).cloned();
            let made =
                devices.map(|activation| SeenActivation { seen_at: activation.created_at, activation });
            if let Some(unseen) = command.unseen(&view.license, context) {
                view.unseen = unseen.among(made);
            }
        })
    }

    pub(super) async fn sweeping_by_old_figures(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let before = self.data().view(id, command, context)?.unseen;
        self.gap().await;
        self.decide_on(id, command, context, |_, view| view.unseen = before)
    }

    pub(super) async fn keeping_figures(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let mut kept = self.figures.lock().await;
        for held in self.data().entry(id)?.activations.values() {
            kept.insert(held.activation.binding.clone(), held.usage);
        }
        let outcome = self.inner.execute(id, command, context).await?;
        for held in self.data().entry_mut(id)?.activations.values_mut() {
            if let Some(usage) = kept.get(&held.activation.binding) {
                held.usage = *usage;
            }
        }
        Ok(outcome)
    }
}
