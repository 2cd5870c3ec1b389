//! The methods that mutants change.

use std::sync::Arc;

use chrono::SubsecRound;
use license_core::access::{NewSession, SessionOpener, TokenKind};
use license_core::catalog::{PlanEntry, PlanVersion};
use license_core::command::LIMIT_EVENT_INTERVAL;
use license_core::license::{Counters, License};
use license_core::store::{
    BulkJobStore, CatalogStore, ClockStore, EventStore, LeaseStore, LicenseRecord, LicenseStore, SearchStore,
    SigningKeyStore, TokenStore, TransferStore, TrialClaims, UsageStore, WebhookStore,
};
use license_core::trial::TrialDigest;
use license_core::usage::{Day, UsageTally};

use super::{Flaw, Mutant, gap, tamper};
use crate::Result;
use crate::layer::prelude::*;
use crate::layer::{Layer, impl_ports};
use crate::memory::MemoryStore;

#[async_trait]
impl Layer for Mutant {
    fn inner(&self) -> &dyn FullStore {
        &self.inner
    }

    async fn create_all(&self, new: &[NewLicense]) -> Result<Created> {
        let mut all = new.to_vec();
        let Some(new) = all.first_mut() else { return Ok(Created::New) };
        match (self.flaw, &mut new.idempotency) {
            (Flaw::ChecksIdempotencyFirst, asked @ Some(_)) => {
                if let Some(asked) = asked.take() {
                    let used = self.inner.data().used_keys.find(Some(&asked));
                    if let Some(used) = used {
                        return Ok(Created::repeated(&asked, &used));
                    }
                    gap().await;
                    self.inner.data().used_keys.add(Some(&asked), &new.events);
                }
            }
            (Flaw::IgnoresRequestDigest, Some(asked)) => asked.request = [0; 32],
            (Flaw::ChecksExternalIdFirst, _) => {
                let taken = self.inner.data().has_external_id(&new.license);
                gap().await;
                if !taken {
                    self.inner.data().by_external_id.clear();
                }
            }
            (Flaw::ForgetsTrialsOfCreates, _) => new.trial_claims.clear(),
            (Flaw::ChecksTrialsFirst, _) => {
                let used = self.inner.data().used_keys.trials.has_any_of(std::slice::from_ref(new));
                gap().await;
                if !used {
                    self.inner.data().used_keys.trials = TrialClaims::default();
                }
            }
            (Flaw::RoundsTimes, _) => new.license.created_at = new.license.created_at.trunc_subsecs(0),
            (Flaw::CreatesOneByOne, _) => {
                let mut created = Created::New;
                for (index, one) in all.iter().enumerate() {
                    let result = self.inner.create(one).await?;
                    if index == 0 {
                        created = result;
                    }
                }
                return Ok(created);
            }
            _ => {}
        }
        self.inner.create_all(&all).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<CommandOutcome> {
        self.mutated_execute((id, command, context)).await
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<()> {
        self.mutated_record(validations, batch).await
    }

    async fn find_by_key(&self, digest: &KeyDigest, claim: &Claim) -> Result<Option<LicenseSnapshot>> {
        let Some(snapshot) = self.inner.find_by_key(digest, claim).await? else { return Ok(None) };
        let bindings = self.mutated_bindings(&snapshot, claim).await;
        Ok(Some(match bindings {
            Some(bindings) => Self::with_bindings(&snapshot, bindings),
            None => snapshot,
        }))
    }

    async fn list(&self, query: &LicenseQuery) -> Result<Page<LicenseDetail, LicenseId>> {
        if self.flaw != Flaw::PagesByOffset {
            return self.inner.list(query).await;
        }
        // The cursor is the number of licenses that were read, so a new license shifts the pages.
        let PageRequest { after, limit } = &query.page;
        let skip: usize = after.as_ref().map_or(0, |id| id.as_str()[4..].parse().expect("a number"));
        let next = LicenseId::parse(&format!("lic_{}", skip + *limit as usize)).expect("an id");
        let data = self.inner.data();
        let records = data.licenses.values().rev().map(|entry| &entry.record);
        let all = records.map(LicenseRecord::detail).skip(skip).collect();
        Ok(Page::from_one_more(all, *limit, |_| next))
    }

    async fn put_if_absent(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        if self.flaw == Flaw::KeepsLastValue {
            self.inner.data().settings.remove(name);
        }
        self.inner.put_if_absent(name, value).await
    }

    async fn report(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport> {
        let mut query = query.clone();
        if self.flaw == Flaw::CountsWholeDays {
            query.from = query.from.map(|from| Day::of(from).start());
        }
        let report = self.inner.report(id, &query).await?;
        if self.flaw == Flaw::CountsHistoryOnly {
            let mut tally = UsageTally::new(&query);
            for (_, kept) in self.inner.data().licenses.get(id).iter().flat_map(|entry| &entry.validations) {
                tally.add(&Rollup::of(kept));
            }
            return Ok(tally.report([]));
        }
        Ok(report)
    }

    async fn list_rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>> {
        let mut found = self.inner.list_rollups(filter, page).await?;
        if self.flaw == Flaw::RollsUpLate && found.next.is_none() {
            found.items.pop();
        }
        Ok(found)
    }

    async fn prune_usage(&self, retention: &UsageRetention, now: DateTime<Utc>, limit: u32) -> Result<u64> {
        let limit = if self.flaw == Flaw::PrunesAllAtOnce { u32::MAX } else { limit };
        let pruned = self.inner.prune_usage(retention, now, limit).await?;
        if self.flaw == Flaw::ForgetsTotals {
            self.inner.data().usage.pruned.clear();
        }
        Ok(pruned)
    }

    async fn write_expiry_events(&self, scan: &ExpiryScan) -> Result<u32> {
        let swept = self.inner.write_expiry_events(scan).await?;
        if self.flaw == Flaw::ForgetsExpiryNotices {
            let data = &mut self.inner.data();
            for id in data.licenses.keys().cloned().collect::<Vec<_>>() {
                tamper(data, &id, |stored| stored.license.expiry_notice = None)?;
            }
        }
        Ok(swept)
    }

    async fn write_limit_event(&self, notice: &LimitReached) -> Result<Option<DateTime<Utc>>> {
        if self.flaw != Flaw::AnnouncesLimitPerNode {
            return self.inner.write_limit_event(notice).await;
        }
        let mut announced = self.announced_limit.lock().await;
        self.inner.data().events.limit_events_at.clear();
        if announced.is_none_or(|at| notice.at >= at + LIMIT_EVENT_INTERVAL) {
            *announced = self.inner.write_limit_event(notice).await?;
        }
        Ok(*announced)
    }

    async fn write_anomaly_events(&self, scan: &AnomalyScan) -> Result<u32> {
        if self.flaw == Flaw::RepeatsAnomalies {
            self.inner.data().events.anomaly_events_on.clear();
        }
        self.inner.write_anomaly_events(scan).await
    }

    async fn execute_endpoint(
        &self,
        id: &EndpointId,
        command: &EndpointCommand,
        context: &EndpointContext,
    ) -> Result<EndpointOutcome> {
        let (mut command, mut context) = (command.clone(), context.clone());
        match (self.flaw, &mut command) {
            (Flaw::ForgetsAuditOfEndpoints, _) => context.by = None,
            (Flaw::ForgetsSkippedEvents, EndpointCommand::Set(settings)) => settings.skip_job_events = false,
            _ => {}
        }
        self.inner.execute_endpoint(id, &command, &context).await
    }

    async fn lease_deliveries(&self, request: &DeliveryLeaseRequest) -> Result<LeasedDeliveries> {
        let mut request = *request;
        if self.flaw == Flaw::LeasesForNoTime {
            request.lease_until = request.now;
        }
        self.inner.lease_deliveries(&request).await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<Settled> {
        let mut settlement = settlement.clone();
        if self.flaw == Flaw::SettlesForAnyToken {
            let events = &mut self.inner.data().events;
            let delivery = events.find(&settlement.endpoint_id, &settlement.event_id);
            settlement.token = delivery.and_then(|delivery| delivery.token).unwrap_or(settlement.token);
        }
        self.inner.settle(&settlement).await
    }

    async fn import(&self, batch: &ImportBatch) -> Result<Vec<Imported>> {
        let mut batch = batch.clone();
        match self.flaw {
            Flaw::ImportsInTwoSteps => {
                let settled = self.inner.dry_run(&batch).await?;
                gap().await;
                for new in batch.new_ones(&settled) {
                    self.inner.data().import(new, batch.at);
                }
                return Ok(settled);
            }
            Flaw::ImportsOverExisting => {
                let settled = self.inner.import(&batch).await?;
                let mut data = self.inner.data();
                for (new, settled) in batch.licenses.iter().zip(&settled) {
                    if *settled == Imported::Existing && data.licenses.contains_key(&new.license.id) {
                        data.import(new, batch.at);
                    }
                }
                return Ok(settled);
            }
            Flaw::ImportsWithoutCounters => {
                batch.licenses.iter_mut().for_each(|new| new.counters = Counters::default());
            }
            Flaw::ForgetsImportedLeases => batch.licenses.iter_mut().for_each(|new| new.leases.clear()),
            Flaw::AuditsExisting => {
                let settled = self.inner.import(&ImportBatch { by: None, ..batch.clone() }).await?;
                if let Some(audit) = batch.audit(&vec![Imported::New; settled.len()]) {
                    self.inner.data().audit.add(&audit);
                }
                return Ok(settled);
            }
            _ => {}
        }
        self.inner.import(&batch).await
    }

    async fn dry_run(&self, batch: &ImportBatch) -> Result<Vec<Imported>> {
        match self.flaw {
            Flaw::WritesDryRuns => self.inner.import(batch).await,
            _ => self.inner.dry_run(batch).await,
        }
    }

    async fn import_rollups(&self, batch: &RollupBatch) -> Result<Vec<ImportedRollup>> {
        if self.flaw != Flaw::ImportsRollupsTwice {
            return self.inner.import_rollups(batch).await;
        }
        let rollups = &batch.rollups;
        let settled = self.inner.dry_run_rollups(rollups).await?;
        let stored = &mut self.inner.data().usage.rollups;
        for (Rollup { key, sum }, settled) in rollups.iter().zip(&settled) {
            if *settled != ImportedRollup::NoLicense {
                stored.entry(key.clone()).and_modify(|sums| sums.add(sum)).or_insert(*sum);
            }
        }
        Ok(settled)
    }

    async fn import_trial_claims(&self, batch: &TrialClaimBatch) -> Result<u64> {
        let new = self.inner.import_trial_claims(batch).await?;
        if self.flaw == Flaw::ImportsTrialsOverExisting {
            let trials = &mut self.inner.data().used_keys.trials;
            let mut all = TrialClaims::default();
            all.add(&batch.claims);
            all.add(&trials.iter().collect::<Vec<_>>());
            *trials = all;
        }
        Ok(new)
    }

    async fn replace_setting(&self, change: &SettingChange) -> Result<bool> {
        let mut change = change.clone();
        if self.flaw == Flaw::ReplacesSettingsBlindly {
            let found = self.inner.data().settings.get(&change.name).cloned();
            change.from = found.unwrap_or(change.from);
        }
        self.inner.replace_setting(&change).await
    }

    async fn move_heartbeat(&self, change: &HeartbeatChange) -> Result<bool> {
        let mut change = change.clone();
        if self.flaw == Flaw::MovesHeartbeatBlindly {
            change.from = self.inner.heartbeat().await?;
        }
        self.inner.move_heartbeat(&change).await
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchPage> {
        let mut query = query.clone();
        if let (Flaw::PagesByIdOnly, Some(after)) = (self.flaw, &mut query.page.after) {
            after.expires_at = None;
        }
        let mut found = self.inner.search(&query).await?;
        if self.flaw == Flaw::CountsThePage {
            let count = found.page.items.len() as u64;
            found.total = found.total.map(|_| SearchTotal { count, exact: true });
        }
        Ok(found)
    }

    async fn execute_catalog(
        &self,
        command: &CatalogCommand,
        context: &CatalogContext,
    ) -> Result<CatalogOutcome> {
        let mut context = context.clone();
        match self.flaw {
            Flaw::ForgetsAuditOfCatalog => context.by = None,
            Flaw::ChangesCatalogInTwoSteps => {
                let before = Arc::clone(&self.inner.data().catalog);
                gap().await;
                let CatalogDecision { outcome, changes } = decide_catalog(before, command, &context);
                if let Some(changes) = changes {
                    self.inner.data().catalog = changes.catalog;
                }
                return Ok(outcome);
            }
            _ => {}
        }
        let outcome = self.inner.execute_catalog(command, &context).await?;
        if self.flaw == Flaw::ReplacesPlanVersions {
            let mut data = self.inner.data();
            let catalog = Arc::clone(&data.catalog);
            let plans = catalog.entries().cloned().map(|entry| {
                let first = PlanVersion { version: 1, ..entry.current().clone() };
                PlanEntry { versions: vec![first], ..entry }
            });
            let products = catalog.products().cloned();
            data.catalog = Arc::new(PlanCatalog::from_stored(catalog.revision(), products, plans));
        }
        Ok(outcome)
    }

    async fn create_job(&self, new: &NewBulkJob, licenses: &JobLicenses) -> Result<CreatedJob> {
        if let (Flaw::CountsJobLicensesFirst, JobLicenses::Search { filter, expect }) = (self.flaw, licenses)
        {
            let matched = self.inner.count_matches(filter, new.created_at, u64::MAX).await?;
            if matched != *expect {
                return Ok(CreatedJob::CountDiffers { matched });
            }
            gap().await;
            let ids = self.inner.data().matching(filter, new.created_at).cloned().collect();
            return self.inner.create_job(new, &JobLicenses::Ids(ids)).await;
        }
        self.inner.create_job(new, licenses).await
    }

    async fn execute_signing_keys(
        &self,
        command: &SigningKeyCommand,
        context: &SigningKeyContext,
    ) -> Result<SigningKeyOutcome> {
        let mut context = context.clone();
        match self.flaw {
            Flaw::ForgetsAuditOfSigningKeys => context.by = None,
            Flaw::ChangesSigningKeysInTwoSteps => {
                let before = Arc::clone(&self.inner.data().signing_keys);
                gap().await;
                let SigningKeyDecision { outcome, changes } = decide_signing_keys(&before, command, &context);
                if let Some(changes) = changes {
                    self.inner.data().signing_keys = changes.set;
                }
                return Ok(outcome);
            }
            _ => {}
        }
        self.inner.execute_signing_keys(command, &context).await
    }

    async fn settle_job_step(
        &self,
        id: &BulkJobId,
        outcomes: &[(LicenseId, LicenseOutcome)],
        now: DateTime<Utc>,
    ) -> Result<()> {
        if let (Flaw::OverwritesOutcomes, Some(job)) = (self.flaw, self.inner.data().jobs.get_mut(id)) {
            for (license, _) in outcomes {
                job.licenses.entry(license.clone()).and_modify(|outcome| *outcome = None);
            }
        }
        if self.flaw != Flaw::ForgetsLateSales {
            return self.inner.settle_job_step(id, outcomes, now).await;
        }
        // No other action looks for licenses again.
        let set = |action| {
            let mut data = self.inner.data();
            data.jobs.get_mut(id).map(|entry| std::mem::replace(&mut entry.job.action, action))
        };
        let action = set(BulkAction::Suspend);
        self.inner.settle_job_step(id, outcomes, now).await?;
        action.and_then(set);
        Ok(())
    }

    async fn list_refused(
        &self,
        id: &BulkJobId,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<RefusedLicense, LicenseId>> {
        if self.flaw != Flaw::ListsOpenLicensesAsRefused {
            return self.inner.list_refused(id, page).await;
        }
        let settled = self.inner.data().jobs.get(id).map(|entry| entry.licenses.clone());
        if let Some(entry) = self.inner.data().jobs.get_mut(id) {
            entry.licenses.values_mut().for_each(|outcome| {
                outcome.get_or_insert(LicenseOutcome::Failed);
            });
        }
        let found = self.inner.list_refused(id, page).await;
        if let (Some(entry), Some(settled)) = (self.inner.data().jobs.get_mut(id), settled) {
            entry.licenses = settled;
        }
        found
    }

    async fn revoked_leases(&self, product: &str, now: DateTime<Utc>) -> Result<Vec<LeaseId>> {
        let mut ids = self.inner.revoked_leases(product, now).await?;
        if self.flaw == Flaw::ListsEndedLeasesOnly {
            let data = self.inner.data();
            let leases = data.licenses.values().flat_map(|entry| entry.record.leases());
            let ended: Vec<_> = leases.filter(|lease| lease.ended.is_some()).map(|lease| &lease.id).collect();
            ids.retain(|id| ended.contains(&id));
        }
        Ok(ids)
    }

    async fn revoke_token(&self, id: &TokenId, by: &Actor, now: DateTime<Utc>) -> Result<Option<ApiToken>> {
        let revoked = self.inner.revoke_token(id, by, now).await;
        if self.flaw == Flaw::KeepsSessionsOfRevokedTokens {
            let mut data = self.inner.data();
            let children = data.tokens.values_mut().filter(|one| one.kind.parent() == Some(id));
            children.for_each(|child| child.revoked_at = None);
        }
        revoked
    }

    async fn open_session(&self, new: &NewSession) -> Result<Option<ApiToken>> {
        match (self.flaw, &new.opener) {
            (Flaw::ChecksLinksFirst, SessionOpener::Link(digest)) => {
                let link = self.inner.find_token_by_digest(digest).await?;
                gap().await;
                if let Some(link) = link.filter(|link| matches!(link.kind, TokenKind::Link(_))) {
                    self.inner.data().tokens.insert(link.id.clone(), link);
                }
                self.inner.open_session(new).await
            }
            (Flaw::ChecksParentsFirst, SessionOpener::Token(id)) => {
                let parent = self.inner.get_token(id).await?;
                gap().await;
                let Some(parent) = parent else { return Ok(None) };
                let current = self.inner.data().tokens.insert(id.clone(), parent);
                let opened = self.inner.open_session(new).await;
                self.inner.data().tokens.extend(current.map(|current| (id.clone(), current)));
                opened
            }
            (Flaw::KeepsUsedLinks, SessionOpener::Link(digest)) => {
                let link = self.inner.find_token_by_digest(digest).await?;
                let opened = self.inner.open_session(new).await;
                self.inner.data().tokens.extend(link.map(|link| (link.id.clone(), link)));
                opened
            }
            _ => self.inner.open_session(new).await,
        }
    }

    async fn snapshot<'a>(&'a self) -> Result<Box<dyn TransferSnapshot + 'a>> {
        match self.flaw {
            Flaw::ReadsLiveSnapshots => Ok(Box::new(Live(self.inner.clone()))),
            _ => self.inner.snapshot().await,
        }
    }
}

impl_ports!(Mutant);

/// Reads each page as of its own time.
struct Live(MemoryStore);

#[async_trait]
impl TransferSnapshot for Live {
    async fn licenses(
        &mut self,
        after: Option<&LicenseId>,
        limit: u32,
    ) -> Result<Vec<(Arc<License>, Counters)>> {
        self.0.snapshot().await?.licenses(after, limit).await
    }

    async fn activations(
        &mut self,
        after: Option<(&LicenseId, &ActivationId)>,
        limit: u32,
    ) -> Result<Vec<(LicenseId, ActivationDetail)>> {
        self.0.snapshot().await?.activations(after, limit).await
    }

    async fn rollups(&mut self, after: Option<&RollupKey>, limit: u32) -> Result<Vec<Rollup>> {
        self.0.snapshot().await?.rollups(after, limit).await
    }

    async fn trial_claims(&mut self, after: Option<&TrialDigest>, limit: u32) -> Result<Vec<TrialClaim>> {
        self.0.snapshot().await?.trial_claims(after, limit).await
    }

    async fn leases(
        &mut self,
        after: Option<(&LicenseId, &LeaseId)>,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Lease>> {
        self.0.snapshot().await?.leases(after, now, limit).await
    }
}
