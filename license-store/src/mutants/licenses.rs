//! Mutants of commands, of recorded validations and of `find_by_key`.

use std::sync::Arc;

use license_core::command::{Changes, Command, CommandContext, CommandOutcome, Decision, View, decide};
use license_core::event::{NewEvents, Subject};
use license_core::license::{Activation, ActivationKind, Binding, Blocks, Grants, LicenseId};
use license_core::store::{LicenseRecord, LicenseStore};
use license_core::usage::{BatchId, EvictionCandidate, Validation, ValidationOutcome};
use license_core::validation::{Claim, HeldSlots, LicenseSnapshot};

use super::{Flaw, Mutant, gap, tamper};
use crate::Result;
use crate::memory::Data;

/// A license, a command on it, and its context.
pub(super) type ExecuteCall<'a> = (&'a LicenseId, &'a Command, &'a CommandContext);

impl Mutant {
    /// Executes a command with a spoiled view or spoiled changes.
    pub(super) fn spoiled(
        &self,
        (id, command, context): ExecuteCall<'_>,
        spoil_view: impl FnOnce(&LicenseRecord, &mut View),
        spoil_changes: impl FnOnce(&mut Changes),
    ) -> Result<CommandOutcome> {
        let mut data = self.inner.current();
        let mut view = data.view(id, command, context)?;
        spoil_view(data.record(id)?, &mut view);
        let Decision { outcome, changes } = decide(view, command, context);
        if let Some(mut changes) = changes {
            spoil_changes(&mut changes);
            data.apply(id, &changes)?;
        }
        Ok(outcome)
    }

    async fn in_two_steps(&self, (id, command, context): ExecuteCall<'_>) -> Result<CommandOutcome> {
        let view = self.inner.current().view(id, command, context)?;
        let Decision { outcome, changes } = decide(view, command, context);
        gap().await;
        if let Some(changes) = changes {
            self.inner.data().apply(id, &changes)?;
        }
        Ok(outcome)
    }

    /// Executes a command, and restores the jobs as they were before.
    async fn keeping_jobs(&self, (id, command, context): ExecuteCall<'_>) -> Result<CommandOutcome> {
        let jobs = |data: &Data| data.jobs.values().map(|entry| entry.job.clone()).collect::<Vec<_>>();
        let before = jobs(&self.inner.data());
        let outcome = self.inner.execute(id, command, context).await?;
        let mut data = self.inner.data();
        for job in before {
            data.jobs.entry(job.id.clone()).and_modify(|entry| entry.job = job);
        }
        Ok(outcome)
    }

