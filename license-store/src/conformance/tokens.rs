//! Cases for [`TokenStore`](license_core::store::TokenStore).

pub mod revocation;
pub mod store;

cases! { $ token_store_tests TokenStore tokens
    store: token_is_stored_unchanged, taken_token_is_rejected, tokens_are_listed_newest_first,
        last_use_only_moves_forward, token_changes_are_announced;
    revocation: revocation_is_final_and_audited_once, racing_revocations_are_audited_once;
}
