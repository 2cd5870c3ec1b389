//! The suite is tested itself: stores with one fault each must fail it, at the case that is named here.

mod devices;
mod outbox;
mod transfer;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use license_core::activation::Binding;
use license_core::usage::{Day, UsageTally};
use license_core::verdict::Held;
use tokio::sync::Mutex;

use super::*;
use crate::conformance::{CASES, Harness, OUTBOX_CASES, TRANSFER_CASES};

/// What one broken store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Reads and decides, lets others in, then writes: the mistake of the field.
    CheckThenAct,
    /// Holds a lock of its own process around that; another process has another lock.
    InProcessMutexOnly,
    /// Writes the change and not its events.
    ForgetsTheEvent,
    /// Does not tell the decision which version the caller saw.
    IgnoresTheVersion,
    /// Answers before the count is written; the next call writes it.
    CommitsTheCountLate,
    /// Reads the counter, lets others in, then writes it one higher.
    CountsWithoutLock,
    /// Refuses a batch with a validation of an unknown license.
    RefusesUnknownLicenses,
    /// Writes the license with the counters that it had read: those of validations in between are lost.
    WritesCountersBack,
    /// Records a batch again whose answer was lost.
    ForgetsTheBatch,
    /// Reads only the bindings of the claim, also of a license that has them inline.
    ReadsTheClaimOnly,
    /// Reads all bindings, also of a license with too many.
    ReadsAllBindings,
    /// Finds with a license what it found with it before, too.
    KeepsBindings,
    /// Looks domains up by their end, as text.
    MatchesSubstrings,
    /// Looks a claim up among the activations of all licenses.
    MixesLicensesUp,
    /// Takes slots for the domain first, and for the device in a second step.
    HalfClaims,
    /// Applies the changes of a command that is denied by a limit.
    OversellsByOne,
    /// Drops activations from the count, not from the list.
    ForgetsReleases,
    /// Checks the idempotency key, lets others in, then creates.
    ChecksIdempotencyFirst,
    /// Tells a repeated request by its key alone.
    IgnoresTheRequest,
    /// Lets a later caller's value win.
    KeepsTheLast,
    /// Keeps the old key of a license as well.
    KeepsTheOldKey,
    /// Evicts the device that was made first, whenever it was seen.
    EvictsByAge,
    /// Releases idle devices by what was compacted before it began.
    SweepsByOldFigures,
    /// Finds what was seen of a device by its name, also of one that was released.
    KeepsFiguresByName,
    /// Takes times in whole seconds.
    RoundsTimes,
    /// Keeps the offset of a page instead of its last item.
    PagesByOffset,
    /// Takes whole days for a range that cuts them.
    CountsWholeDays,
    /// Counts the single validations of a license, and not what they came to.
    CountsSinglesOnly,
    /// Removes rollups, and what they have counted with them.
    ForgetsTheTotals,
    /// Removes all that is old at once.
    ForgetsAllAtOnce,
    /// Lists rollups without the validations of the last call.
    RollsUpLate,
    /// Writes events without the license.
    WritesEventsBare,
    /// Answers before the events are written; the next call writes them.
    WritesTheEventLate,
    /// Draws the number that readers go by before the commit.
    DrawsPositionsEarly,
    /// Sweeps without noting what it told.
    ForgetsWhatItTold,
    /// Notes what it told of limits in its own process.
    TellsALimitOncePerNode,
    /// Forgets between two looks of what usage it told.
    TellsUnusualUsageAgain,
    /// Takes what is due, and leaves it due.
    ClaimsWithoutLease,
    /// Ends an attempt for whoever says so.
    SettlesForAnyToken,
    /// Reads which licenses of an import are there, lets others in, then keeps the rest.
    ImportsInTwoSteps,
    /// Keeps an imported license in the place of the one that is there.
    ImportsOverWhatIsThere,
    /// Begins the counts of imported licenses anew.
    ImportsWithoutCounters,
    /// Writes to the audit that licenses were imported which were there.
    AuditsWhatIsThere,
    /// Keeps what a dry run is about.
    WritesADryRun,
    /// Reads each page of an export as it is then.
    ReadsSnapshotsAsTheyCome,
    /// Adds an imported rollup to the one that is there.
    ImportsRollupsTwice,
}

