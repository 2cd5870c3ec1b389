//! SQL on trial claims.

statements! {
    TrialClaimStatements {
        // The condition tells SQLite that `ON CONFLICT` does not belong to a join.
        insert: format!(
            "INSERT INTO trial_claims (digest, license_id) SELECT {}, value ->> 1 FROM {} WHERE 1 = 1 \
             ON CONFLICT DO NOTHING RETURNING license_id",
            D::unhex("value ->> 0"),
            D::items(1)
        ),
        find: format!("SELECT digest, license_id FROM trial_claims WHERE {}", D::is_one_of_hex("digest", 1)),
        list: "SELECT digest, license_id FROM trial_claims WHERE digest > $1 ORDER BY digest LIMIT $2 + 0",
    }
}
