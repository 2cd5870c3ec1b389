//! Cases for [`AuditStore`](license_core::store::AuditStore).

pub mod entries;
pub mod erasure;

cases! { $ audit_store_tests AuditStore audit
    entries: changes_are_audited_with_actor, unattributed_or_denied_commands_are_not_audited,
        repeated_request_is_not_audited, entries_are_filtered_and_paged, old_entries_are_pruned_in_batches,
        action_without_change_is_audited;
    erasure: customer_is_erased_from_audit_and_events, former_customer_is_erased_without_audit,
        answers_of_receivers_are_erased, reasons_of_jobs_are_erased;
}
