//! Cases for [`ClockStore`](license_core::store::ClockStore).

pub mod heartbeat;

cases! { $ clock_store_tests ClockStore clock
    heartbeat: heartbeat_is_shared, racing_moves_have_one_winner, moved_heartbeat_is_audited;
}
