//! Cases for [`WebhookStore`](license_core::store::WebhookStore).

pub mod deliveries;
pub mod endpoints;
pub mod leases;
pub mod sweeps;

cases! { $ webhook_store_tests WebhookStore webhooks
    endpoints: every_endpoint_field_is_stored, number_of_endpoints_is_limited,
        deleted_endpoint_loses_its_deliveries, test_event_goes_to_its_endpoint_only,
        repeated_test_sends_one_event, endpoint_changes_are_audited;
    leases: lease_excludes_others_until_it_ends, racing_leases_get_each_delivery_once,
        first_attempts_follow_license_order, first_attempts_do_not_wait_for_the_clock,
        first_attempts_and_retries_take_turns, lease_of_a_wrong_clock_has_lapsed, retry_of_a_wrong_clock_is_due,
        endpoints_get_equal_shares, returned_delivery_is_due_at_once;
    deliveries: endpoints_receive_chosen_events, endpoint_leaves_out_events_of_jobs, attempts_are_stored, gone_endpoint_is_disabled_with_event,
        deliveries_can_be_replayed, waiting_deliveries_are_counted,
        pruning_keeps_undelivered_and_unread_events;
    sweeps: swept_events_are_delivered_in_order, sweeps_race_with_position_assignment,
        new_endpoint_receives_later_sweeps;
}
