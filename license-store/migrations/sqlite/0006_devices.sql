-- What holds a slot: how it is called, and when it was seen.

ALTER TABLE activations ADD COLUMN label TEXT;

-- What validations say of each activation; filed with their counters. Apart from `activations`, which the hot path reads and
-- nothing but commands writes. `seen_at` is the time of the latest valid one, or when the activation was made;
-- `seen_day` is its day, so that the indexes change once a day at most. `plan` is that of the license, NULL where it is
-- revoked: then nothing of it becomes idle. Kept by triggers, so that nodes of the version before keep it too.
CREATE TABLE activation_usage (
    license_id    TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    value         TEXT    NOT NULL,
    plan          TEXT,
    created_at    INTEGER NOT NULL,
    first_seen_at INTEGER,
    seen_at       INTEGER NOT NULL,
    seen_day      INTEGER NOT NULL,
    validations   INTEGER NOT NULL,
    country       TEXT,
    PRIMARY KEY (license_id, kind, value),
    FOREIGN KEY (license_id, kind, value) REFERENCES activations (license_id, kind, value)
        ON UPDATE CASCADE ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX activation_usage_idle ON activation_usage (plan, seen_day) WHERE kind = 'device' AND plan IS NOT NULL;
CREATE INDEX activation_usage_unseen ON activation_usage (license_id, seen_day, seen_at) WHERE kind = 'device';

-- Devices of before count as seen now: when they were is not known, and none shall be idle for it.
INSERT INTO activation_usage (license_id, kind, value, plan, created_at, first_seen_at, seen_at, seen_day, validations)
SELECT a.license_id, a.kind, a.value, CASE WHEN l.state <> 'revoked' THEN l.plan END, a.created_at,
       CASE WHEN a.kind = 'device' THEN a.created_at END, MAX(a.created_at, unixepoch() * 1000000),
       MAX(a.created_at, unixepoch() * 1000000) / 86400000000, 0
FROM activations a JOIN licenses l ON l.id = a.license_id;

CREATE TRIGGER activation_made AFTER INSERT ON activations
BEGIN
    INSERT INTO activation_usage (license_id, kind, value, plan, created_at, seen_at, seen_day, validations)
    SELECT NEW.license_id, NEW.kind, NEW.value, CASE WHEN state <> 'revoked' THEN plan END, NEW.created_at,
           NEW.created_at, NEW.created_at / 86400000000, 0
    FROM licenses WHERE id = NEW.license_id;
END;

CREATE TRIGGER license_moved AFTER UPDATE OF plan, state ON licenses
WHEN OLD.plan <> NEW.plan OR OLD.state <> NEW.state
BEGIN
    UPDATE activation_usage SET plan = CASE WHEN NEW.state <> 'revoked' THEN NEW.plan END
    WHERE license_id = NEW.id AND kind = 'device';
END;

-- Of which plans the usage is watched, and licenses of them that were seen on another device or in another country on that day
-- since somebody looked; which day of a license was last told of is in `limits_told`.
CREATE TABLE watched_plans (
    plan TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_news (
    license_id TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    PRIMARY KEY (license_id, day)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER rollup_made AFTER INSERT ON rollups
WHEN NEW.outcome = 'VALID' AND (NEW.device <> '' OR NEW.country <> '')
    AND EXISTS (SELECT 1 FROM watched_plans w JOIN licenses l ON l.plan = w.plan WHERE l.id = NEW.license_id)
BEGIN
    INSERT INTO usage_news (license_id, day) VALUES (NEW.license_id, NEW.day) ON CONFLICT DO NOTHING;
END;
