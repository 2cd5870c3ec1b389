-- Times are microseconds since 1970-01-01T00:00:00Z; days are counted from that date. NULL as a limit or an
-- expiry means none.

CREATE TABLE licenses (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    key_digest      BYTEA            NOT NULL UNIQUE,
    sealed_key      BYTEA            NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    product         TEXT COLLATE "C" NOT NULL,
    plan            TEXT COLLATE "C" NOT NULL,
    customer_email  TEXT COLLATE "C",
    max_domains     BIGINT,
    max_devices     BIGINT,
    domains_used    BIGINT           NOT NULL,
    devices_used    BIGINT           NOT NULL,
    created_at      BIGINT           NOT NULL,
    activated_at    BIGINT,
    expires_at      BIGINT,
    metadata        TEXT COLLATE "C" NOT NULL,
    version         BIGINT           NOT NULL,
    last_event      BIGINT           NOT NULL,
    -- The last event about the end of the term: days before the end (0 is license.expired, 65535 none), and when
    -- it was written.
    expiry_notice_days BIGINT NOT NULL,
    expiry_notice_at   BIGINT,
    customer_name   TEXT COLLATE "C",
    external_id     TEXT COLLATE "C",
    -- The host of `customer_email`.
    customer_domain TEXT COLLATE "C",
    -- 1 if slots of a kind are in use and none is free, otherwise 0.
    at_limit        BIGINT           NOT NULL,
    -- `expires_at`, or the largest number if the license never expires.
    ends_at         BIGINT           NOT NULL,
    anchor_day      BIGINT,
    term_starts     TEXT COLLATE "C" NOT NULL,
    -- NULL while the term waits for the first use.
    term_started_at BIGINT,
    updates_until   BIGINT,
    -- A JSON list of grants.
    grants          TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    state_reason    TEXT COLLATE "C",
    -- The blocked domains and devices, a bounded JSON array, so that every read of a license has them.
    blocks          TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    -- The version of the plan, and a JSON array of the limits that are not those of the plan.
    plan_version    BIGINT           NOT NULL,
    overrides       TEXT COLLATE "C" NOT NULL,
    -- No lease is valid after this time.
    leased_until    BIGINT
) WITH (fillfactor = 80);

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
    license_id    TEXT COLLATE "C" NOT NULL REFERENCES licenses (id),
    kind          TEXT COLLATE "C" NOT NULL,
    value         TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    created_at    BIGINT           NOT NULL,
    label         TEXT COLLATE "C",
    plan          TEXT COLLATE "C",
    first_seen_at BIGINT,
    last_seen_at  BIGINT           NOT NULL,
    last_seen_day BIGINT           NOT NULL,
    validations   BIGINT           NOT NULL,
    country       TEXT COLLATE "C",
    -- Leases hold the slot until this time. If they were handed back, the slot is freed then.
    held_until    BIGINT,
    is_returned   BIGINT           NOT NULL,
    PRIMARY KEY (license_id, kind, value)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX activations_by_id ON activations (license_id, kind, id);
CREATE INDEX activations_by_last_seen ON activations (license_id, last_seen_day) WHERE kind = 'device';
CREATE INDEX activations_idle ON activations (plan, last_seen_day) WHERE kind = 'device' AND plan IS NOT NULL;
CREATE INDEX activations_by_value ON activations (kind, value, license_id);

-- With statistics of a small table, the planner would scan all activations of a license that has many.
ALTER TABLE activations
    ALTER COLUMN license_id SET (n_distinct = -0.00001),
    ALTER COLUMN value SET (n_distinct = -1),
    ALTER COLUMN kind SET STATISTICS 0;

-- Separate from `licenses`, so that compaction rewrites narrow rows.
CREATE TABLE license_counters (
    license_id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    validation_count  BIGINT           NOT NULL,
    last_validated_at BIGINT,
    last_validated_day BIGINT
) WITH (fillfactor = 70);

-- Changes at most once a day for a license.
CREATE INDEX license_counters_by_day ON license_counters (last_validated_day, license_id);

