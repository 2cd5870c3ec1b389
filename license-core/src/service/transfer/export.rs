//! Exports licenses as JSON lines, in a stable order.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use zeroize::Zeroizing;

use super::TransferService;
use crate::catalog::PlanCatalog;
use crate::debug::partial_debug;
use crate::error::ServiceError;
use crate::key::ImportedKeyFormats;
use crate::license::{ActivationId, Counters, Lease, LeaseId, License, LicenseId};
use crate::store::TransferSnapshot;
use crate::transfer::line::{
    ClearKey, LicenseLine, TrialKeyLine, activation_line, export_line, key_format_line, lease_line,
    license_line, plan_lines, product_line, rollup_line, to_hex, trial_claim_line, trial_key_line,
};
use crate::trial::{TrialClaim, TrialDigest, TrialKey};
use crate::usage::{ActivationDetail, Rollup, RollupKey};

/// Items per read.
const READ: u32 = 500;

/// How an export writes license keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportKeys {
    /// Sealed with the secret of the database: usable only by a database with the same secret.
    #[default]
    Sealed,
    /// In clear, for a database with another secret.
    Clear,
}

impl ExportKeys {
    /// Returns `sealed` or `clear`, as in the audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Clear => "clear",
        }
    }
}

/// An export in progress. It holds a few hundred licenses and activations in memory.
pub struct Exporter<'a> {
    service: &'a TransferService,
    keys: ExportKeys,
    snapshot: Box<dyn TransferSnapshot + 'a>,
    /// Lines to write next: those before the licenses, and the trial keys before the claims.
    head: VecDeque<String>,
    licenses: Read<(Arc<License>, Counters)>,
    activations: Read<(LicenseId, ActivationDetail)>,
    last_activation: Option<(LicenseId, ActivationId)>,
    rollups: Read<Rollup>,
    last_rollup: Option<RollupKey>,
    claims: Read<TrialClaim>,
    last_claim: Option<TrialDigest>,
    /// Whether the lines of trial keys were written or are in `head`.
    has_trial_keys: bool,
    /// The license whose activations and leases follow.
    of: Option<LicenseId>,
    written: u64,
    leases: Read<Lease>,
    last_lease: Option<(LicenseId, LeaseId)>,
    /// Leases that are over at this time are left out.
    now: DateTime<Utc>,
}

