-- Who runs what, where: what is recorded of a validation, and sums of it by day.

-- `covered_by` is the registered wildcard that covered the domain, where no activation has that very name.
ALTER TABLE inbox
    ADD COLUMN country    TEXT COLLATE "C",
    ADD COLUMN region     TEXT COLLATE "C",
    ADD COLUMN client     TEXT COLLATE "C",
    ADD COLUMN covered_by TEXT COLLATE "C";
ALTER TABLE validations
    ADD COLUMN country    TEXT COLLATE "C",
    ADD COLUMN region     TEXT COLLATE "C",
    ADD COLUMN client     TEXT COLLATE "C",
    ADD COLUMN covered_by TEXT COLLATE "C";

CREATE OR REPLACE VIEW unfiled AS
SELECT sequence, license_id, at, outcome, domain, fingerprint, country, region, client, covered_by FROM inbox;

-- For what is old, and for reports of all licenses.
CREATE INDEX validations_by_time ON validations (at, sequence);

-- Sums of validations that are alike, written in the commit that files them; a text is empty where it is not known. The day
-- comes first: filing writes at one end, what is old is a range at the other, and a report of all licenses is a range.
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
) WITH (fillfactor = 80);

INSERT INTO rollups (day, license_id, outcome, domain, device, country, count, first_at, last_at)
SELECT CASE WHEN at < 0 THEN (at - 86399999999) / 86400000000 ELSE at / 86400000000 END,
       license_id, outcome, COALESCE(domain, ''), COALESCE(fingerprint, ''), '', COUNT(*), MIN(at), MAX(at)
FROM validations
GROUP BY 1, 2, 3, 4, 5;

-- What rollups that are removed have counted.
CREATE TABLE usage_before (
    license_id TEXT COLLATE "C" NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL,
    count      BIGINT           NOT NULL,
    first_at   BIGINT           NOT NULL,
    last_at    BIGINT           NOT NULL,
    PRIMARY KEY (license_id, outcome)
);

-- One row: from when on single validations, and from which day on rollups are kept; NULL: all are.
CREATE TABLE usage_kept (
    records_from BIGINT,
    rollups_from BIGINT
);

INSERT INTO usage_kept VALUES (NULL, NULL);
