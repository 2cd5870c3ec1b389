-- What holds a slot: how it is called, and when it was seen.
SET LOCAL lock_timeout = '3s';

ALTER TABLE activations ADD COLUMN label TEXT COLLATE "C";

-- What validations say of each activation; filed with their counters. Apart from `activations`, which the hot path reads and
-- nothing but commands writes. `seen_at` is the time of the latest valid one, or when the activation was made;
-- `seen_day` is its day, so that the indexes change once a day at most, and most changes stay in their page. `plan` is that
-- of the license, NULL where it is revoked: then nothing of it becomes idle. Kept by triggers, so that nodes of the version
-- before keep it too.
CREATE TABLE activation_usage (
    license_id    TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    value         TEXT COLLATE "C" NOT NULL,
    plan          TEXT COLLATE "C",
    created_at    BIGINT           NOT NULL,
    first_seen_at BIGINT,
    seen_at       BIGINT           NOT NULL,
    seen_day      BIGINT           NOT NULL,
    validations   BIGINT           NOT NULL,
    country       TEXT COLLATE "C",
    PRIMARY KEY (license_id, kind, value),
    FOREIGN KEY (license_id, kind, value) REFERENCES activations (license_id, kind, value)
        ON UPDATE CASCADE ON DELETE CASCADE
) WITH (fillfactor = 80);

CREATE INDEX activation_usage_idle ON activation_usage (plan, seen_day) WHERE kind = 'device' AND plan IS NOT NULL;
CREATE INDEX activation_usage_unseen ON activation_usage (license_id, seen_day) WHERE kind = 'device';

CREATE FUNCTION license_activation_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO activation_usage (license_id, kind, value, plan, created_at, seen_at, seen_day, validations)
    SELECT NEW.license_id, NEW.kind, NEW.value, CASE WHEN state <> 'revoked' THEN plan END, NEW.created_at,
           NEW.created_at, NEW.created_at / 86400000000, 0
    FROM licenses WHERE id = NEW.license_id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER activation_made AFTER INSERT ON activations
FOR EACH ROW EXECUTE FUNCTION license_activation_made();

CREATE FUNCTION license_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE activation_usage SET plan = CASE WHEN NEW.state <> 'revoked' THEN NEW.plan END
    WHERE license_id = NEW.id AND kind = 'device';
    RETURN NULL;
END $$;

CREATE TRIGGER license_moved AFTER UPDATE OF plan, state ON licenses
FOR EACH ROW WHEN (OLD.plan <> NEW.plan OR OLD.state <> NEW.state) EXECUTE FUNCTION license_moved();

-- Devices of before count as seen now: when they were is not known, and none shall be idle for it.
INSERT INTO activation_usage (license_id, kind, value, plan, created_at, first_seen_at, seen_at, seen_day, validations)
SELECT license_id, kind, value, CASE WHEN state <> 'revoked' THEN plan END, made, CASE WHEN kind = 'device' THEN made END,
       seen, seen / 86400000000, 0
FROM (SELECT a.license_id, a.kind, a.value, l.state, l.plan, a.created_at AS made,
             GREATEST(a.created_at, CAST(EXTRACT(EPOCH FROM now()) AS BIGINT) * 1000000) AS seen
      FROM activations a JOIN licenses l ON l.id = a.license_id) AS bound
ON CONFLICT DO NOTHING;

-- Of which plans the usage is watched, and licenses of them that were seen on another device or in another country on that day
-- since somebody looked; which day of a license was last told of is in `limits_told`.
CREATE TABLE watched_plans (
    plan TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE usage_news (
    license_id TEXT COLLATE "C" NOT NULL,
    day        BIGINT           NOT NULL,
    PRIMARY KEY (license_id, day)
);

CREATE FUNCTION license_rollup_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_news (license_id, day) SELECT NEW.license_id, NEW.day
    WHERE EXISTS (SELECT 1 FROM watched_plans w JOIN licenses l ON l.plan = w.plan WHERE l.id = NEW.license_id)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER rollup_made AFTER INSERT ON rollups
FOR EACH ROW WHEN (NEW.outcome = 'VALID' AND (NEW.device <> '' OR NEW.country <> ''))
EXECUTE FUNCTION license_rollup_made();
