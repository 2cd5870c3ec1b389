//! Steps of the system clock: the server runs with libfaketime, on SQLite and on PostgreSQL.
//!
//! Without libfaketime, the tests print a warning and pass. With `LICENSE_REQUIRE_FAKETIME=1` they fail.

#[path = "clock/fake_clock.rs"]
mod fake_clock;
#[path = "clock/jobs.rs"]
mod jobs;
#[path = "clock/receiver.rs"]
mod receiver;
#[path = "clock/webhooks.rs"]
mod webhooks;

use fake_clock::{Lab, until, warnings};

/// Makes a test of each check on SQLite and on PostgreSQL.
macro_rules! on_each_database {
    ($($(#[doc = $doc:literal])* $name:ident: $group:ident::$check:ident;)+) => {
        mod sqlite {
            $($(#[doc = $doc])* #[test]
            fn $name() {
                let Some(lab) = super::Lab::on_sqlite() else { return };
                super::$group::$check(&lab);
            })+
        }
        mod postgres {
            $($(#[doc = $doc])* #[tokio::test]
            async fn $name() {
                let Some(lab) = super::Lab::on_postgres().await else { return };
                super::$group::$check(&lab);
            })+
        }
    };
}

on_each_database! {
    clock_far_ahead_deletes_nothing: jobs::far_ahead;
    clock_far_ahead_deletes_nothing_with_validations: jobs::far_ahead_with_validations;
    accepted_clock_resumes_jobs: jobs::accepted;
    database_of_a_wrong_clock_needs_one_acceptance: jobs::created_in_the_past;
    real_end_is_announced_after_a_wrong_clock: jobs::expired_too_early;
    events_keep_their_order_when_the_clock_steps_back: webhooks::step_back;
    delivery_leased_a_year_ahead_is_sent: webhooks::leased_ahead;
    jump_of_the_clock_does_not_disable_an_endpoint: webhooks::jump_between_failures;
}

/// Two nodes on one database, of which one has a wrong clock.
#[tokio::test]
async fn node_with_wrong_clock_pauses_alone() {
    let Some(lab) = Lab::on_postgres().await else { return };
    let good = lab.start(&[]);
    lab.set("+1500d");
    let bad = lab.start(&[]);
    until("the bad node pauses", || warnings(&bad) == ["clock_implausible"]);
    // The good node reads its time from a file of its own.
    assert!(warnings(&good).is_empty());
}
