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