    pub(super) async fn mutated_execute(&self, call: ExecuteCall<'_>) -> Result<CommandOutcome> {
        let (id, command, context) = call;
        let forward = || self.inner.execute(id, command, context);
        let keep_view = |_: &LicenseRecord, _: &mut View| {};
        match (self.flaw, command) {
            (Flaw::CheckThenAct, _) => self.in_two_steps(call).await,
            (Flaw::InProcessMutexOnly, _) => {
                let _guard = self.mutex.lock().await;
                self.in_two_steps(call).await
            }
            (Flaw::ForgetsEvents, _) => self.spoiled(call, keep_view, |changes| {
                changes.events = NewEvents::default();
            }),
            (Flaw::ForgetsKeysOfCommands, _) => self.spoiled(call, keep_view, |changes| {
                changes.idempotency = None;
            }),
            (Flaw::ForgetsFormerCustomers, _) => self.spoiled(call, keep_view, |changes| {
                changes.former_customer = None;
            }),
            (Flaw::KeepsReasonsOfJobs, Command::EraseCustomer(_)) => self.keeping_jobs(call).await,
            (Flaw::RestartsTerms, Command::Activate(_)) => {
                let not_started = |_: &LicenseRecord, view: &mut View| view.license.term.started_at = None;
                self.spoiled(call, not_started, |_| {})
            }
            (Flaw::ForgetsAnchorDay, _) => self.spoiled(call, keep_view, |changes| {
                Arc::make_mut(&mut changes.license).anchor_day = None;
            }),
            (Flaw::DropsProductOfClaims, Command::Activate(claim)) => {
                self.inner.execute(id, &Command::Activate(claim.of_slots()), context).await
            }
            (Flaw::ForgetsGrants, _) => self.spoiled(call, keep_view, |changes| {
                Arc::make_mut(&mut changes.license).grants = Grants::default();
            }),
            (Flaw::ForgetsReleases, _) => self.spoiled(call, keep_view, |changes| changes.released.clear()),
            (Flaw::ForgetsBlocks, _) => self.spoiled(call, keep_view, |changes| {
                Arc::make_mut(&mut changes.license).blocks = Blocks::default();
            }),
            (Flaw::OversellsByOne, Command::Activate(_)) => {
                let fewer = |_: &LicenseRecord, view: &mut View| {
                    view.license.devices_used = view.license.devices_used.saturating_sub(1);
                };
                self.spoiled(call, fewer, |_| {})
            }
            (Flaw::EvictsByAge, Command::Activate(_)) => {
                let by_age = |record: &LicenseRecord, view: &mut View| {
                    let devices = devices(record);
                    let candidates = devices
                        .map(|activation| EvictionCandidate { seen_at: activation.created_at, activation });
                    if let Some(wanted) = command.eviction_candidates(&view.license, context) {
                        view.eviction_candidates = wanted.select(candidates);
                    }
                };
                self.spoiled(call, by_age, |_| {})
            }
            (Flaw::ReleasesByStaleLastSeen, Command::ReleaseIdle) => {
                let stale = self.inner.current().record(id)?.view(command, context).eviction_candidates;
                gap().await;
                let use_stale = |_: &LicenseRecord, view: &mut View| view.eviction_candidates = stale;
                self.spoiled(call, use_stale, |_| {})
            }
            (Flaw::IgnoresVersion, _) => {
                let context = CommandContext { expected_version: None, ..context.clone() };
                self.inner.execute(id, command, &context).await
            }
            (Flaw::ClaimsInTwoSteps, Command::Activate(claim)) => {
                let device = Claim { domain: None, ..claim.clone() };
                self.inner.execute(id, &Command::Activate(device), context).await?;
                forward().await
            }
            (Flaw::WritesCountersBack, _) => {
                let before = *self.inner.current().record(id)?.counters();
                gap().await;
                let outcome = forward().await?;
                tamper(&mut self.inner.data(), id, |stored| stored.counters = before)?;
                Ok(outcome)
            }
            (Flaw::KeepsLastSeenByName, _) => {
                let mut kept = self.last_seen.lock().await;
                for detail in self.inner.current().record(id)?.activations() {
                    kept.insert(detail.activation.binding.clone(), detail.last_seen);
                }
                let outcome = forward().await?;
                tamper(&mut self.inner.data(), id, |stored| {
                    for detail in &mut stored.activations {
                        if let Some(last_seen) = kept.get(&detail.activation.binding) {
                            detail.last_seen = *last_seen;
                        }
                    }
                })?;
                Ok(outcome)
            }
            (Flaw::KeepsOldKey, Command::RotateKey { .. }) => {
                let before = self.inner.data().record(id)?.license().key_digest;
                let outcome = forward().await;
                self.inner.data().by_key.insert(before, id.clone());
                outcome
            }
            _ => self.with_spoiled_trials(call).await,
        }
    }

    /// Executes a command with spoiled trial claims.
    async fn with_spoiled_trials(&self, call: ExecuteCall<'_>) -> Result<CommandOutcome> {
        let (id, command, context) = call;
        match self.flaw {
            Flaw::ForgetsTrialsOfCommands => {
                self.spoiled(call, |_, _| {}, |changes| changes.trial_claims.clear())
            }
            Flaw::ReadsTrialsEarly => {
                let read = self.inner.current().view(id, command, context)?.trial_claims;
                gap().await;
                self.spoiled(call, |_, view| view.trial_claims = read, |_| {})
            }
            _ => self.with_spoiled_events(call).await,
        }
    }

    /// Executes a command, and spoils the events that it writes.
    async fn with_spoiled_events(&self, (id, command, context): ExecuteCall<'_>) -> Result<CommandOutcome> {
        let forward = || self.inner.execute(id, command, context);
        match self.flaw {
            Flaw::WritesEventsWithoutLicense => {
                let before = self.inner.data().record(id)?.license().last_event;
                let outcome = forward().await?;
                for (event, _) in self.inner.data().events.events.values_mut() {
                    if event.license_id() == Some(id) && event.sequence > before {
                        event.data.as_object_mut().and_then(|data| data.remove("license"));
                    }
                }
                Ok(outcome)
            }
            Flaw::WritesEventsLate => {
                let mut late = self.late_events.lock().await;
                self.inner.data().events.append(late.drain(..));
                let before = self.inner.data().record(id)?.license().last_event;
                let outcome = forward().await?;
                *late = self.take_events(id, before);
                Ok(outcome)
            }
            Flaw::DrawsPositionsEarly => {
                let position = {
                    let events = &mut self.inner.data().events;
                    events.last_position += 1;
                    events.last_position
                };
                gap().await;
                let before = self.inner.data().record(id)?.license().last_event;
                let outcome = forward().await?;
                let taken = self.take_events(id, before);
                let events = &mut self.inner.data().events;
                for event in taken {
                    let key = (event.subject.clone(), event.sequence);
                    events.positions.insert(position, key.clone());
                    events.events.insert(key, (event, Some(position)));
                }
                Ok(outcome)
            }
            _ => self.with_spoiled_leases((id, command, context)).await,
        }
    }

