//! Cases for [`TokenStore`](license_core::store::TokenStore).

pub mod revocation;
pub mod sessions;
pub mod store;

cases! { $ token_store_tests TokenStore tokens
    store: token_is_stored_unchanged, taken_token_is_rejected, tokens_are_listed_newest_first,
        last_use_only_moves_forward, token_changes_are_announced;
    revocation: revocation_is_final_and_audited_once, racing_revocations_are_audited_once;
    sessions: link_and_session_are_stored_unchanged, link_opens_one_session, unusable_opener_opens_nothing,
        taken_session_is_rejected, sessions_end_with_their_token, ended_session_leaves_its_token,
        racing_callers_open_one_session, racing_revocation_leaves_no_session, session_changes_are_announced,
        old_sessions_are_deleted;
}