/// The case that each fault fails. It may fail others too.
const EXPECTED: &[(Fault, &str)] = &[
    (Fault::CheckThenAct, "races::devices_are_never_oversold_nor_undersold"),
    (Fault::InProcessMutexOnly, "races::domains_are_never_oversold_nor_undersold"),
    (Fault::ForgetsTheEvent, "execute::events_go_with_the_change"),
    (Fault::IgnoresTheVersion, "execute::a_stale_version_is_denied"),
    (Fault::CommitsTheCountLate, "history::a_recorded_validation_is_seen_at_once"),
    (Fault::CountsWithoutLock, "races::no_validation_is_lost"),
    (Fault::RefusesUnknownLicenses, "history::unknown_license_is_ignored"),
    (Fault::WritesCountersBack, "races::counts_survive_racing_commands"),
    (Fault::ForgetsTheBatch, "history::a_batch_with_a_number_is_recorded_once"),
    (Fault::ReadsTheClaimOnly, "reads::inline_bindings_come_with_the_license"),
    (Fault::ReadsAllBindings, "reads::inline_bindings_come_with_the_license"),
    (Fault::KeepsBindings, "reads::what_lost_its_slot_is_held_no_longer"),
    (Fault::MatchesSubstrings, "reads::a_claim_finds_what_it_holds"),
    (Fault::MixesLicensesUp, "reads::claims_of_other_licenses_are_not_held"),
    (Fault::HalfClaims, "execute::a_denial_writes_nothing"),
    (Fault::OversellsByOne, "races::devices_are_never_oversold_nor_undersold"),
    (Fault::ForgetsReleases, "execute::a_released_slot_is_free_again"),
    (Fault::ChecksIdempotencyFirst, "races::one_of_many_creates_with_an_idempotency_key_wins"),
    (Fault::IgnoresTheRequest, "create::refuses_an_idempotency_key_of_another_request"),
    (Fault::KeepsTheLast, "kept::the_first_value_stays"),
    (Fault::KeepsTheOldKey, "execute::a_rotated_key_replaces_the_old_one"),
    (Fault::EvictsByAge, "devices::a_new_device_takes_the_slot_unseen_for_the_longest"),
    (Fault::SweepsByOldFigures, "devices::a_sweep_races_with_validations"),
    (Fault::KeepsFiguresByName, "devices::activations_tell_when_they_were_seen"),
    (Fault::RoundsTimes, "create::keeps_extreme_values"),
    (Fault::PagesByOffset, "reads::pages_of_licenses_are_stable"),
    (Fault::CountsWholeDays, "usage::a_report_counts_its_range"),
    (Fault::CountsSinglesOnly, "usage::old_usage_is_forgotten_in_batches"),
    (Fault::ForgetsTheTotals, "usage::forgetting_races_with_recording"),
    (Fault::ForgetsAllAtOnce, "usage::old_usage_is_forgotten_in_batches"),
    (Fault::RollsUpLate, "usage::rollups_equal_the_recount"),
    (Fault::WritesEventsBare, "execute::events_show_the_license"),
    (Fault::WritesTheEventLate, "order::events_are_there_with_their_change"),
    (Fault::DrawsPositionsEarly, "order::no_event_is_overtaken"),
    (Fault::ForgetsWhatItTold, "expiry::the_end_of_a_term_is_told_once"),
    (Fault::TellsALimitOncePerNode, "expiry::a_reached_limit_is_told_once_an_hour"),
    (Fault::TellsUnusualUsageAgain, "unusual::unusual_usage_is_told_once_a_day"),
    (Fault::ClaimsWithoutLease, "deliveries::racing_claims_get_each_delivery_once"),
    (Fault::SettlesForAnyToken, "deliveries::a_lease_holds_until_it_lapses"),
    (Fault::ImportsInTwoSteps, "transfer::racing_imports_keep_each_license_once"),
    (Fault::ImportsOverWhatIsThere, "transfer::what_is_there_is_left_as_it_is"),
    (Fault::ImportsWithoutCounters, "transfer::an_import_is_kept_as_it_is"),
    (Fault::AuditsWhatIsThere, "transfer::an_import_is_audited"),
    (Fault::WritesADryRun, "transfer::what_is_foreseen_is_not_written"),
    (Fault::ReadsSnapshotsAsTheyCome, "transfer::a_snapshot_is_of_one_moment"),
    (Fault::ImportsRollupsTwice, "transfer::rollups_are_kept_once"),
];

