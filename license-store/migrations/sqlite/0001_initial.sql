-- Times are microseconds since 1970-01-01T00:00:00Z; days are counted from that date. NULL as a limit or an
-- expiry means none.

CREATE TABLE licenses (
    id              TEXT    NOT NULL PRIMARY KEY,
    key_digest      BLOB    NOT NULL UNIQUE,
    sealed_key      BLOB    NOT NULL,
    state           TEXT    NOT NULL,
    product         TEXT    NOT NULL,
    plan            TEXT    NOT NULL,
    customer_email  TEXT,
    max_domains     INTEGER,
    max_devices     INTEGER,
    domains_used    INTEGER NOT NULL,
    devices_used    INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    activated_at    INTEGER,
    expires_at      INTEGER,
    metadata        TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    last_event      INTEGER NOT NULL,
    -- The last event about the end of the term: days before the end (0 is license.expired, 65535 none), and when
    -- it was written.
    expiry_notice_days INTEGER NOT NULL,
    expiry_notice_at   INTEGER,
    customer_name   TEXT,
    external_id     TEXT,
    -- The host of `customer_email`.
    customer_domain TEXT,
    -- 1 if slots of a kind are in use and none is free, otherwise 0.
    at_limit        INTEGER NOT NULL,
    -- `expires_at`, or the largest number if the license never expires.
    ends_at         INTEGER NOT NULL,
    anchor_day      INTEGER,
    term_starts     TEXT    NOT NULL,
    -- NULL while the term waits for the first use.
    term_started_at INTEGER,
    updates_until   INTEGER,
    -- A JSON list of grants.
    grants          TEXT    NOT NULL DEFAULT '[]',
    state_reason    TEXT,
    -- The blocked domains and devices, a bounded JSON array, so that every read of a license has them.
    blocks          TEXT    NOT NULL DEFAULT '[]',
    -- The version of the plan, and a JSON array of the limits that are not those of the plan.
    plan_version    INTEGER NOT NULL,
    overrides       TEXT    NOT NULL,
    -- No lease is valid after this time.
    leased_until    INTEGER
) STRICT;

CREATE INDEX licenses_by_product ON licenses (product, id);
CREATE INDEX licenses_by_plan ON licenses (plan, id);
CREATE INDEX licenses_by_customer ON licenses (customer_email, id);
CREATE INDEX licenses_by_state ON licenses (state, id);
CREATE INDEX licenses_by_expiry ON licenses (expiry_notice_days, expires_at)
    WHERE state = 'active' AND expires_at IS NOT NULL AND expiry_notice_days > 0;
