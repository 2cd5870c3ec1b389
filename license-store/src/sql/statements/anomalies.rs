//! SQL of the anomaly scan, and of the times when throttled events were last written.

statements! {
    AnomalyStatements {
        /// When an event of the kind `$2` was last written for the license `$1`.
        last_written: "SELECT at FROM event_throttles WHERE license_id = $1 AND kind = $2",
        set_last_written:
            "INSERT INTO event_throttles (license_id, kind, at) VALUES ($1, $2, $3) \
             ON CONFLICT (license_id, kind) DO UPDATE SET at = excluded.at",
        watched_plans: "SELECT plan FROM watched_plans ORDER BY plan",
        watch: format!(
            "INSERT INTO watched_plans (plan) SELECT value ->> 0 FROM {} WHERE 1 = 1 ON CONFLICT DO NOTHING",
            D::items(1)
        ),
        unwatch: format!("DELETE FROM watched_plans WHERE {}", D::is_one_of("plan", 1)),
        candidates: "SELECT license_id, day FROM anomaly_candidates ORDER BY license_id, day LIMIT $1 + 0",
        remove_candidate: "DELETE FROM anomaly_candidates WHERE license_id = $1 AND day = $2",
        daily_counts:
            "SELECT COUNT(DISTINCT CASE WHEN country <> '' THEN country END) AS countries, \
             COUNT(DISTINCT CASE WHEN device <> '' THEN device END) AS devices \
             FROM rollups WHERE day = $2 AND license_id = $1 AND outcome = 'VALID'",
    }
}