/// One handle on a broken store. Another handle has a mutex of its own, as another process would.
#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
    mutex: Mutex<()>,
    late: Arc<Mutex<Vec<Validation>>>,
    late_events: Mutex<Vec<Event>>,
    limit_told: Mutex<Option<DateTime<Utc>>>,
    figures: Mutex<HashMap<Binding, ActivationUsage>>,
    found: Mutex<Vec<(LicenseId, Binding)>>,
}

impl Broken {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.inner.data()
    }

    /// Lets others in.
    async fn gap(&self) {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }

    async fn in_two_steps(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        let view = self.data().view(id, command, context)?;
        let Decision { outcome, changes } = decide(view, command, context);
        self.gap().await;
        if let Some(changes) = changes {
            self.data().apply(id, &changes)?;
        }
        Ok(outcome)
    }
}

#[async_trait]
impl LicenseStore for Broken {
    async fn create(&self, new: &NewLicense) -> Result<Created, StoreError> {
        let mut new = new.clone();
        match self.fault {
            Fault::ChecksIdempotencyFirst => {
                if let Some(Idempotency { key, request }) = new.idempotency.take() {
                    let before = self.data().idempotency.get(key.as_str()).cloned();
                    if let Some((before, id)) = before {
                        return Ok(Created::again(&request, &before, id));
                    }
                    self.gap().await;
                    let id = new.license.id.clone();
                    self.data().idempotency.insert(key.as_str().to_owned(), (request, id));
                }
            }
            Fault::IgnoresTheRequest => {
                if let Some(idempotency) = &mut new.idempotency {
                    idempotency.request = [0; 32];
                }
            }
            Fault::RoundsTimes => {
                new.license.created_at = chrono::SubsecRound::trunc_subsecs(new.license.created_at, 0);
            }
            _ => {}
        }
        self.inner.create(&new).await
    }

    async fn created(&self, idempotency: &Idempotency) -> Result<Option<Created>, StoreError> {
        self.inner.created(idempotency).await
    }

