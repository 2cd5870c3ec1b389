-- Validations as they come: a row for each batch, since to record one shall cost little more than its bytes. They are filed later, many
-- at once. `rows` is JSON: of each validation an array of the columns of `validations` behind `sequence`, in their order; what is
-- missing at the end is NULL. The sequence of each is made of the number of its batch and of its place there; numbers begin beyond
-- the sequences of before, and are not used again.
CREATE TABLE batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    size   INTEGER NOT NULL,
    rows   TEXT    NOT NULL
) STRICT;

INSERT INTO sqlite_sequence (name, seq) VALUES ('batches', 1048575);

-- How far the filing is: of the batches up to `last_number`, in the order of licenses and sequences, what stands before
-- (license_id, sequence), and that itself, is filed. Removed they are later.
CREATE TABLE batch_filing (
    last_number INTEGER NOT NULL,
    license_id  TEXT    NOT NULL,
    sequence    INTEGER NOT NULL
) STRICT;

INSERT INTO batch_filing VALUES (0, '', 0);

-- Records a batch, unless its recorder has recorded it before: in one statement, and so in one commit.
CREATE VIEW recording AS
SELECT id AS recorder, last_batch AS number, at, 0 AS size, '[]' AS rows FROM recorders;

CREATE TRIGGER record INSTEAD OF INSERT ON recording
BEGIN
    INSERT INTO recorders (id, last_batch, at) SELECT NEW.recorder, NEW.number, NEW.at WHERE NEW.number > 0
    ON CONFLICT (id) DO UPDATE SET last_batch = excluded.last_batch, at = excluded.at
    WHERE recorders.last_batch < excluded.last_batch;
    INSERT INTO batches (size, rows) SELECT NEW.size, NEW.rows WHERE NEW.number = 0 OR changes() > 0;
END;

-- What is in the inbox moves; and what nodes of the version before put there goes the same way.
INSERT INTO batches (size, rows)
SELECT COUNT(*), json_group_array(json_array(license_id, at, outcome, domain, fingerprint, country, region, client, covered_by))
FROM (SELECT * FROM unfiled ORDER BY sequence)
GROUP BY sequence / 1000;

DROP VIEW unfiled;
DROP TABLE inbox;
UPDATE filing SET last_sequence = 0, license_id = '', sequence = 0;

CREATE VIEW inbox AS
SELECT sequence, license_id, at, outcome, domain, fingerprint, country, region, client, covered_by FROM validations WHERE 0;

CREATE TRIGGER inbox_to_batches INSTEAD OF INSERT ON inbox
BEGIN
    INSERT INTO batches (size, rows) VALUES (1, json_array(json_array(NEW.license_id, NEW.at, NEW.outcome, NEW.domain,
        NEW.fingerprint, NEW.country, NEW.region, NEW.client, NEW.covered_by)));
END;

-- What is recorded and not filed. `batch` is what it stands in: to look there for the id of a license is quicker than to read all.
-- The types are said, since else no text of it would be looked up in an index that the planner makes for a statement.
CREATE VIEW unfiled AS
SELECT batches.number * 16777216 + each.key AS sequence, CAST(each.value ->> 0 AS TEXT) AS license_id,
       CAST(each.value ->> 1 AS INTEGER) AS at, CAST(each.value ->> 2 AS TEXT) AS outcome, CAST(each.value ->> 3 AS TEXT) AS domain,
       CAST(each.value ->> 4 AS TEXT) AS fingerprint, CAST(each.value ->> 5 AS TEXT) AS country,
       CAST(each.value ->> 6 AS TEXT) AS region, CAST(each.value ->> 7 AS TEXT) AS client,
       CAST(each.value ->> 8 AS TEXT) AS covered_by, batches.number, batches.rows AS batch
FROM batch_filing, batches, json_each(batches.rows) AS each
WHERE batches.number > batch_filing.last_number
   OR (each.value ->> 0, batches.number * 16777216 + each.key) > (batch_filing.license_id, batch_filing.sequence);

-- The rollups of one license lie on a page for each day: thirty that nobody has read lately, for a report of thirty days. So those
-- of days that are over are copied, some at a time, to where those of a license lie together. Nothing is filed there but
-- what comes late.
CREATE TABLE gathered_rollups (
    license_id TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    domain     TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    country    TEXT    NOT NULL,
    count      INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (license_id, day, outcome, domain, device, country)
) STRICT, WITHOUT ROWID;

-- One row: rollups up to that key are gathered. To begin with none is, and a server copies them while it runs.
CREATE TABLE gathered (
    day        INTEGER NOT NULL,
    license_id TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    domain     TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    country    TEXT    NOT NULL
) STRICT;

INSERT INTO gathered VALUES (-9223372036854775808, '', '', '', '', '');

-- What changes of them changes in the same commit, whoever changes it: nodes of the version before, too.
CREATE TRIGGER gathered_rollup_made AFTER INSERT ON rollups
WHEN (NEW.day, NEW.license_id, NEW.outcome, NEW.domain, NEW.device, NEW.country)
    <= (SELECT day, license_id, outcome, domain, device, country FROM gathered)
BEGIN
    INSERT INTO gathered_rollups (license_id, day, outcome, domain, device, country, count, first_at, last_at)
    VALUES (NEW.license_id, NEW.day, NEW.outcome, NEW.domain, NEW.device, NEW.country, NEW.count, NEW.first_at, NEW.last_at);
END;

CREATE TRIGGER gathered_rollup_changed AFTER UPDATE OF count, first_at, last_at ON rollups
WHEN (NEW.day, NEW.license_id, NEW.outcome, NEW.domain, NEW.device, NEW.country)
    <= (SELECT day, license_id, outcome, domain, device, country FROM gathered)
BEGIN
    UPDATE gathered_rollups SET count = NEW.count, first_at = NEW.first_at, last_at = NEW.last_at
    WHERE license_id = NEW.license_id AND day = NEW.day AND outcome = NEW.outcome AND domain = NEW.domain
        AND device = NEW.device AND country = NEW.country;
END;

CREATE TRIGGER gathered_rollup_removed AFTER DELETE ON rollups
WHEN (OLD.day, OLD.license_id, OLD.outcome, OLD.domain, OLD.device, OLD.country)
    <= (SELECT day, license_id, outcome, domain, device, country FROM gathered)
BEGIN
    DELETE FROM gathered_rollups
    WHERE license_id = OLD.license_id AND day = OLD.day AND outcome = OLD.outcome AND domain = OLD.domain
        AND device = OLD.device AND country = OLD.country;
END;