partial_debug!(Exporter<'_> { keys, written });

/// Items that were read ahead. `ended`: there are no more to read.
struct Read<T> {
    items: VecDeque<T>,
    ended: bool,
}

impl<T> Read<T> {
    fn new() -> Self {
        Self { items: VecDeque::new(), ended: false }
    }

    fn add(&mut self, items: Vec<T>) {
        self.ended = items.is_empty();
        self.items.extend(items);
    }

    fn wants_more(&self) -> bool {
        self.items.is_empty() && !self.ended
    }
}

impl<'a> Exporter<'a> {
    pub(super) fn new(
        service: &'a TransferService,
        keys: ExportKeys,
        formats: &ImportedKeyFormats,
        catalog: &PlanCatalog,
        snapshot: Box<dyn TransferSnapshot + 'a>,
    ) -> Self {
        let formats = formats.iter().map(key_format_line);
        let products = catalog.products().map(product_line);
        let plans = catalog.entries().flat_map(plan_lines);
        Self {
            service,
            keys,
            snapshot,
            head: std::iter::once(export_line()).chain(formats).chain(products).chain(plans).collect(),
            licenses: Read::new(),
            activations: Read::new(),
            last_activation: None,
            rollups: Read::new(),
            last_rollup: None,
            claims: Read::new(),
            last_claim: None,
            has_trial_keys: false,
            of: None,
            written: 0,
            leases: Read::new(),
            last_lease: None,
            now: service.context.now(),
        }
    }

    /// Returns the next line without line end, or `None` at the end.
    ///
    /// # Errors
    /// Returns [`ServiceError`] if the store fails or a key does not open.
    pub async fn next_line(&mut self) -> Result<Option<Zeroizing<String>>, ServiceError> {
        if let Some(line) = self.head.pop_front() {
            return Ok(Some(Zeroizing::new(line)));
        }
        if let Some(line) = self.next_part().await? {
            return Ok(Some(Zeroizing::new(line)));
        }
        if self.licenses.wants_more() {
            let licenses = self.snapshot.licenses(self.of.as_ref(), READ).await?;
            self.licenses.add(licenses);
        }
        let Some((license, counters)) = self.licenses.items.pop_front() else {
            return self.next_rollup().await;
        };
        self.of = Some(license.id.clone());
        self.written += 1;
        let id = license.id.as_str();
        let key = self.service.context.vault.open(&license.sealed_key, id);
        let key = key.map_err(|_| ServiceError::SealedKey(license.id.clone()))?;
        let mut line = LicenseLine::of(&license, &counters);
        match self.keys {
            ExportKeys::Sealed => line.sealed_key = Some(self.service.context.export_seal.seal(&key, id)),
            ExportKeys::Clear => line.key = Some(ClearKey::of(&key)),
        }
        Ok(Some(license_line(&line)))
    }

    /// Returns the next line of the license that was written last.
    async fn next_part(&mut self) -> Result<Option<String>, ServiceError> {
        let Some(of) = &self.of else { return Ok(None) };
        if self.activations.wants_more() {
            let after = self.last_activation.as_ref().map(|(license, id)| (license, id));
            let activations = self.snapshot.activations(after, READ).await?;
            self.activations.add(activations);
        }
        if self.activations.items.front().is_some_and(|(license, _)| license == of)
            && let Some((license, activation)) = self.activations.items.pop_front()
        {
            let line = activation_line(&license, &activation);
            self.last_activation = Some((license, activation.activation.id));
            return Ok(Some(line));
        }
        if self.leases.wants_more() {
            let after = self.last_lease.as_ref().map(|(license, id)| (license, id));
            let leases = self.snapshot.leases(after, self.now, READ).await?;
            self.leases.add(leases);
        }
        if self.leases.items.front().is_some_and(|lease| lease.license_id == *of)
            && let Some(lease) = self.leases.items.pop_front()
        {
            let line = lease_line(&lease);
            self.last_lease = Some((lease.license_id, lease.id));
            return Ok(Some(line));
        }
        Ok(None)
    }

    /// Returns the next rollup line. Rollups follow the licenses.
    async fn next_rollup(&mut self) -> Result<Option<Zeroizing<String>>, ServiceError> {
        if self.rollups.wants_more() {
            let rollups = self.snapshot.rollups(self.last_rollup.as_ref(), READ).await?;
            self.rollups.add(rollups);
        }
        let Some(rollup) = self.rollups.items.pop_front() else { return self.next_trial_claim().await };
        let line = rollup_line(&rollup);
        self.last_rollup = Some(rollup.key);
        Ok(Some(Zeroizing::new(line)))
    }

    /// Returns the next line of trial claims. They follow the rollups, after the keys of their digests.
    async fn next_trial_claim(&mut self) -> Result<Option<Zeroizing<String>>, ServiceError> {
        if self.claims.wants_more() {
            let claims = self.snapshot.trial_claims(self.last_claim.as_ref(), READ).await?;
            self.claims.add(claims);
        }
        if self.last_claim.is_none() && !self.claims.items.is_empty() && !self.has_trial_keys {
            self.has_trial_keys = true;
            self.head = self.trial_key_lines().into();
            // There is at least one key, that of this database.
            return Ok(self.head.pop_front().map(Zeroizing::new));
        }
        let Some(claim) = self.claims.items.pop_front() else { return Ok(None) };
        let line = trial_claim_line(&claim);
        self.last_claim = Some(claim.digest);
        Ok(Some(Zeroizing::new(line)))
    }

    fn trial_key_lines(&self) -> Vec<String> {
        let context = &self.service.context;
        let line = |key: &TrialKey| {
            let mut line = TrialKeyLine::of(key);
            match self.keys {
                ExportKeys::Sealed => {
                    line.sealed_key = Some(context.export_seal.seal_bytes(key.as_bytes(), &line.id));
                }
                ExportKeys::Clear => line.key = Some(ClearKey::of_text(to_hex(key.as_bytes()))),
            }
            trial_key_line(&line)
        };
        context.trial_keys().iter().map(line).collect()
    }

    /// Returns the number of licenses written so far.
    #[must_use]
    pub fn licenses(&self) -> u64 {
        self.written
    }
}
