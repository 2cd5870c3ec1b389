-- Times are microseconds since 1970-01-01T00:00:00Z. A limit or an expiry that is NULL is none.

CREATE TABLE licenses (
    id                TEXT    NOT NULL PRIMARY KEY,
    key_digest        BLOB    NOT NULL UNIQUE,
    sealed_key        BLOB    NOT NULL,
    state             TEXT    NOT NULL,
    plan              TEXT    NOT NULL,
    customer_email    TEXT    NOT NULL,
    max_domains       INTEGER,
    max_devices       INTEGER,
    domains_used      INTEGER NOT NULL,
    devices_used      INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    activated_at      INTEGER,
    expires_at        INTEGER,
    metadata          TEXT    NOT NULL,
    version           INTEGER NOT NULL,
    last_event        INTEGER NOT NULL,
    validation_count  INTEGER NOT NULL DEFAULT 0,
    last_validated_at INTEGER
) STRICT;

CREATE INDEX licenses_by_plan ON licenses (plan, id);
CREATE INDEX licenses_by_customer ON licenses (customer_email, id);
CREATE INDEX licenses_by_state ON licenses (state, id);

CREATE TABLE activations (
    license_id TEXT    NOT NULL REFERENCES licenses (id),
    id         TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (license_id, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX activations_by_value ON activations (license_id, kind, value);
-- Lists one kind in the order of ids, however many there are of the other.
CREATE INDEX activations_by_kind ON activations (license_id, kind, id);

-- Without figures the planner takes a license to have ten activations, and reads them all rather than look some up: 20 ms
-- for one that has 100,000. So it is told that each has many.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('activations', 'activations', '100000000 100000 1'),
    ('activations', 'activations_by_value', '100000000 100000 50000 1'),
    ('activations', 'activations_by_kind', '100000000 100000 50000 1');

CREATE TABLE events (
    license_id TEXT    NOT NULL REFERENCES licenses (id),
    sequence   INTEGER NOT NULL,
    event_type TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    data       TEXT    NOT NULL,
    PRIMARY KEY (license_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE validations (
    sequence    INTEGER PRIMARY KEY,
    license_id  TEXT    NOT NULL REFERENCES licenses (id),
    at          INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    domain      TEXT,
    fingerprint TEXT
) STRICT;

CREATE INDEX validations_of_license ON validations (license_id, at, sequence);

CREATE TABLE idempotency_keys (
    key        TEXT    NOT NULL PRIMARY KEY,
    request    BLOB    NOT NULL,
    license_id TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a database and its servers must agree on.
CREATE TABLE kept (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
