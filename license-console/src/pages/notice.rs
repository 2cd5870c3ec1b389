//! What the last form did, as the page after it says.

use crate::action::Action;

/// Returns the text for a value of `done` in the URL of the list of tokens.
pub(super) fn of_token(done: &str) -> Option<&'static str> {
    match done {
        "revoke" => Some("The token is revoked, and its sessions have ended."),
        "end" => Some("It has ended."),
        _ => None,
    }
}

/// Returns the text for a value of `done` in the URL of a webhook, of its deliveries and of their list.
pub(super) fn of_webhook(done: &str) -> Option<&'static str> {
    match done {
        "edit" => Some("The webhook is changed."),
        "enable" => Some("The webhook is enabled."),
        "disable" => Some("The webhook is disabled."),
        "delete" => Some("The webhook is deleted."),
        "test" => Some("A test is sent. Load this page again to see the answer."),
        "replay-since" => Some("The events are sent again."),
        "replay" => Some("The event is sent again. Load this page again to see the answer."),
        _ => None,
    }
}

/// Returns the text for a value of `done` in the URL of the signing keys.
pub(super) fn of_signing_key(done: &str) -> Option<&'static str> {
    match done {
        "rotate" => Some("The next key is active."),
        "revoke" => Some("The key is revoked."),
        _ => None,
    }
}

/// Returns the text for a value of `done` in the URL of the time zone.
pub(super) fn of_time_zone(done: &str) -> Option<&'static str> {
    (done == "zone").then_some("The time zone is changed.")
}

/// Returns the text for a value of `done` in the URL of a plan.
pub(super) fn of_plan(done: &str) -> Option<&'static str> {
    match done {
        "edit" => Some("The plan is changed. Sold licenses keep their version."),
        "edit-all" => Some("The plan is changed. A job moves its licenses to the new version."),
        "archive" => Some("The plan is archived."),
        "unarchive" => Some("The plan is sold again."),
        "create" => Some("The plan is created."),
        "create-product" => Some("The product is created."),
        "edit-product" => Some("The product is changed."),
        "delete-product" => Some("The product is deleted."),
        _ => None,
    }
}

/// Returns the text for a value of `done` in the URL of a license.
pub(super) fn of_license(done: &str) -> Option<&'static str> {
    match done {
        "released" => Some("The slot is released."),
        "edit" => Some("The license is changed."),
        "rotate-key" => Some("The license has a new key. The old key is unknown from now on."),
        "grant" => Some("The feature is granted."),
        "grant-removed" => Some("The grant is removed."),
        "block" => Some("It is blocked."),
        "erase" => Some("The customer is erased."),
        "unblock" => Some("The block is removed."),
        done => Action::parse(done).map(Action::done),
    }
}