-- Keyed digests of used idempotency keys, with the first event that the request caused. `license_id` and
-- `sequence` are as in `events`.
CREATE TABLE idempotency_keys (
    key        BYTEA            NOT NULL PRIMARY KEY,
    request    BYTEA            NOT NULL,
    license_id TEXT COLLATE "C" NOT NULL,
    sequence   BIGINT           NOT NULL,
    created_at BIGINT           NOT NULL
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- Customers that a license no longer belongs to, until the change at `until`. An erasure finds its licenses
-- here.
CREATE TABLE former_customers (
    customer_email TEXT COLLATE "C" NOT NULL,
    license_id     TEXT COLLATE "C" NOT NULL,
    until          BIGINT           NOT NULL,
    PRIMARY KEY (customer_email, license_id)
);

-- Trials that were used: the keyed digest of a product and a device or a customer, and the license of the trial.
-- Nothing deletes them.
CREATE TABLE trial_claims (
    digest     BYTEA            NOT NULL PRIMARY KEY,
    license_id TEXT COLLATE "C" NOT NULL
);

-- Short texts of the metadata, for searches.
CREATE TABLE license_metadata (
    name       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    license_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (name, value, license_id)
);

-- One row: the time at which a node last had a plausible clock. NULL in a new database.
CREATE TABLE clock (
    heartbeat BIGINT
);

INSERT INTO clock VALUES (NULL);

-- Settings on which all nodes must agree.
CREATE TABLE settings (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA            NOT NULL
);

-- The number of the last batch of each writer, so that no batch is recorded twice. `at` is the time of its
-- latest validation.
CREATE TABLE writers (
    id         BYTEA            NOT NULL PRIMARY KEY,
    last_batch BIGINT           NOT NULL,
    at         BIGINT           NOT NULL
) WITH (fillfactor = 50);

-- Validations that wait to be compacted, one row per batch. `at` is the time of the earliest one. `entries`
-- is a JSON array of [license, time, outcome, domain, device], followed by [country, region, client,
-- wildcard] if one of them is known.
CREATE TABLE journal (
    id      BIGINT           NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT           NOT NULL,
    size    BIGINT           NOT NULL,
    entries TEXT COLLATE "C" NOT NULL
) WITH (toast_tuple_target = 8160);

-- Compressing each batch would cost more than it saves.
ALTER TABLE journal ALTER COLUMN entries SET STORAGE EXTERNAL;

-- Rows of the journal that could not be read, with the reason.
CREATE TABLE journal_rejected (
    id      BIGINT           NOT NULL PRIMARY KEY,
    at      BIGINT           NOT NULL,
    size    BIGINT           NOT NULL,
    entries TEXT COLLATE "C" NOT NULL,
    reason  TEXT COLLATE "C" NOT NULL
);

-- The history. The day comes first in the key: compaction writes at one end, and retention deletes a range at
-- the other.
CREATE TABLE validations (
    day        BIGINT           NOT NULL,
    license_id TEXT COLLATE "C" NOT NULL,
    at         BIGINT           NOT NULL,
    sequence   BIGINT           NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL,
    domain     TEXT COLLATE "C",
    device     TEXT COLLATE "C",
    country    TEXT COLLATE "C",
    region     TEXT COLLATE "C",
    client     TEXT COLLATE "C",
    -- The wildcard that covered the domain; NULL if an activation has the exact name.
    covered_by TEXT COLLATE "C",
    PRIMARY KEY (day, license_id, at, sequence)
);

-- Lists the latest validations of all licenses.
CREATE INDEX validations_by_time ON validations (at, sequence);

-- Sums of validations with equal values; an unknown value is empty. The day comes first, as in `validations`.
CREATE TABLE rollups (
    day        BIGINT           NOT NULL,
    license_id TEXT COLLATE "C" NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL,
    domain     TEXT COLLATE "C" NOT NULL,
    device     TEXT COLLATE "C" NOT NULL,
    country    TEXT COLLATE "C" NOT NULL,
    count      BIGINT           NOT NULL,
    first_at   BIGINT           NOT NULL,
    last_at    BIGINT           NOT NULL,
    PRIMARY KEY (day, license_id, outcome, domain, device, country)
) WITH (fillfactor = 70);

-- Sums of the rollups that retention has deleted.
CREATE TABLE pruned_usage (
    license_id TEXT COLLATE "C" NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL,
    count      BIGINT           NOT NULL,
    first_at   BIGINT           NOT NULL,
    last_at    BIGINT           NOT NULL,
    PRIMARY KEY (license_id, outcome)
);

-- One row: the time from which validations, and the day from which rollups are stored. NULL means all.
CREATE TABLE retention (
    records_from BIGINT,
    rollups_from BIGINT
);

INSERT INTO retention VALUES (NULL, NULL);

-- Plans whose usage is scanned for anomalies, and the days of their licenses that changed since the last
-- scan.
CREATE TABLE watched_plans (
    plan TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE anomaly_candidates (
    license_id TEXT COLLATE "C" NOT NULL,
    day        BIGINT           NOT NULL,
    PRIMARY KEY (license_id, day)
);

-- `license_id` is the id of a license or of an endpoint; their prefixes differ. `position` is NULL until it
-- is assigned: a number that the transaction itself draws is no order to read by, since a later number may
-- commit first.
CREATE TABLE events (
    license_id TEXT COLLATE "C" NOT NULL,
    sequence   BIGINT           NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    at         BIGINT           NOT NULL,
    data       TEXT COLLATE "C" NOT NULL,
    position   BIGINT,
    PRIMARY KEY (license_id, sequence)
);

CREATE INDEX events_without_position ON events (license_id, sequence) WHERE position IS NULL;
CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

-- One row. Positions are assigned, and endpoints are changed, under its lock.
CREATE TABLE position_counter (
    last_position BIGINT           NOT NULL
);

INSERT INTO position_counter VALUES (0);

-- The last position that each subscription has acknowledged.
CREATE TABLE event_cursors (
    name     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position BIGINT           NOT NULL
);

-- When an event of this kind was last written for a license, so that it is not repeated too often.
CREATE TABLE event_throttles (
    license_id TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    at         BIGINT           NOT NULL,
    PRIMARY KEY (license_id, kind)
);

-- `failing_lasted` is in microseconds.
CREATE TABLE endpoints (
    id                    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    url                   TEXT COLLATE "C" NOT NULL,
    event_types           TEXT COLLATE "C" NOT NULL,
    description           TEXT COLLATE "C",
    disabled_at           BIGINT,
    disabled_reason       TEXT COLLATE "C",
    secret                BYTEA            NOT NULL,
    previous_secret       BYTEA,
    previous_secret_until BIGINT,
    created_at            BIGINT           NOT NULL,
    updated_at            BIGINT           NOT NULL,
    last_success_at       BIGINT,
    failing_since         BIGINT,
    failing_last_at       BIGINT,
    failing_lasted        BIGINT,
    last_event            BIGINT           NOT NULL,
    skip_job_events       BIGINT           NOT NULL
);

-- `due_at` is NULL if the delivery is settled. `token` is set while the delivery is leased; then `due_at` is
-- the end of the lease.
CREATE TABLE deliveries (
    endpoint_id TEXT COLLATE "C" NOT NULL,
    position    BIGINT           NOT NULL,
    license_id  TEXT COLLATE "C" NOT NULL,
    sequence    BIGINT           NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    tries       BIGINT           NOT NULL,
    due_at      BIGINT,
    token       BYTEA,
    created_at  BIGINT           NOT NULL,
    attempts    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (endpoint_id, position)
);

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
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    digest       BYTEA            NOT NULL UNIQUE,
    name         TEXT COLLATE "C" NOT NULL,
    scopes       TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT           NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    kind         TEXT COLLATE "C" NOT NULL,
    parent_id    TEXT COLLATE "C"
);

CREATE INDEX tokens_by_parent ON tokens (parent_id) WHERE parent_id IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX sessions_by_time ON tokens (created_at) WHERE parent_id IS NOT NULL;

CREATE TABLE audit (
    sequence    BIGINT           NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          BIGINT           NOT NULL,
    actor_kind  TEXT COLLATE "C" NOT NULL,
    actor_token TEXT COLLATE "C",
    actor_name  TEXT COLLATE "C",
    request_id  TEXT COLLATE "C",
    address     TEXT COLLATE "C",
    action      TEXT COLLATE "C" NOT NULL,
    license_id  TEXT COLLATE "C",
    token_id    TEXT COLLATE "C",
    endpoint_id TEXT COLLATE "C",
    changes     TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C",
    reason      TEXT COLLATE "C"
);

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_license ON audit (license_id, sequence);
CREATE INDEX audit_by_actor ON audit (actor_token, sequence);
CREATE INDEX audit_by_token ON audit (token_id, sequence);
CREATE INDEX audit_by_endpoint ON audit (endpoint_id, sequence);
CREATE INDEX audit_by_action ON audit (action, sequence);

-- One row: the number of changes of products and plans. Its lock is held by a change of them.
CREATE TABLE catalog (
    revision BIGINT NOT NULL
);

INSERT INTO catalog VALUES (0);

CREATE TABLE products (
    name         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    display_name TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

-- `managed_by` is the source that manages the plan, such as a file.
CREATE TABLE plans (
    name        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    product     TEXT COLLATE "C" NOT NULL REFERENCES products (name),
    archived_at BIGINT,
    managed_by  TEXT COLLATE "C",
    revision    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- Versions are numbered from 1 without gaps and never change. `terms` is a JSON object.
CREATE TABLE plan_versions (
    plan       TEXT COLLATE "C" NOT NULL REFERENCES plans (name),
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    terms      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (plan, version)
);

-- Bulk jobs. The columns of the actor are as in `audit`, and NULL if the commands are not audited. `outcomes`
-- counts the licenses of a finished job, as a JSON array of pairs of an outcome and a number.
CREATE TABLE bulk_jobs (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    action          TEXT COLLATE "C" NOT NULL,
    plan            TEXT COLLATE "C",
    status          TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    actor_kind      TEXT COLLATE "C",
    actor_token     TEXT COLLATE "C",
    actor_name      TEXT COLLATE "C",
    request_id      TEXT COLLATE "C",
    address         TEXT COLLATE "C",
    idempotency_key BYTEA UNIQUE,
    request         BYTEA,
    plan_version    BIGINT,
    reason          TEXT COLLATE "C",
    outcomes        TEXT COLLATE "C"
);

CREATE INDEX bulk_jobs_running ON bulk_jobs (id) WHERE status = 'running';
CREATE INDEX bulk_jobs_finished ON bulk_jobs (finished_at) WHERE finished_at IS NOT NULL;

-- The licenses of a job. `outcome` is NULL until the license has got the action.
CREATE TABLE bulk_job_licenses (
    job_id     TEXT COLLATE "C" NOT NULL,
    license_id TEXT COLLATE "C" NOT NULL,
    outcome    TEXT COLLATE "C",
    PRIMARY KEY (job_id, license_id)
);

CREATE INDEX bulk_job_licenses_open ON bulk_job_licenses (job_id, license_id) WHERE outcome IS NULL;
CREATE INDEX bulk_job_licenses_refused ON bulk_job_licenses (job_id, license_id) WHERE outcome <> 'done';

-- One row: the number of changes of signing keys. Its lock is held by a change of them.
CREATE TABLE signing_key_set (
    revision BIGINT NOT NULL
);

INSERT INTO signing_key_set VALUES (0);

-- Keys of tokens that software verifies by itself. `id` is the thumbprint of the public key. Keys are never
-- deleted, so that a revoked one stays known.
CREATE TABLE signing_keys (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public_key   BYTEA NOT NULL,
    sealed_key   BYTEA NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    activated_at BIGINT,
    replaced_at  BIGINT,
    signed_until BIGINT
);

-- Leases: signed permissions to run without a network. `ended_by` and `ended_at` are NULL unless the lease ended
-- before its time. `claims` is the text that is signed.
CREATE TABLE leases (
    license_id  TEXT COLLATE "C" NOT NULL REFERENCES licenses (id),
    id          TEXT COLLATE "C" NOT NULL,
    device_id   TEXT COLLATE "C" NOT NULL,
    domain_id   TEXT COLLATE "C",
    issued_at   BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    signing_key TEXT COLLATE "C" NOT NULL,
    claims      TEXT COLLATE "C" NOT NULL,
    is_renewal  BIGINT NOT NULL,
    ended_by    TEXT COLLATE "C",
    ended_at    BIGINT,
    PRIMARY KEY (license_id, id)
);

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
    license_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    count      BIGINT NOT NULL
);