    async fn execute(
        &self,
        id: &LicenseId,
        command: &Command,
        context: &CommandContext,
    ) -> Result<Outcome, StoreError> {
        match (self.fault, command) {
            (Fault::CheckThenAct, _) => self.in_two_steps(id, command, context).await,
            (Fault::InProcessMutexOnly, _) => {
                let _held = self.mutex.lock().await;
                self.in_two_steps(id, command, context).await
            }
            (Fault::ForgetsTheEvent, _) => {
                let mut data = self.data();
                let Decision { outcome, changes } =
                    decide(data.view(id, command, context)?, command, context);
                if let Some(mut changes) = changes {
                    changes.events = license_core::event::NewEvents::default();
                    data.apply(id, &changes)?;
                }
                Ok(outcome)
            }
            (Fault::IgnoresTheVersion, _) => {
                let context = CommandContext { expected_version: None, ..context.clone() };
                self.inner.execute(id, command, &context).await
            }
            (Fault::WritesCountersBack, _) => {
                let before = self.data().entry(id)?.counters;
                self.gap().await;
                let outcome = self.inner.execute(id, command, context).await?;
                self.data().entry_mut(id)?.counters = before;
                Ok(outcome)
            }
            (Fault::HalfClaims, Command::Activate(claim)) => {
                let device = Claim { domain: None, ..claim.clone() };
                self.inner.execute(id, &Command::Activate(device), context).await?;
                self.inner.execute(id, command, context).await
            }
            (Fault::OversellsByOne, Command::Activate(_)) => {
                let mut data = self.data();
                let mut view = data.view(id, command, context)?;
                view.license.devices_used = view.license.devices_used.saturating_sub(1);
                let Decision { outcome, changes } = decide(view, command, context);
                if let Some(changes) = changes {
                    data.apply(id, &changes)?;
                }
                Ok(outcome)
            }
            (Fault::ForgetsReleases, _) => {
                let mut data = self.data();
                let Decision { outcome, changes } =
                    decide(data.view(id, command, context)?, command, context);
                if let Some(mut changes) = changes {
                    changes.released.clear();
                    data.apply(id, &changes)?;
                }
                Ok(outcome)
            }
            (Fault::EvictsByAge, Command::Activate(_)) => self.evicting_by_age(id, command, context),
            (Fault::SweepsByOldFigures, Command::ReleaseIdle) => {
                self.sweeping_by_old_figures(id, command, context).await
            }
            (Fault::KeepsFiguresByName, _) => self.keeping_figures(id, command, context).await,
            (Fault::KeepsTheOldKey, Command::RotateKey { .. }) => {
                let before = self.data().entry(id)?.license.key_digest;
                let outcome = self.inner.execute(id, command, context).await;
                self.data().by_key.insert(before, id.clone());
                outcome
            }
            (Fault::WritesEventsBare, _) => {
                let before = self.data().entry(id)?.license.last_event;
                let outcome = self.inner.execute(id, command, context).await?;
                for (event, _) in self.data().outbox.events.values_mut() {
                    if event.license_id() == Some(id) && event.sequence > before {
                        event.data.as_object_mut().and_then(|data| data.remove("license"));
                    }
                }
                Ok(outcome)
            }
            (Fault::WritesTheEventLate, _) => self.with_events_late(id, command, context).await,
            (Fault::DrawsPositionsEarly, _) => self.with_position_drawn_early(id, command, context).await,
            _ => self.inner.execute(id, command, context).await,
        }
    }

    async fn record(&self, validations: &[Validation], batch: Option<BatchId>) -> Result<(), StoreError> {
        match self.fault {
            Fault::ForgetsTheBatch => self.inner.record(validations, None).await,
            Fault::CommitsTheCountLate => {
                let mut late = self.late.lock().await;
                self.inner.record(&late, None).await?;
                *late = validations.to_vec();
                Ok(())
            }
            Fault::CountsWithoutLock => {
                for validation in validations {
                    let before = self.data().entry(&validation.license_id)?.counters;
                    self.gap().await;
                    self.inner.record(std::slice::from_ref(validation), None).await?;
                    let valid = u64::from(validation.outcome == ValidationOutcome::Valid);
                    self.data().entry_mut(&validation.license_id)?.counters.validation_count =
                        before.validation_count + valid;
                }
                Ok(())
            }
            Fault::RefusesUnknownLicenses => {
                for validation in validations {
                    self.data().entry(&validation.license_id)?;
                }
                self.inner.record(validations, batch).await
            }
            _ => self.inner.record(validations, batch).await,
        }
    }

    async fn license(&self, id: &LicenseId) -> Result<Option<LicenseDetail>, StoreError> {
        self.inner.license(id).await
    }

