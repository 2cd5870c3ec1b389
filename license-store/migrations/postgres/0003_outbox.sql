-- Events get a place in the order of all, and go to endpoints of webhooks.
SET LOCAL lock_timeout = '3s';

-- What was told of the end of its term: 0 nothing, 1 that it ends soon, 2 that it has ended.
ALTER TABLE licenses ADD COLUMN expiry_told BIGINT NOT NULL DEFAULT 0;

CREATE INDEX licenses_by_expiry ON licenses (expiry_told, expires_at)
    WHERE state = 'active' AND expires_at IS NOT NULL AND expiry_told < 2;

-- `license_id` is what the event is about: a license, or an endpoint, whose id begins differently. `position` is NULL at the
-- commit, and given out afterwards, in order: a number drawn by a transaction is overtaken by others that commit before it.
ALTER TABLE events
    DROP CONSTRAINT events_license_id_fkey,
    ADD COLUMN position BIGINT;

CREATE INDEX events_unpublished ON events (license_id, sequence) WHERE position IS NULL;
CREATE UNIQUE INDEX events_by_position ON events (position) WHERE position IS NOT NULL;
CREATE INDEX events_by_type ON events (event_type, position) WHERE position IS NOT NULL;
CREATE INDEX events_by_time ON events (at);

-- One row: who has it locked gives positions out, and changes endpoints.
CREATE TABLE outbox (
    last_position BIGINT NOT NULL
);

INSERT INTO outbox VALUES (0);

-- How far each subscription has acknowledged.
CREATE TABLE event_cursors (
    name     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    position BIGINT           NOT NULL
);

-- When a reached limit was last told of.
CREATE TABLE limits_told (
    license_id TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    at         BIGINT           NOT NULL,
    PRIMARY KEY (license_id, kind)
);

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
    last_event            BIGINT           NOT NULL
);

-- `due_at` is NULL of what is settled; of what is under way, which has a token, it is the end of the lease.
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

CREATE INDEX deliveries_due ON deliveries (endpoint_id, due_at, position) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_untried ON deliveries (endpoint_id, license_id, sequence) WHERE tries = 0 AND due_at IS NOT NULL;
CREATE INDEX deliveries_claimed ON deliveries (endpoint_id, due_at) WHERE token IS NOT NULL;
CREATE INDEX deliveries_by_status ON deliveries (endpoint_id, status, position);
CREATE INDEX deliveries_settled ON deliveries (created_at) WHERE due_at IS NULL;
