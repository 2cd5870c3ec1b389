//! The flaws, and the case that must catch each.

/// Defines the flaws with their docs and the case that each must fail.
macro_rules! flaws {
    ($($(#[doc = $doc:literal])+ $name:ident => $case:literal,)+) => {
        /// What a mutant does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Flaw {
            $($(#[doc = $doc])+ $name,)+
        }

        /// The case that each flaw fails, by capability, group and name. It may fail others too.
        pub(super) const EXPECTED: &[(Flaw, &str)] = &[$((Flaw::$name, $case),)+];
    };
}

flaws! {
    /// Reads and decides, lets others run, then writes.
    CheckThenAct => "licenses::slots::devices_are_never_oversold_nor_undersold",
    /// Locks within its handle only. Another process has another lock.
    InProcessMutexOnly => "licenses::slots::domains_are_never_oversold_nor_undersold",
    /// Applies the changes of a command that a limit denies.
    OversellsByOne => "licenses::slots::devices_are_never_oversold_nor_undersold",
    /// Does not compare the expected version.
    IgnoresVersion => "licenses::execute::stale_version_is_denied",
    /// Claims the device first and the domain in a second step.
    ClaimsInTwoSteps => "licenses::execute::denied_command_writes_nothing",
    /// Removes activations from the count, not from the list.
    ForgetsReleases => "licenses::execute::released_slot_is_free",
    /// Keeps the old key after a rotation.
    KeepsOldKey => "licenses::execute::rotated_key_replaces_old_key",
    /// Counts validations with the next call.
    CommitsCountLate => "licenses::record::recorded_validation_is_counted_at_once",
    /// Rejects a batch with a validation of an unknown license.
    RejectsUnknownLicenses => "licenses::record::validation_of_unknown_license_is_ignored",
    /// Records a repeated batch again.
    ForgetsBatchNumber => "licenses::record::repeated_batch_is_counted_once",
    /// Reads the counter, lets others run, then writes it one higher.
    CountsWithoutLock => "licenses::races::concurrent_validations_are_all_counted",
    /// Writes back the counters that it read with the license.
    WritesCountersBack => "licenses::races::commands_and_validations_lose_no_count",
    /// Checks the idempotency key, lets others run, then creates.
    ChecksIdempotencyFirst => "licenses::races::one_create_per_idempotency_key_wins",
    /// Compares the idempotency key without the request.
    IgnoresRequestDigest => "licenses::create::reused_idempotency_key_is_a_conflict",
    /// Writes the change of a command without its idempotency key.
    ForgetsKeysOfCommands => "licenses::races::one_renewal_per_idempotency_key_wins",
    /// Rounds times to whole seconds.
    RoundsTimes => "licenses::create::extreme_values_are_stored",
    /// Evicts the oldest device, whenever it was seen.
    EvictsByAge => "licenses::evictions::new_device_evicts_least_recently_seen",
    /// Releases idle devices by last-seen times from before the lock.
    ReleasesByStaleLastSeen => "licenses::evictions::idle_release_races_with_validations",
    /// Keeps the last-seen data of a released device for the next one with its name.
    KeepsLastSeenByName => "activations::lists::last_seen_counts_valid_validations",
    /// Matches domains by suffix, as text.
    MatchesSubstrings => "licenses::keys::claim_is_matched_against_bindings",
    /// Reads only the bindings of the claim, also if the license has all inline.
    ReadsClaimBindingsOnly => "licenses::keys::inline_bindings_are_complete",
    /// Reads all bindings, also of a large license.
    ReadsAllBindings => "licenses::keys::inline_bindings_are_complete",
    /// Returns bindings that were released.
    KeepsReleasedBindings => "licenses::keys::released_binding_is_not_held",
    /// Looks up a claim among the activations of all licenses.
    MixesLicenses => "licenses::keys::bindings_of_other_licenses_are_not_held",
    /// Pages by offset.
    PagesByOffset => "licenses::lists::license_pages_are_stable",
    /// Overwrites a setting.
    KeepsLastValue => "licenses::settings::first_value_is_kept",
    /// Extends a range to whole days.
    CountsWholeDays => "usage::reports::report_counts_its_range",
    /// Counts only the validations that are still in the history.
    CountsHistoryOnly => "usage::retention::old_usage_is_pruned_in_batches",
    /// Deletes rollups with their totals.
    ForgetsTotals => "usage::retention::pruning_races_with_recording",
    /// Deletes all old data in one commit.
    PrunesAllAtOnce => "usage::retention::old_usage_is_pruned_in_batches",
    /// Lists rollups without the last one.
    RollsUpLate => "usage::rollups::rollups_and_reports_equal_a_recount",
    /// Writes the change without its events.
    ForgetsEvents => "events::changes::change_commits_with_its_events",
    /// Writes events without their license.
    WritesEventsWithoutLicense => "events::changes::event_shows_license_after_change",
    /// Writes events with the next call.
    WritesEventsLate => "events::positions::committed_change_has_its_events",
    /// Draws positions before the commit.
    DrawsPositionsEarly => "events::positions::reader_misses_no_event",
    /// Does not store that an expiry was announced.
    ForgetsExpiryNotices => "events::expiry::expiry_is_announced_once",
    /// Remembers announced limits in its handle only.
    AnnouncesLimitPerNode => "events::limits::reached_limit_is_announced_once_an_hour",
    /// Does not store that an anomaly was announced.
    RepeatsAnomalies => "events::anomalies::anomaly_is_announced_once_a_day",
    /// Returns due deliveries and leaves them due.
    LeasesForNoTime => "webhooks::leases::racing_leases_get_each_delivery_once",
    /// Settles a delivery for any token.
    SettlesForAnyToken => "webhooks::leases::lease_excludes_others_until_it_ends",
    /// Writes changes of endpoints without their audit entries.
    ForgetsAuditOfEndpoints => "webhooks::endpoints::endpoint_changes_are_audited",
    /// Does not store which customer a license belonged to before.
    ForgetsFormerCustomers => "audit::erasure::former_customer_is_erased_without_audit",
    /// Reads which licenses exist, lets others run, then stores the rest.
    ImportsInTwoSteps => "transfer::imports::racing_imports_store_each_license_once",
    /// Replaces an existing license by the imported one.
    ImportsOverExisting => "transfer::imports::existing_license_is_not_changed",
    /// Imports licenses without their counters.
    ImportsWithoutCounters => "transfer::imports::imported_license_is_stored_unchanged",
    /// Audits existing licenses as imported.
    AuditsExisting => "transfer::imports::import_is_audited",
    /// Stores the licenses of a dry run.
    WritesDryRuns => "transfer::imports::dry_run_writes_nothing",
    /// Reads each page of a snapshot as of its own time.
    ReadsLiveSnapshots => "transfer::snapshots::snapshot_is_of_one_moment",
    /// Stores the last outcome of a license in a bulk job, not the first.
    OverwritesOutcomes => "bulk_jobs::jobs::first_outcome_is_kept",
    /// Moves the heartbeat of the clock without comparing it.
    MovesHeartbeatBlindly => "clock::heartbeat::racing_moves_have_one_winner",
    /// Starts the term again with each activation.
    RestartsTerms => "licenses::terms::first_use_starts_the_term_once",
    /// Does not store the day of the first term.
    ForgetsAnchorDay => "licenses::terms::renewals_keep_the_anchor_day",
    /// Adds an imported rollup to the existing one.
    ImportsRollupsTwice => "transfer::rollups::rollups_are_imported_once",
    /// Looks up the external id, lets others run, then creates.
    ChecksExternalIdFirst => "search::external_ids::racing_callers_share_no_external_id",
    /// Counts the licenses of the page as the total.
    CountsThePage => "search::many::many_licenses_are_counted_and_found",
    /// Compares only the id with the cursor, whatever the order.
    PagesByIdOnly => "search::finds::pages_follow_the_order_of_the_sort",
    /// Decides on the domain and the device of a claim only.
    DropsProductOfClaims => "licenses::claims::claim_for_another_product_takes_no_slot",
    /// Writes the change of a command without its grants.
    ForgetsGrants => "licenses::grants::grants_are_stored_in_order",
    /// Stores each license of a batch in a commit of its own.
    CreatesOneByOne => "licenses::create::batch_is_stored_whole_or_not_at_all",
    /// Does not store which domains and devices are blocked.
    ForgetsBlocks => "licenses::blocks::blocked_name_is_denied_on_every_handle",
    /// Reads the catalog and decides, lets others run, then writes.
    ChangesCatalogInTwoSteps => "catalog::races::racing_plan_changes_are_all_made",
    /// Replaces the terms of a plan instead of adding a version.
    ReplacesPlanVersions => "catalog::commands::every_catalog_field_is_stored",
    /// Writes changes of the catalog without their audit entries.
    ForgetsAuditOfCatalog => "catalog::commands::catalog_changes_are_audited",
    /// Counts the licenses of a search, lets others run, then creates a job with those that match by then.
    CountsJobLicensesFirst => "bulk_jobs::searches::racing_jobs_have_the_expected_number",
    /// Completes the job of a plan without a look for licenses that were sold meanwhile.
    ForgetsLateSales => "bulk_jobs::plans::plan_job_finds_licenses_sold_meanwhile",
    /// Does not store that an endpoint leaves out events of jobs.
    ForgetsSkippedEvents => "webhooks::deliveries::endpoint_leaves_out_events_of_jobs",
    /// Erases a customer without the reasons of jobs.
    KeepsReasonsOfJobs => "audit::erasure::reasons_of_jobs_are_erased",
    /// Creates licenses without their trial claims.
    ForgetsTrialsOfCreates => "licenses::trials::trial_is_issued_once_per_customer",
    /// Writes the change of a command without its trial claims.
    ForgetsTrialsOfCommands => "licenses::trials::trial_is_activated_once_per_device",
    /// Looks up the trial claims of new licenses, lets others run, then creates.
    ChecksTrialsFirst => "licenses::trials::racing_creates_get_one_trial",
    /// Reads the trial claims of a command, lets others run, then decides and writes.
    ReadsTrialsEarly => "licenses::trials::racing_licenses_share_no_trial",
    /// Replaces the license of a trial claim by that of an imported one.
    ImportsTrialsOverExisting => "transfer::trial_claims::trial_claims_are_imported_once",
    /// Reads the signing keys and decides, lets others run, then writes.
    ChangesSigningKeysInTwoSteps => "signing_keys::commands::racing_rotations_are_all_made",
    /// Writes changes of the signing keys without their audit entries.
    ForgetsAuditOfSigningKeys => "signing_keys::commands::signing_key_changes_are_audited_and_announced",
    /// Adds leases without holding the slots of their devices.
    ForgetsHolds => "leases::races::leases_and_devices_never_exceed_the_limit",
    /// Rotates a key without freeing slots.
    KeepsSlotsOfLeakedKeys => "leases::races::rotation_recovers_from_a_hostile_holder",
    /// Issues leases without looking at their signing keys.
    IgnoresSigningKeys => "leases::commands::lease_needs_the_active_signing_key",
    /// Frees slots without ending their leases.
    ForgetsEndsOfLeases => "leases::lists::revoked_leases_are_listed_until_they_end",
    /// Checks the signing key of a lease, lets others run, then writes.
    ChecksSigningKeyFirst => "leases::races::signing_keys_outlive_their_leases",
    /// Lists revoked leases without those of suspended and revoked licenses.
    ListsEndedLeasesOnly => "leases::lists::revoked_leases_are_listed_until_they_end",
    /// Replaces a setting without comparing its value.
    ReplacesSettingsBlindly => "transfer::settings::racing_replacements_have_one_winner",
    /// Imports licenses without their leases.
    ForgetsImportedLeases => "transfer::imports::imported_license_is_stored_unchanged",
    /// Looks up a link, lets others run, then uses it up and opens the session.
    ChecksLinksFirst => "tokens::sessions::racing_callers_open_one_session",
    /// Looks up the token of a session, lets others run, then opens the session.
    ChecksParentsFirst => "tokens::sessions::racing_revocation_leaves_no_session",
    /// Revokes a token without its sessions and links.
    KeepsSessionsOfRevokedTokens => "tokens::sessions::sessions_end_with_their_token",
    /// Opens a session without using up the link.
    KeepsUsedLinks => "tokens::sessions::link_opens_one_session",
    /// Lists the licenses of a job that wait for the action as refused.
    ListsOpenLicensesAsRefused => "bulk_jobs::lists::refused_licenses_are_listed_with_their_outcome",
}