    async fn license_by_key(
        &self,
        digest: &KeyDigest,
        claim: &Claim,
        now: DateTime<Utc>,
    ) -> Result<Option<Standing>, StoreError> {
        let Some(standing) = self.inner.license_by_key(digest, claim, now).await? else { return Ok(None) };
        let data = self.data();
        let all = |id: Option<&LicenseId>| {
            let entries = data.licenses.iter().filter(move |(other, _)| id.is_none_or(|id| *other == id));
            let bound = entries.flat_map(|(_, entry)| entry.of_kind(None));
            bound.map(|activation| activation.binding.clone()).collect::<Vec<_>>()
        };
        let license = standing.license();
        let bindings = match (self.fault, &claim.domain) {
            (Fault::MatchesSubstrings, Some(domain)) => {
                let ends_alike =
                    |bound: &Binding| domain.as_str().ends_with(bound.value().trim_start_matches("*."));
                let bound = all(Some(&license.id));
                if bound.iter().any(ends_alike) { vec![Binding::Domain(domain.clone())] } else { bound }
            }
            (Fault::MixesLicensesUp, _) => all(None),
            (Fault::ReadsAllBindings, _) => all(Some(&license.id)),
            (Fault::KeepsBindings, _) => {
                let now = all(Some(&license.id));
                let mut found = self.found.try_lock().expect("one caller");
                found.extend(now.into_iter().map(|bound| (license.id.clone(), bound)));
                found.iter().filter(|(id, _)| *id == license.id).map(|(_, bound)| bound.clone()).collect()
            }
            (Fault::ReadsTheClaimOnly, _) => {
                let mut bound = all(Some(&license.id));
                bound.retain(|bound| Held::of(claim, [bound]) != Held::default());
                bound
            }
            _ => return Ok(Some(standing)),
        };
        Ok(Some(Standing::new(Arc::new(license.clone()), bindings)))
    }

    async fn licenses(
        &self,
        filter: &LicenseFilter,
        now: DateTime<Utc>,
        page: &PageRequest<LicenseId>,
    ) -> Result<Page<LicenseDetail, LicenseId>, StoreError> {
        if self.fault == Fault::PagesByOffset {
            // The cursor names how many were read, as an id: what is added in front shifts the pages.
            let skip: usize = page.after.as_ref().map_or(0, |id| id.as_str()[4..].parse().expect("a number"));
            let all = self.data().licenses.values().rev().map(Entry::detail).skip(skip).collect::<Vec<_>>();
            let next = LicenseId::parse(&format!("lic_{}", skip + page.limit as usize)).expect("an id");
            return Ok(Page::from_one_more(all, page.limit, |_| next));
        }
        self.inner.licenses(filter, now, page).await
    }

    async fn activations(
        &self,
        id: &LicenseId,
        kind: Option<ActivationKind>,
        page: &PageRequest<ActivationId>,
    ) -> Result<Page<ActivationDetail, ActivationId>, StoreError> {
        self.inner.activations(id, kind, page).await
    }

    async fn idle<'a>(&self, query: &IdleQuery<'a>) -> Result<Vec<LicenseId>, StoreError> {
        self.inner.idle(query).await
    }

    async fn events(&self, id: &LicenseId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.inner.events(id, after, limit).await
    }

    async fn usage(&self, id: &LicenseId, query: &UsageQuery) -> Result<UsageReport, StoreError> {
        let mut query = query.clone();
        if self.fault == Fault::CountsWholeDays {
            query.from = query.from.map(|from| Day::of(from).start());
        }
        let report = self.inner.usage(id, &query).await?;
        if self.fault == Fault::CountsSinglesOnly {
            let mut tally = UsageTally::new(&query);
            let data = self.data();
            for recorded in &data.entry(id)?.validations {
                tally.add(&Rollup::of(&recorded.validation(id)));
            }
            return Ok(tally.report([]));
        }
        Ok(report)
    }

    async fn usage_of_all(&self, query: &UsageQuery) -> Result<UsageOverview, StoreError> {
        self.inner.usage_of_all(query).await
    }

    async fn rollups(
        &self,
        filter: &RollupFilter,
        page: &PageRequest<RollupKey>,
    ) -> Result<Page<Rollup, RollupKey>, StoreError> {
        let mut found = self.inner.rollups(filter, page).await?;
        if self.fault == Fault::RollsUpLate && found.next.is_none() {
            found.items.pop();
        }
        Ok(found)
    }

    async fn forget_usage(
        &self,
        retention: &UsageRetention,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let limit = if self.fault == Fault::ForgetsAllAtOnce { u32::MAX } else { limit };
        let forgotten = self.inner.forget_usage(retention, now, limit).await?;
        if self.fault == Fault::ForgetsTheTotals {
            self.data().usage.forget_totals();
        }
        Ok(forgotten)
    }

    async fn plans_in_use(&self) -> Result<Vec<String>, StoreError> {
        self.inner.plans_in_use().await
    }

    async fn keep_first(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        if self.fault == Fault::KeepsTheLast {
            self.data().kept.remove(name);
        }
        self.inner.keep_first(name, value).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    fn changes(&self) -> Box<dyn ChangeFeed> {
        self.inner.changes()
    }

    fn feed_state(&self) -> FeedState {
        self.inner.feed_state()
    }
}

