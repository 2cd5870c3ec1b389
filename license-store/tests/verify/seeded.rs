//! Faults to seed, and the checks that find them.

/// A fault: its SQL, the checks that find it, and a part of the message of the first one.
pub(crate) type Seeded = (&'static str, &'static [&'static str], &'static str);

pub(crate) const FAULTS: &[Seeded] = &[
    ("UPDATE licenses SET devices_used = 5", &["slots"], "devices_used is 5, but it has 1 devices"),
    (
        "UPDATE licenses SET domains_used = 0",
        &["slots", "derived_columns"],
        "domains_used is 0, but it has 1 domains",
    ),
    ("UPDATE licenses SET ends_at = 5", &["derived_columns"], "ends_at is not its expires_at"),
    ("UPDATE licenses SET at_limit = 1 - at_limit", &["derived_columns"], "at_limit is not whether"),
    ("UPDATE licenses SET customer_domain = NULL", &["derived_columns"], "customer_domain is not the host"),
    ("UPDATE activations SET plan = 'other@1'", &["derived_columns"], "is not that of the license"),
    (
        "INSERT INTO license_counters (license_id, validation_count) VALUES ('lic_none', 3)",
        &["licenses_exist"],
        "lic_none: license_counters has rows of it, but there is no such license",
    ),
    (
        "INSERT INTO activations (license_id, kind, value, id, created_at, last_seen_at, last_seen_day, validations, \
         is_returned) VALUES ('lic_none', 'domain', 'a.com', 'act_none1', 0, 0, 0, 0, 0)",
        &["licenses_exist"],
        "lic_none: activations has rows of it",
    ),
    ("UPDATE licenses SET plan_version = 9", &["plans", "derived_columns"], "has no version 9"),
    (
        "UPDATE plan_versions SET version = 2 WHERE plan = 'enterprise'",
        &["plans"],
        "enterprise: a version of the plan is missing",
    ),
    (
        "INSERT INTO leases (license_id, id, device_id, issued_at, expires_at, signing_key, claims, is_renewal) \
         SELECT MIN(id), 'lse_1', 'act_1', 0, 9000000000000000, 'key', '{}', 0 FROM licenses",
        &["leases", "open_leases"],
        "lse_1: it ends after the leased_until of its license",
    ),
    ("UPDATE rollups SET count = count + 1", &["history", "counters"], "but rollups count"),
    ("DELETE FROM rollups", &["history"], "validations that no rollup counts"),
    ("DELETE FROM validations", &["history"], "it has 0 validations with outcome VALID, but rollups count 2"),
    (
        "UPDATE license_counters SET validation_count = 1",
        &["counters"],
        "validation_count is 1, but rollups count 2",
    ),
    ("DELETE FROM license_counters", &["counters"], "validation_count is 0, but rollups count 2"),
    (
        "UPDATE license_counters SET last_validated_day = 7",
        &["counters"],
        "is not the day of last_validated_at",
    ),
    (
        "DELETE FROM events WHERE event_type = 'license.activated'",
        &["events", "deliveries"],
        "were pruned or not imported",
    ),
    ("DELETE FROM absent_events", &["events"], "0 were pruned or not imported"),
    (
        "INSERT INTO events (license_id, sequence, event_type, at, data) SELECT MIN(id), 99, 'license.renewed', 0, '{}' FROM licenses",
        &["events"],
        "event 99 is past its last_event",
    ),
    (
        "INSERT INTO events (license_id, sequence, event_type, at, data) VALUES ('lic_none', 1, 'license.renewed', 0, '{}')",
        &["events"],
        "lic_none: event 1 belongs to no license",
    ),
    (
        "UPDATE position_counter SET last_position = 1",
        &["positions"],
        "is not one of those that were assigned",
    ),
    (
        "UPDATE events SET position = CASE WHEN position = (SELECT last_position FROM position_counter) THEN -position \
         ELSE position END",
        &["positions", "deliveries"],
        "is not one of those that were assigned",
    ),
    ("DELETE FROM endpoints", &["deliveries"], "has no endpoint"),
    (
        "INSERT INTO tokens (id, digest, name, scopes, created_at, kind, parent_id) \
         SELECT 'tok_2', key_digest, 'session', '', 0, 'session', 'tok_none' FROM licenses ORDER BY id LIMIT 1",
        &["sessions"],
        "tok_2: its token tok_none does not exist",
    ),
    (
        "INSERT INTO tokens (id, digest, name, scopes, created_at, kind, revoked_at, parent_id) \
         SELECT 'tok_3', key_digest, 'token', '', 0, 'token', 5, NULL FROM licenses WHERE id = (SELECT MIN(id) FROM licenses) \
         UNION ALL SELECT 'tok_4', key_digest, 'session', '', 0, 'session', NULL, 'tok_3' FROM licenses \
         WHERE id = (SELECT MAX(id) FROM licenses)",
        &["sessions"],
        "tok_4: it is not revoked, but its token tok_3 is",
    ),
    (
        "INSERT INTO idempotency_keys (key, request, license_id, sequence, created_at) \
         SELECT key_digest, key_digest, id, 77, 0 FROM licenses",
        &["idempotency_keys"],
        "an idempotency key names its event 77, which does not exist",
    ),
    (
        "INSERT INTO bulk_job_licenses (job_id, license_id) VALUES ('job_none', 'lic_none')",
        &["bulk_jobs"],
        "job_none: it has licenses, but there is no such job",
    ),
    ("UPDATE signing_keys SET state = 'active'", &["signing_keys"], "another signing key is active too"),
    ("DELETE FROM clock", &["single_rows"], "clock: it has 0 rows instead of one"),
    (
        "UPDATE licenses SET sealed_key = (SELECT sealed_key FROM licenses ORDER BY id LIMIT 1)",
        &["keys"],
        "lic_",
    ),
    ("UPDATE licenses SET metadata = '{'", &["rows", "metadata"], "licenses.metadata cannot be read: "),
    ("UPDATE licenses SET state = 'asleep'", &["rows", "metadata"], "asleep"),
    (
        "UPDATE activations SET id = 'nonsense' WHERE kind = 'device'",
        &["rows"],
        "activations.id cannot be read: ",
    ),
    (
        "DELETE FROM license_metadata",
        &["metadata"],
        "it has 0 rows, but the metadata of the licenses has 2 texts",
    ),
    ("DELETE FROM settings", &["secret"], "the database has no data keys"),
    (
        "UPDATE license_migrations SET version = 99",
        &["schema"],
        "has schema 99, but this version knows schemas up to",
    ),
    ("UPDATE license_migrations SET version = 0", &["schema"], "start it once to migrate the database"),
    ("DROP TABLE license_migrations", &["schema"], "it has no tables of license-server"),
];
