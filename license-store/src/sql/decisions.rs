//! Reads the input of a decision on a license and writes its result, in one transaction.

use license_core::command::{Changes, CommandOutcome, Decision, Reads, View, decide};
use license_core::event::Event;
use license_core::license::{Activation, ActivationId, ExternalId, Label, LeaseUsage, License, LicenseId};
use license_core::store::LicenseChanged;
use license_core::usage::{Day, EvictionCandidate, LeastRecentlySeen};
use license_core::validation::Denial;
use sqlx::SqlStr;

use super::command_queue::CommandRequest;
use super::fault::{is_taken, names};
use super::prelude::*;
use super::rows;
use super::statements::{Indexed, LICENSE_COLUMNS};

/// Name of the value that two racing commands want, if the unique index denies one of them.
pub(super) const EXTERNAL_ID: &str = "the external id";

/// Result of a command before its commit.
pub(super) enum Execution {
    Done(CommandOutcome, Vec<LicenseChanged>),
    /// The command needs to know when devices were last seen, and validations wait to be compacted. Nothing
    /// was written.
    NeedsCatchUp,
}

impl<D: Dialect> SqlDatabase<D> {
    /// Reads, decides and writes.
    pub(super) async fn execute_in(
        &self,
        tx: &mut Tx<D>,
        CommandRequest { id, command, context, caught_up }: &CommandRequest,
    ) -> Result<Execution> {
        let license = self.lock_license(tx, id).await?.ok_or_else(|| not_found(id))?;
        let used_key = match &context.idempotency {
            Some(asked) => self.find_used_key(tx, asked).await?,
            None => None,
        };
        let wanted = command.eviction_candidates(&license, context);
        if wanted.is_some() && !caught_up && !self.fetch(tx, &self.sql.journal.any, &[]).await?.is_empty() {
            return Ok(Execution::NeedsCatchUp);
        }
        let activations = self.read_activations(tx, id, &command.reads(context)).await?;
        let eviction_candidates = match wanted {
            Some(wanted) => self.read_least_recently_seen(tx, id, wanted).await?,
            None => Vec::new(),
        };
        let trial_claims =
            self.find_trial_claims(tx, command.trial_digests(&license, context).iter()).await?;
        let leases = if command.reads_leases(&license, context) {
            self.read_open_leases(tx, id, &activations, context.now).await?
        } else {
            Vec::new()
        };
        let lease_usage = if command.reads_lease_usage(&license, context) {
            self.read_lease_usage(tx, id, context.now).await?
        } else {
            LeaseUsage::default()
        };
        let before = license.clone();
        let view =
            View { license, activations, eviction_candidates, used_key, trial_claims, leases, lease_usage };
        let Decision { outcome, changes } = decide(view, command, context);
        let Some(changes) = changes else { return Ok(Execution::Done(outcome, Vec::new())) };
        if changes.license.external_id != before.external_id
            && let Some(external_id) = &changes.license.external_id
            && self.has_external_id(tx, external_id).await?
        {
            return Ok(Execution::Done(CommandOutcome::Denied(Denial::ExternalIdTaken), Vec::new()));
        }
        if !self.keep_signing_key(tx, &changes.leases).await? {
            return Ok(Execution::Done(CommandOutcome::Denied(Denial::SigningKeyInactive), Vec::new()));
        }
        self.write_changes(tx, &before, &changes).await?;
        Ok(Execution::Done(outcome, changes.notices(&before.key_digest)))
    }

    pub(super) async fn lock_license(&self, tx: &mut Tx<D>, id: &LicenseId) -> Result<Option<License>> {
        let rows = self.fetch(tx, &self.sql.licenses.lock, values![id.as_str()]).await?;
        rows.first("licenses", id.as_str(), Reader::license)
    }

    async fn read_activations(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        reads: &Reads,
    ) -> Result<Vec<Activation>> {
        let (license, sql) = (id.as_str(), &self.sql.activations);
        let rows = match reads {
            Reads::Nothing => return Ok(Vec::new()),
            Reads::One(activation) => self.fetch(tx, &sql.get, values![license, activation.as_str()]).await?,
            Reads::Domains => self.fetch(tx, &sql.domains, values![license]).await?,
            Reads::Wildcards => self.fetch(tx, &sql.wildcards, values![license]).await?,
            Reads::OfLease(lease) => self.fetch(tx, &sql.of_lease, values![license, lease.as_str()]).await?,
            Reads::Returned(now) => {
                self.fetch(tx, &sql.returned, values![license, now.timestamp_micros()]).await?
            }
            Reads::Claim { domains, fingerprint } => {
                let domains = json!(domains).to_string();
                let values = values![license, domains, fingerprint.as_deref()];
                self.fetch(tx, &sql.of_claim, values).await?
            }
        };
        rows.all("activations", license, Reader::activation)
    }

    async fn read_least_recently_seen(
        &self,
        tx: &mut Tx<D>,
        id: &LicenseId,
        LeastRecentlySeen { before, limit, now }: LeastRecentlySeen,
    ) -> Result<Vec<EvictionCandidate>> {
        let (license, limit, sql) = (id.as_str(), i64::from(limit), &self.sql.activations);
        let now = now.timestamp_micros();
        let rows = match before {
            None => self.fetch(tx, &sql.least_recently_seen, values![license, limit, now]).await?,
            Some(before) => {
                let values =
                    values![license, limit, before.timestamp_micros(), Day::of(before).number(), now];
                self.fetch(tx, &sql.least_recently_seen_before, values).await?
            }
        };
        rows.all("activations", license, Reader::eviction_candidate)
    }

