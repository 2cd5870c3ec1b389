-- Events get a place in the order of all, and go to endpoints of webhooks.

-- What was told of the end of its term: 0 nothing, 1 that it ends soon, 2 that it has ended.
ALTER TABLE licenses ADD COLUMN expiry_told INTEGER NOT NULL DEFAULT 0;

CREATE INDEX licenses_by_expiry ON licenses (expiry_told, expires_at)
    WHERE state = 'active' AND expires_at IS NOT NULL AND expiry_told < 2;

-- `license_id` is what the event is about: a license, or an endpoint, whose id begins differently. `position` is NULL at the
-- commit, and given out afterwards, in order: a number drawn by a transaction is overtaken by others that commit before it.
-- Made anew, without the key to licenses, and as a table with row numbers: with the license in them, rows are long.
CREATE TABLE events_new (
    license_id TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    event_type TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    data       TEXT    NOT NULL,
    position   INTEGER,
    PRIMARY KEY (license_id, sequence)
) STRICT;

INSERT INTO events_new (license_id, sequence, event_type, at, data)
SELECT license_id, sequence, event_type, at, data FROM events;

DROP TABLE events;
ALTER TABLE events_new RENAME TO events;

CREATE INDEX events_unpublished ON events (license_id, sequence) WHERE position IS NULL;
CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

-- One row: who has it locked gives positions out, and changes endpoints.
CREATE TABLE outbox (
    last_position INTEGER NOT NULL
) STRICT;

INSERT INTO outbox VALUES (0);

-- How far each subscription has acknowledged.
CREATE TABLE event_cursors (
    name     TEXT    NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

-- When a reached limit was last told of.
CREATE TABLE limits_told (
    license_id TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (license_id, kind)
) STRICT;

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
    last_event            INTEGER NOT NULL
) STRICT;

-- `due_at` is NULL of what is settled; of what is under way, which has a token, it is the end of the lease.
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

CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, position) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_untried ON deliveries (endpoint_id, license_id, sequence) WHERE tries = 0 AND due_at IS NOT NULL;
CREATE INDEX deliveries_claimed ON deliveries (endpoint_id, due_at) WHERE token IS NOT NULL;
CREATE INDEX deliveries_by_status ON deliveries (endpoint_id, status, position);
CREATE INDEX deliveries_settled ON deliveries (created_at) WHERE due_at IS NULL;
