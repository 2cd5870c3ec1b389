-- Of each stream of batches the number of the last one recorded, so that none is recorded twice. `at` is the time of its
-- latest validation.
CREATE TABLE recorders (
    id         BLOB    NOT NULL PRIMARY KEY,
    last_batch INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Validations as they come: rows at the end of a table without an index, so that a commit writes few pages however many
-- licenses it counts for. They are filed later, many at once: into `validations`, and into the counters of their licenses.
-- Numbers go on from those of `validations`, and are not used again when the inbox is empty.
CREATE TABLE inbox (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    license_id  TEXT    NOT NULL REFERENCES licenses (id),
    at          INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,
    domain      TEXT,
    fingerprint TEXT
) STRICT;

INSERT INTO sqlite_sequence (name, seq) SELECT 'inbox', COALESCE(MAX(sequence), 0) FROM validations;

-- How far the filing is: of the rows up to `last_sequence`, in the order of licenses and sequences, those up to
-- (license_id, sequence) are filed and not removed yet.
CREATE TABLE filing (
    last_sequence INTEGER NOT NULL,
    license_id    TEXT    NOT NULL,
    sequence      INTEGER NOT NULL
) STRICT;

INSERT INTO filing VALUES (0, '', 0);

-- What is in the inbox and not filed.
CREATE VIEW unfiled AS
SELECT inbox.sequence, inbox.license_id, inbox.at, inbox.outcome, inbox.domain, inbox.fingerprint
FROM filing, inbox
WHERE inbox.sequence > filing.last_sequence
   OR (inbox.license_id, inbox.sequence) > (filing.license_id, filing.sequence);
