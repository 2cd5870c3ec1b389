-- Times are microseconds since 1970-01-01T00:00:00Z. A limit or an expiry that is NULL is none.
-- Texts compare by their bytes, as in Rust and SQLite, whatever the order of the database's language is.

CREATE TABLE licenses (
    id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    key_digest        BYTEA            NOT NULL UNIQUE,
    sealed_key        BYTEA            NOT NULL,
    state             TEXT COLLATE "C" NOT NULL,
    plan              TEXT COLLATE "C" NOT NULL,
    customer_email    TEXT COLLATE "C" NOT NULL,
    max_domains       BIGINT,
    max_devices       BIGINT,
    domains_used      BIGINT           NOT NULL,
    devices_used      BIGINT           NOT NULL,
    created_at        BIGINT           NOT NULL,
    activated_at      BIGINT,
    expires_at        BIGINT,
    metadata          TEXT COLLATE "C" NOT NULL,
    version           BIGINT           NOT NULL,
    last_event        BIGINT           NOT NULL,
    validation_count  BIGINT           NOT NULL DEFAULT 0,
    last_validated_at BIGINT
-- Counters change often and stand in no index: with room left in its page, a row moves without a write to any index.
) WITH (fillfactor = 80);

CREATE INDEX licenses_by_plan ON licenses (plan, id);
CREATE INDEX licenses_by_customer ON licenses (customer_email, id);
CREATE INDEX licenses_by_state ON licenses (state, id);

CREATE TABLE activations (
    license_id TEXT COLLATE "C" NOT NULL REFERENCES licenses (id),
    id         TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    value      TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (license_id, id),
    UNIQUE (license_id, kind, value)
);

-- Lists one kind in the order of ids, however many there are of the other.
CREATE INDEX activations_by_kind ON activations (license_id, kind, id);

-- Most licenses have one activation or a few. From such figures the planner takes any index that begins with
-- license_id for as good as another, and then reads all rows of the license that has 100,000 (8 ms, not 0.05). So it is
-- told that each license has as many, that values do not repeat, and nothing of how often each kind is met.
ALTER TABLE activations
    ALTER COLUMN license_id SET (n_distinct = -0.00001),
    ALTER COLUMN value SET (n_distinct = -1),
    ALTER COLUMN kind SET STATISTICS 0;

CREATE TABLE events (
    license_id TEXT COLLATE "C" NOT NULL REFERENCES licenses (id),
    sequence   BIGINT           NOT NULL,
    event_type TEXT COLLATE "C" NOT NULL,
    at         BIGINT           NOT NULL,
    data       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (license_id, sequence)
);

CREATE TABLE validations (
    sequence    BIGINT           NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    license_id  TEXT COLLATE "C" NOT NULL REFERENCES licenses (id),
    at          BIGINT           NOT NULL,
    outcome     TEXT COLLATE "C" NOT NULL,
    domain      TEXT COLLATE "C",
    fingerprint TEXT COLLATE "C"
);

CREATE INDEX validations_of_license ON validations (license_id, at, sequence);

CREATE TABLE idempotency_keys (
    key        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    request    BYTEA            NOT NULL,
    license_id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL
);

-- What a database and its servers must agree on.
CREATE TABLE kept (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA            NOT NULL
);