struct BrokenHarness {
    fault: Fault,
    inner: MemoryStore,
    late: Arc<Mutex<Vec<Validation>>>,
}

impl BrokenHarness {
    fn handle(&self) -> Broken {
        Broken {
            inner: self.inner.clone(),
            fault: self.fault,
            mutex: Mutex::default(),
            late: Arc::clone(&self.late),
            late_events: Mutex::default(),
            limit_told: Mutex::default(),
            figures: Mutex::default(),
            found: Mutex::default(),
        }
    }
}

#[async_trait]
impl Harness for BrokenHarness {
    async fn open(&self) -> Arc<dyn LicenseStore> {
        Arc::new(self.handle())
    }

    fn hears_other_handles(&self) -> bool {
        true
    }
}

/// What a case says of a broken store, if it notices.
async fn complaint(fault: Fault, name: &str) -> Option<String> {
    let harness = BrokenHarness { fault, inner: MemoryStore::new(), late: Arc::default() };
    let result = if let Some(&(_, case)) = CASES.iter().find(|(case, _)| *case == name) {
        tokio::spawn(async move { case(&harness).await }).await
    } else if let Some(&(_, case)) = TRANSFER_CASES.iter().find(|(case, _)| *case == name) {
        tokio::spawn(async move { case(&harness).await }).await
    } else {
        let case = OUTBOX_CASES.iter().find(|(case, _)| *case == name);
        let &(_, case) = case.expect("a case of that name");
        tokio::spawn(async move { case(&harness).await }).await
    };
    let panic = result.err()?.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_broken_store_fails_at_the_named_case() {
    let mut caught = BTreeMap::new();
    for &(fault, case) in EXPECTED {
        // A race is lost by chance: on a busy machine callers may come one after the other once.
        let mut told = None;
        for _ in 0..20 {
            told = complaint(fault, case).await;
            if told.is_some() {
                break;
            }
        }
        caught.insert(fault, told.unwrap_or_else(|| panic!("{case} does not notice {fault:?}")));
    }
    // An author is told what broke, in figures.
    let told = &caught[&Fault::OversellsByOne];
    assert!(told.contains("24 of 24 racing claims won a 1-slot license"), "{told}");
    let told = &caught[&Fault::CommitsTheCountLate];
    assert!(told.contains("1 validations are acknowledged, 0 are counted"), "{told}");
}

#[test]
fn the_guide_names_each_fault_and_its_case() {
    let guide = include_str!("../../../docs/implementing-a-store.md");
    for (fault, case) in EXPECTED {
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{fault:?}` |")));
        assert!(row.is_some_and(|row| row.contains(&format!("`{case}`"))), "{fault:?} fails {case}: {row:?}");
    }
    for (case, _) in CASES.iter().filter(|(case, _)| case.starts_with("races::")) {
        let name = case.trim_start_matches("races::");
        assert!(guide.contains(name), "the guide does not say what {case} shows");
    }
}