    /// Writes a decision on the license `before`.
    pub(super) async fn write_changes(
        &self,
        tx: &mut Tx<D>,
        before: &License,
        changes: &Changes,
    ) -> Result<()> {
        let Changes {
            license,
            added,
            released,
            labelled,
            events,
            audit,
            erased,
            idempotency,
            former_customer,
            trial_claims,
            leases,
        } = changes;
        let (id, sql) = (&license.id, &self.sql.activations);
        self.update_license(tx, before, license).await?;
        if !released.is_empty() {
            let ids = json!(released.iter().map(ActivationId::as_str).collect::<Vec<_>>()).to_string();
            self.fetch(tx, &sql.delete, values![id.as_str(), ids]).await?;
        }
        if let Some(slots) = leases.revoked {
            self.release_all(tx, id, slots).await?;
        }
        let added = added.iter().map(|one| rows::new_activation_row(license, one)).collect();
        self.insert_rows(tx, &sql.insert, added).await?;
        if let Some((activation, label)) = labelled {
            let label = label.as_ref().map(Label::as_str);
            self.fetch(tx, &sql.set_label, values![id.as_str(), activation.as_str(), label]).await?;
        }
        if erased.is_some() {
            self.fetch(tx, &sql.clear_labels, values![id.as_str()]).await?;
        }
        self.hold_slots(tx, id, leases).await?;
        let rows = self.fetch(tx, &self.sql.licenses.event_detail, values![id.as_str()]).await?;
        let detail = rows.first("licenses", "", Reader::detail)?.ok_or_else(|| not_found(id))?;
        let events = events.complete(&detail);
        self.insert_events(tx, &events).await?;
        self.write_leases(tx, id, leases, &events).await?;
        self.insert_unused_key(tx, idempotency.as_ref(), &events).await?;
        if self.insert_trial_claims(tx, trial_claims.iter()).await? != trial_claims.len() {
            // The next attempt reads the claim of the other license, and is denied.
            return Err(StoreError::Contended { source: "the trial was claimed meanwhile".into() });
        }
        if let Some(former) = former_customer {
            self.insert_former_customer(tx, id, former).await?;
        }
        if let Some(audit) = audit {
            self.insert_audit(tx, audit).await?;
        }
        match erased {
            Some(erasure) => self.erase_from_license(tx, id, erasure).await,
            None => Ok(()),
        }
    }

    async fn update_license(&self, tx: &mut Tx<D>, before: &License, license: &License) -> Result<()> {
        let (old, new) = (rows::license_values(before), rows::license_values(license));
        let changed = LICENSE_COLUMNS.iter().zip(old.iter().zip(&new)).filter(|(_, (old, new))| old != new);
        let sql = match changed.map(|(column, _)| column.indexed).max() {
            Some(Indexed::Yes) => &self.sql.licenses.update,
            Some(Indexed::BySlots) => &self.sql.licenses.update_slots,
            Some(Indexed::No) | None => &self.sql.licenses.update_unindexed,
        };
        let updated = self.dialect.fetch(tx, sql.clone(), &new).await;
        updated.map_err(|error| {
            if is_taken(&error) && names(&error, "external_id") {
                StoreError::AlreadyExists { what: EXTERNAL_ID }
            } else if is_taken(&error) {
                StoreError::AlreadyExists { what: "the license key" }
            } else {
                self.failed(error)
            }
        })?;
        let plan = rows::idle_plan(license);
        if before.metadata != license.metadata {
            self.replace_metadata(tx, before, license).await?;
        }
        if plan != rows::idle_plan(before) && before.devices_used > 0 {
            self.fetch(tx, &self.sql.activations.set_plan, values![license.id.as_str(), plan]).await?;
        }
        Ok(())
    }

    pub(super) async fn has_external_id(&self, tx: &mut Tx<D>, external_id: &ExternalId) -> Result<bool> {
        let sql = &self.sql.licenses.find_by_external_id;
        Ok(!self.fetch(tx, sql, values![external_id.as_str()]).await?.is_empty())
    }

    async fn replace_metadata(&self, tx: &mut Tx<D>, before: &License, license: &License) -> Result<()> {
        let (old, new) = (rows::metadata_rows(before), rows::metadata_rows(license));
        let removed: Vec<_> = old.iter().filter(|row| !new.contains(row)).cloned().collect();
        if !removed.is_empty() {
            let rows = json_rows(removed.into_iter());
            self.fetch(tx, &self.sql.search.delete_metadata, values![rows]).await?;
        }
        let added: Vec<_> = new.into_iter().filter(|row| !old.contains(row)).collect();
        if added.is_empty() { Ok(()) } else { self.insert_metadata(tx, json_rows(added.into_iter())).await }
    }

    pub(super) async fn insert_metadata(&self, tx: &mut Tx<D>, rows: String) -> Result<()> {
        self.fetch(tx, &self.sql.search.insert_metadata, values![rows]).await.map(drop)
    }

    pub(super) async fn insert_events(&self, tx: &mut Tx<D>, events: &[Event]) -> Result<()> {
        let rows = events.iter().map(|event| rows::event_row(event).into()).collect();
        self.insert_rows(tx, &self.sql.events.insert, rows).await.map(drop)
    }

    /// Runs a statement that inserts JSON rows, if there are any. Returns the number of rows that it returns.
    pub(super) async fn insert_rows(
        &self,
        tx: &mut Tx<D>,
        sql: &SqlStr,
        rows: Vec<serde_json::Value>,
    ) -> Result<usize> {
        if rows.is_empty() {
            return Ok(0);
        }
        let rows = json_rows(rows.into_iter());
        Ok(self.fetch(tx, sql, values![rows]).await?.len())
    }
}

pub(super) fn not_found(id: &LicenseId) -> StoreError {
    StoreError::NotFound { id: id.clone() }
}
