//! SQL on used idempotency keys.

statements! {
    UsedKeyStatements {
        insert:
            "INSERT INTO idempotency_keys (key, request, license_id, sequence, created_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING sequence",
        find: "SELECT request, license_id, sequence, created_at FROM idempotency_keys WHERE key = $1",
        prune:
            "DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys WHERE created_at < $1 \
             ORDER BY created_at LIMIT $2 + 0) RETURNING sequence",
    }
}
