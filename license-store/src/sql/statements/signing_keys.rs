//! SQL on signing keys.

statements! {
    SigningKeyStatements {
        revision: "SELECT revision FROM signing_key_set",
        /// Locks the signing keys: its holder changes them.
        lock: format!("SELECT revision FROM signing_key_set{}", D::FOR_UPDATE),
        set_revision: "UPDATE signing_key_set SET revision = $1",
        all: all,
        /// As `all`. Waits for leases that are being issued, because they change how long a key is kept.
        lock_all: format!("{all}{}", D::FOR_UPDATE),
        put:
            "INSERT INTO signing_keys (id, public_key, sealed_key, state, created_at, activated_at, replaced_at, \
             signed_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET \
             state = excluded.state, activated_at = excluded.activated_at, replaced_at = excluded.replaced_at, \
             signed_until = excluded.signed_until",
    } where {
        let all =
            "SELECT id, public_key, sealed_key, state, created_at, activated_at, replaced_at, signed_until \
             FROM signing_keys";
    }
}
