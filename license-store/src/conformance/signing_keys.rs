//! Cases for [`SigningKeyStore`](license_core::store::SigningKeyStore).

pub mod commands;

cases! { $ signing_key_store_tests SigningKeyStore signing_keys
    commands: every_field_of_a_signing_key_is_stored, racing_starts_agree_on_signing_keys,
        racing_rotations_are_all_made, signing_key_changes_are_audited_and_announced;
}