    /// Removes the events of a license after a number.
    fn take_events(&self, id: &LicenseId, after: u64) -> Vec<license_core::event::Event> {
        let events = &mut self.inner.data().events;
        let taken: Vec<_> = events.of_subject(&Subject::License(id.clone()), after).cloned().collect();
        for event in &taken {
            let key = (event.subject.clone(), event.sequence);
            events.without_position.remove(&key);
            events.events.remove(&key);
        }
        taken
    }

    pub(super) async fn mutated_record(
        &self,
        validations: &[Validation],
        batch: Option<BatchId>,
    ) -> Result<()> {
        match self.flaw {
            Flaw::ForgetsBatchNumber => self.inner.record(validations, None).await,
            Flaw::CommitsCountLate => {
                let mut late = self.late.lock().await;
                self.inner.record(&late, None).await?;
                *late = validations.to_vec();
                Ok(())
            }
            Flaw::CountsWithoutLock => {
                for validation in validations {
                    let id = &validation.license_id;
                    let before = self.inner.current().record(id)?.counters().validation_count;
                    gap().await;
                    self.inner.record(std::slice::from_ref(validation), None).await?;
                    let valid = u64::from(validation.outcome == ValidationOutcome::Valid);
                    tamper(&mut self.inner.current(), id, |stored| {
                        stored.counters.validation_count = before + valid;
                    })?;
                }
                Ok(())
            }
            Flaw::RejectsUnknownLicenses => {
                for validation in validations {
                    self.inner.data().record(&validation.license_id)?;
                }
                self.inner.record(validations, batch).await
            }
            _ => self.inner.record(validations, batch).await,
        }
    }

    /// Returns the bindings that the flaw finds with a license.
    pub(super) async fn mutated_bindings(
        &self,
        snapshot: &LicenseSnapshot,
        claim: &Claim,
    ) -> Option<Vec<Binding>> {
        let id = &snapshot.license().id;
        let bindings = |of: Option<&LicenseId>| {
            let data = self.inner.data();
            let records = data.licenses.iter().filter(|(other, _)| of.is_none_or(|id| *other == id));
            let activations = records.flat_map(|(_, entry)| entry.record.activations());
            activations.map(|detail| detail.activation.binding.clone()).collect::<Vec<_>>()
        };
        Some(match (self.flaw, &claim.domain) {
            (Flaw::MatchesSubstrings, Some(domain)) => {
                let is_suffix =
                    |bound: &Binding| domain.as_str().ends_with(bound.value().trim_start_matches("*."));
                let bound = bindings(Some(id));
                if bound.iter().any(is_suffix) { vec![Binding::Domain(domain.clone())] } else { bound }
            }
            (Flaw::MixesLicenses, _) => bindings(None),
            (Flaw::ReadsAllBindings, _) => bindings(Some(id)),
            (Flaw::KeepsReleasedBindings, _) => {
                let mut kept = self.bindings.lock().await;
                kept.extend(bindings(Some(id)).into_iter().map(|bound| (id.clone(), bound)));
                kept.iter().filter(|(of, _)| of == id).map(|(_, bound)| bound.clone()).collect()
            }
            (Flaw::ReadsClaimBindingsOnly, _) => {
                let mut bound = bindings(Some(id));
                bound.retain(|bound| HeldSlots::of(claim, [bound]) != HeldSlots::default());
                bound
            }
            _ => return None,
        })
    }

    /// Returns the snapshot with other bindings.
    pub(super) fn with_bindings(snapshot: &LicenseSnapshot, bindings: Vec<Binding>) -> LicenseSnapshot {
        LicenseSnapshot::new(Arc::new(snapshot.license().clone()), bindings)
    }
}

fn devices(record: &LicenseRecord) -> impl Iterator<Item = Activation> {
    let activations = record.activations().map(|detail| detail.activation.clone());
    activations.filter(|activation| activation.binding.kind() == ActivationKind::Device)
}
