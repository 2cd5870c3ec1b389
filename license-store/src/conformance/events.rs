//! Cases for [`EventStore`](license_core::store::EventStore).

pub mod anomalies;
pub mod changes;
pub mod expiry;
pub mod limits;
pub mod positions;

cases! { $ event_store_tests EventStore events
    changes: new_license_has_its_events, rejected_create_has_no_events, events_are_numbered_without_gaps,
        change_commits_with_its_events, event_shows_license_after_change, license_events_start_after_a_number,
        eviction_is_announced_before_activation, idle_release_has_its_cause;
    positions: committed_change_has_its_events, positions_follow_event_numbers, reader_misses_no_event,
        racing_callers_assign_each_position_once, events_are_filtered_and_paged,
        acknowledged_position_only_moves_forward;
    expiry: expiry_is_announced_once, wrong_clock_does_not_suppress_the_real_end, renewed_license_has_no_expiry_event,
        inactive_and_perpetual_licenses_are_skipped, racing_sweeps_announce_once, renewal_races_with_sweep,
        sweep_is_announced_on_the_stream;
    limits: reached_limit_is_announced_once_an_hour;
    anomalies: anomaly_is_announced_once_a_day, racing_scans_announce_once;
}
