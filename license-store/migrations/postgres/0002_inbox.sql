-- Of each stream of batches the number of the last one recorded, so that none is recorded twice. `at` is the time of its
-- latest validation. Few rows, each changed with every batch: room in the page keeps it from growing.
CREATE TABLE recorders (
    id         BYTEA  NOT NULL PRIMARY KEY,
    last_batch BIGINT NOT NULL,
    at         BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Validations as they come: rows at the end of a table without an index, so that a commit writes few pages however many
-- licenses it counts for. They are filed later, many at once: into `validations`, and into the counters of their licenses.
-- Numbers go on from those of `validations`.
CREATE TABLE inbox (
    sequence    BIGINT           NOT NULL GENERATED ALWAYS AS IDENTITY,
    license_id  TEXT COLLATE "C" NOT NULL,
    at          BIGINT           NOT NULL,
    outcome     TEXT COLLATE "C" NOT NULL,
    domain      TEXT COLLATE "C",
    fingerprint TEXT COLLATE "C"
);

SELECT setval(pg_get_serial_sequence('inbox', 'sequence'), (SELECT COALESCE(MAX(sequence), 0) + 1 FROM validations), false);

-- Rows come with the numbers that they have in the inbox. That their licenses exist is seen to when they are recorded, and
-- none is ever removed: to look again at each would take a third of the time of filing.
ALTER TABLE validations
    ALTER COLUMN sequence DROP IDENTITY,
    DROP CONSTRAINT validations_license_id_fkey;

-- What is in the inbox and not filed.
CREATE VIEW unfiled AS SELECT sequence, license_id, at, outcome, domain, fingerprint FROM inbox;