CREATE INDEX licenses_by_notice ON licenses (expiry_notice_at) WHERE expiry_notice_at IS NOT NULL;
-- For searches.
CREATE UNIQUE INDEX licenses_by_external_id ON licenses (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX licenses_by_customer_domain ON licenses (customer_domain, id) WHERE customer_domain IS NOT NULL;
CREATE INDEX licenses_by_end ON licenses (ends_at, id, state);
-- Parts of 30 days, which have the newest licenses of each.
CREATE INDEX licenses_by_end_part ON licenses ((ends_at / 2592000000000), id, ends_at, state);
CREATE INDEX licenses_never_activated ON licenses (id) WHERE activated_at IS NULL;
CREATE INDEX licenses_activated ON licenses (id) WHERE activated_at IS NOT NULL;
CREATE INDEX licenses_by_limit ON licenses (at_limit, id);
-- For jobs that move the licenses of a plan to its current version.
CREATE INDEX licenses_by_version ON licenses (plan, plan_version) WHERE state <> 'revoked';

-- `last_seen_at` is the time of the last valid answer, or of the activation if there was none. The indexes
-- have its day, `last_seen_day`, so that they change at most once a day. `plan` is the plan and its version, as in pro@3;
-- NULL if the license is revoked, whose devices are never idle.
CREATE TABLE activations (
    license_id    TEXT    NOT NULL REFERENCES licenses (id),
    kind          TEXT    NOT NULL,
    value         TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    label         TEXT,
    plan          TEXT,
    first_seen_at INTEGER,
    last_seen_at  INTEGER NOT NULL,
    last_seen_day INTEGER NOT NULL,
    validations   INTEGER NOT NULL,
    country       TEXT,
    -- Leases hold the slot until this time. If they were handed back, the slot is freed then.
    held_until    INTEGER,
    is_returned   INTEGER NOT NULL,
    PRIMARY KEY (license_id, kind, value)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX activations_by_id ON activations (license_id, kind, id);
CREATE INDEX activations_by_last_seen ON activations (license_id, last_seen_day) WHERE kind = 'device';
CREATE INDEX activations_idle ON activations (plan, last_seen_day) WHERE kind = 'device' AND plan IS NOT NULL;
CREATE INDEX activations_by_value ON activations (kind, value, license_id);

-- Without statistics the planner expects ten activations of a license and scans them. These say that there
-- are many.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('activations', 'activations', '100000000 100000 50000 1'),
    ('activations', 'activations_by_id', '100000000 100000 50000 1'),
    ('activations', 'activations_by_last_seen', '50000000 50000 100'),
    ('activations', 'activations_idle', '50000000 1000000 10000'),
    ('activations', 'activations_by_value', '100000000 50000000 1000 10');

-- Separate from `licenses`, so that compaction rewrites narrow rows.
CREATE TABLE license_counters (
    license_id        TEXT    NOT NULL PRIMARY KEY,
    validation_count  INTEGER NOT NULL,
    last_validated_at INTEGER,
    last_validated_day INTEGER
) STRICT, WITHOUT ROWID;

-- Changes at most once a day for a license.
CREATE INDEX license_counters_by_day ON license_counters (last_validated_day, license_id);

-- Keyed digests of used idempotency keys, with the first event that the request caused. `license_id` and
-- `sequence` are as in `events`.
CREATE TABLE idempotency_keys (
    key        BLOB    NOT NULL PRIMARY KEY,
    request    BLOB    NOT NULL,
    license_id TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- Customers that a license no longer belongs to, until the change at `until`. An erasure finds its licenses
-- here.
CREATE TABLE former_customers (
    customer_email TEXT    NOT NULL,
    license_id     TEXT    NOT NULL,
    until          INTEGER NOT NULL,
    PRIMARY KEY (customer_email, license_id)
) STRICT, WITHOUT ROWID;

-- Trials that were used: the keyed digest of a product and a device or a customer, and the license of the trial.
-- Nothing deletes them.
CREATE TABLE trial_claims (
    digest     BLOB NOT NULL PRIMARY KEY,
    license_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Short texts of the metadata, for searches.
CREATE TABLE license_metadata (
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    license_id TEXT NOT NULL,
    PRIMARY KEY (name, value, license_id)
) STRICT, WITHOUT ROWID;

-- One row: the time at which a node last had a plausible clock. NULL in a new database.
CREATE TABLE clock (
    heartbeat INTEGER
) STRICT;

INSERT INTO clock VALUES (NULL);

-- Settings on which all nodes must agree.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The number of the last batch of each writer, so that no batch is recorded twice. `at` is the time of its
-- latest validation.
CREATE TABLE writers (
    id         BLOB    NOT NULL PRIMARY KEY,
    last_batch INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Validations that wait to be compacted, one row per batch. `at` is the time of the earliest one. `entries`
-- is a JSON array of [license, time, outcome, domain, device], followed by [country, region, client,
-- wildcard] if one of them is known.
CREATE TABLE journal (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    entries TEXT    NOT NULL
) STRICT;

-- Rows of the journal that could not be read, with the reason.
CREATE TABLE journal_rejected (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    entries TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;

-- One row. The journal rows `first` to `last` are being compacted in the order of license and sequence;
-- validations up to (after_license, after_sequence) are done. `last` is 0 if no rows are being compacted.
CREATE TABLE compaction (
    first          INTEGER NOT NULL,
    last           INTEGER NOT NULL,
    after_license  TEXT    NOT NULL,
    after_sequence INTEGER NOT NULL
) STRICT;

INSERT INTO compaction VALUES (0, 0, '', 0);

-- The history. The day comes first in the key: compaction writes at one end, and retention deletes a range at
-- the other.
CREATE TABLE validations (
    day        INTEGER NOT NULL,
    license_id TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    domain     TEXT,
    device     TEXT,
    country    TEXT,
    region     TEXT,
    client     TEXT,
    -- The wildcard that covered the domain; NULL if an activation has the exact name.
    covered_by TEXT,
    PRIMARY KEY (day, license_id, at, sequence)
) STRICT, WITHOUT ROWID;

-- Lists the latest validations of all licenses.
CREATE INDEX validations_by_time ON validations (at, sequence);

-- Sums of validations with equal values; an unknown value is empty. The day comes first, as in `validations`.
CREATE TABLE rollups (
    day        INTEGER NOT NULL,
    license_id TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    domain     TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    country    TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (day, license_id, outcome, domain, device, country)
) STRICT, WITHOUT ROWID;

-- Sums of the rollups that retention has deleted.
CREATE TABLE pruned_usage (
    license_id TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (license_id, outcome)
) STRICT, WITHOUT ROWID;

-- One row: the time from which validations, and the day from which rollups are stored. NULL means all.
CREATE TABLE retention (
    records_from INTEGER,
    rollups_from INTEGER
) STRICT;

INSERT INTO retention VALUES (NULL, NULL);

-- Plans whose usage is scanned for anomalies, and the days of their licenses that changed since the last
-- scan.
CREATE TABLE watched_plans (
    plan TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE anomaly_candidates (
    license_id TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    PRIMARY KEY (license_id, day)
) STRICT, WITHOUT ROWID;

-- `license_id` is the id of a license or of an endpoint; their prefixes differ. `position` is NULL until it
-- is assigned: a number that the transaction itself draws is no order to read by, since a later number may
-- commit first.
CREATE TABLE events (
    license_id TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    event_type TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    data       TEXT    NOT NULL,
    position   INTEGER,
    PRIMARY KEY (license_id, sequence)
) STRICT;

CREATE INDEX events_without_position ON events (license_id, sequence) WHERE position IS NULL;
CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

-- One row. Positions are assigned, and endpoints are changed, under its lock.
CREATE TABLE position_counter (
    last_position INTEGER NOT NULL
) STRICT;

INSERT INTO position_counter VALUES (0);

-- The last position that each subscription has acknowledged.
CREATE TABLE event_cursors (
    name     TEXT    NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

-- When an event of this kind was last written for a license, so that it is not repeated too often.
CREATE TABLE event_throttles (
    license_id TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (license_id, kind)
) STRICT;

-- `failing_lasted` is in microseconds.
CREATE TABLE endpoints (
    id                    TEXT    NOT NULL PRIMARY KEY,
    url                   TEXT    NOT NULL,
    event_types           TEXT    NOT NULL,
    description           TEXT,
    disabled_at           INTEGER,
    disabled_reason       TEXT,
    secret                BLOB    NOT NULL,
    previous_secret       BLOB,
    previous_secret_until INTEGER,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL,
    last_success_at       INTEGER,
    failing_since         INTEGER,
    failing_last_at       INTEGER,
    failing_lasted        INTEGER,
    last_event            INTEGER NOT NULL,
    skip_job_events       INTEGER NOT NULL
) STRICT;

-- `due_at` is NULL if the delivery is settled. `token` is set while the delivery is leased; then `due_at` is
-- the end of the lease.
CREATE TABLE deliveries (
    endpoint_id TEXT    NOT NULL,
    position    INTEGER NOT NULL,
    license_id  TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    tries       INTEGER NOT NULL,
    due_at      INTEGER,
    token       BLOB,
    created_at  INTEGER NOT NULL,
    attempts    TEXT    NOT NULL,
    PRIMARY KEY (endpoint_id, position)
) STRICT;

-- First attempts are due at once, in the order of their positions. Leases and retries are due by time.
CREATE INDEX deliveries_first ON deliveries (endpoint_id, position)
    WHERE due_at IS NOT NULL AND tries = 0 AND token IS NULL;
CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, position)
    WHERE due_at IS NOT NULL AND (tries > 0 OR token IS NOT NULL);
CREATE INDEX deliveries_untried ON deliveries (endpoint_id, license_id, sequence) WHERE tries = 0 AND due_at IS NOT NULL;
CREATE INDEX deliveries_leased ON deliveries (endpoint_id, due_at) WHERE token IS NOT NULL;
CREATE INDEX deliveries_by_status ON deliveries (endpoint_id, status, position);
CREATE INDEX deliveries_settled ON deliveries (created_at) WHERE due_at IS NULL;

-- API tokens, their sessions and their one-time links. `parent_id` is the token of a session or link. Revoked
-- tokens are not deleted; old sessions and links are.
CREATE TABLE tokens (
    id           TEXT    NOT NULL PRIMARY KEY,
    digest       BLOB    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    kind         TEXT    NOT NULL,
    parent_id    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_parent ON tokens (parent_id) WHERE parent_id IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX sessions_by_time ON tokens (created_at) WHERE parent_id IS NOT NULL;

CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    actor_kind  TEXT    NOT NULL,
    actor_token TEXT,
    actor_name  TEXT,
    request_id  TEXT,
    address     TEXT,
    action      TEXT    NOT NULL,
    license_id  TEXT,
    token_id    TEXT,
    endpoint_id TEXT,
    changes     TEXT    NOT NULL,
    metadata    TEXT,
    reason      TEXT
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_license ON audit (license_id, sequence);
CREATE INDEX audit_by_actor ON audit (actor_token, sequence);
CREATE INDEX audit_by_token ON audit (token_id, sequence);
CREATE INDEX audit_by_endpoint ON audit (endpoint_id, sequence);
CREATE INDEX audit_by_action ON audit (action, sequence);

-- One row: the number of changes of products and plans. Its lock is held by a change of them.
CREATE TABLE catalog (
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO catalog VALUES (0);

CREATE TABLE products (
    name         TEXT   NOT NULL PRIMARY KEY,
    display_name TEXT   NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `managed_by` is the source that manages the plan, such as a file.
CREATE TABLE plans (
    name        TEXT   NOT NULL PRIMARY KEY,
    product     TEXT   NOT NULL REFERENCES products (name),
    archived_at INTEGER,
    managed_by  TEXT,
    revision    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Versions are numbered from 1 without gaps and never change. `terms` is a JSON object.
CREATE TABLE plan_versions (
    plan       TEXT   NOT NULL REFERENCES plans (name),
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    terms      TEXT   NOT NULL,
    PRIMARY KEY (plan, version)
) STRICT, WITHOUT ROWID;

-- Bulk jobs. The columns of the actor are as in `audit`, and NULL if the commands are not audited. `outcomes`
-- counts the licenses of a finished job, as a JSON array of pairs of an outcome and a number.
CREATE TABLE bulk_jobs (
    id              TEXT    NOT NULL PRIMARY KEY,
    action          TEXT    NOT NULL,
    plan            TEXT,
    status          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    actor_kind      TEXT,
    actor_token     TEXT,
    actor_name      TEXT,
    request_id      TEXT,
    address         TEXT,
    idempotency_key BLOB UNIQUE,
    request         BLOB,
    plan_version    INTEGER,
    reason          TEXT,
    outcomes        TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX bulk_jobs_running ON bulk_jobs (id) WHERE status = 'running';
CREATE INDEX bulk_jobs_finished ON bulk_jobs (finished_at) WHERE finished_at IS NOT NULL;

-- The licenses of a job. `outcome` is NULL until the license has got the action.
CREATE TABLE bulk_job_licenses (
    job_id     TEXT NOT NULL,
    license_id TEXT NOT NULL,
    outcome    TEXT,
    PRIMARY KEY (job_id, license_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX bulk_job_licenses_open ON bulk_job_licenses (job_id, license_id) WHERE outcome IS NULL;
CREATE INDEX bulk_job_licenses_refused ON bulk_job_licenses (job_id, license_id) WHERE outcome <> 'done';

-- One row: the number of changes of signing keys. Its lock is held by a change of them.
CREATE TABLE signing_key_set (
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO signing_key_set VALUES (0);

-- Keys of tokens that software verifies by itself. `id` is the thumbprint of the public key. Keys are never
-- deleted, so that a revoked one stays known.
CREATE TABLE signing_keys (
    id           TEXT NOT NULL PRIMARY KEY,
    public_key   BLOB NOT NULL,
    sealed_key   BLOB NOT NULL,
    state        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    activated_at INTEGER,
    replaced_at  INTEGER,
    signed_until INTEGER
) STRICT, WITHOUT ROWID;

-- Leases: signed permissions to run without a network. `ended_by` and `ended_at` are NULL unless the lease ended
-- before its time. `claims` is the text that is signed.
CREATE TABLE leases (
    license_id  TEXT    NOT NULL REFERENCES licenses (id),
    id          TEXT    NOT NULL,
    device_id   TEXT    NOT NULL,
    domain_id   TEXT,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    signing_key TEXT    NOT NULL,
    claims      TEXT    NOT NULL,
    is_renewal  INTEGER NOT NULL,
    ended_by    TEXT,
    ended_at    INTEGER,
    PRIMARY KEY (license_id, id)
) STRICT, WITHOUT ROWID;

-- For the leases of an activation and for the leases of a day.
CREATE INDEX leases_by_device ON leases (license_id, device_id, expires_at);
CREATE INDEX leases_by_domain ON leases (license_id, domain_id, expires_at) WHERE domain_id IS NOT NULL;
CREATE INDEX leases_of_day ON leases (license_id, issued_at) WHERE is_renewal = 0;
-- For the list of revocations, and to prune.
CREATE INDEX leases_ended ON leases (expires_at) WHERE ended_by IS NOT NULL;
CREATE INDEX leases_by_end ON leases (expires_at);
CREATE INDEX licenses_inactive_leased ON licenses (product, leased_until) WHERE state <> 'active' AND leased_until IS NOT NULL;
-- Slots that leases hold, and those that are freed when their hold ends.
CREATE INDEX activations_held ON activations (license_id, held_until) WHERE kind = 'device' AND held_until IS NOT NULL;
CREATE INDEX activations_returned ON activations (held_until) WHERE is_returned = 1;

-- How many of the first `last_event` events of a license are not in `events`: retention deleted them, or they are
-- in the database that the license was imported from. Without a row, none is absent.
CREATE TABLE absent_events (
    license_id TEXT    NOT NULL PRIMARY KEY,
    count      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
