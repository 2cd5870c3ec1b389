//! Cases for [`TokenStore`](license_core::store::TokenStore).

pub mod revocation;
pub mod store;

use super::Case;

/// Makes a test of each case for [`TokenStore`](license_core::store::TokenStore).
#[macro_export]
macro_rules! token_store_tests {
    ($($mode:tt)+) => {
        $crate::conformance_cases! {
            [$($mode)+] tokens
            store: token_is_stored_unchanged, taken_token_is_rejected, tokens_are_listed_newest_first,
                last_use_only_moves_forward, token_changes_are_announced;
            revocation: revocation_is_final_and_audited_once, racing_revocations_are_audited_once;
        }
    };
}

/// Every case with its name, `tokens::group::case`.
pub const CASES: &[(&str, Case)] = crate::token_store_tests!(@list);
