-- Who runs what, where: what is recorded of a validation, and sums of it by day.

-- `covered_by` is the registered wildcard that covered the domain, where no activation has that very name.
ALTER TABLE inbox ADD COLUMN country TEXT;
ALTER TABLE inbox ADD COLUMN region TEXT;
ALTER TABLE inbox ADD COLUMN client TEXT;
ALTER TABLE inbox ADD COLUMN covered_by TEXT;
ALTER TABLE validations ADD COLUMN country TEXT;
ALTER TABLE validations ADD COLUMN region TEXT;
ALTER TABLE validations ADD COLUMN client TEXT;
ALTER TABLE validations ADD COLUMN covered_by TEXT;

DROP VIEW unfiled;

CREATE VIEW unfiled AS
SELECT inbox.sequence, inbox.license_id, inbox.at, inbox.outcome, inbox.domain, inbox.fingerprint, inbox.country,
       inbox.region, inbox.client, inbox.covered_by
FROM filing, inbox
WHERE inbox.sequence > filing.last_sequence
   OR (inbox.license_id, inbox.sequence) > (filing.license_id, filing.sequence);

-- For what is old, and for reports of all licenses.
CREATE INDEX validations_by_time ON validations (at);

-- Sums of validations that are alike, written in the commit that files them; a text is empty where it is not known. The day
-- comes first: filing writes at one end, what is old is a range at the other, and a report of all licenses is a range.
CREATE TABLE rollups (
    day        INTEGER NOT NULL,
    license_id TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    domain     TEXT NOT NULL,
    device     TEXT NOT NULL,
    country    TEXT NOT NULL,
    count      INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (day, license_id, outcome, domain, device, country)
) STRICT, WITHOUT ROWID;

INSERT INTO rollups (day, license_id, outcome, domain, device, country, count, first_at, last_at)
SELECT CASE WHEN at < 0 THEN (at - 86399999999) / 86400000000 ELSE at / 86400000000 END,
       license_id, outcome, COALESCE(domain, ''), COALESCE(fingerprint, ''), '', COUNT(*), MIN(at), MAX(at)
FROM validations
GROUP BY 1, 2, 3, 4, 5;

-- What rollups that are removed have counted.
CREATE TABLE usage_before (
    license_id TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    count      INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (license_id, outcome)
) STRICT, WITHOUT ROWID;

-- One row: from when on single validations, and from which day on rollups are kept; NULL: all are.
CREATE TABLE usage_kept (
    records_from INTEGER,
    rollups_from INTEGER
) STRICT;

INSERT INTO usage_kept VALUES (NULL, NULL);
