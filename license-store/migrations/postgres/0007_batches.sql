-- Validations as they come: a row for each batch, since to record one shall cost little more than its bytes. They are filed later, many
-- at once. `rows` is JSON: of each validation an array of the columns of `validations` behind `sequence`, in their order; what is
-- missing at the end is NULL. The sequence of each is made of the number of its batch and of its place there; numbers begin beyond
-- the sequences of before. Rows stay as they are, in their page where they fit: to compress them, or to put them elsewhere, is work.
SET LOCAL lock_timeout = '3s';

CREATE TABLE batches (
    number BIGINT           NOT NULL GENERATED ALWAYS AS IDENTITY (START WITH 1048576),
    size   BIGINT           NOT NULL,
    rows   TEXT COLLATE "C" NOT NULL
) WITH (toast_tuple_target = 8160);

ALTER TABLE batches ALTER COLUMN rows SET STORAGE EXTERNAL;

-- What is in the inbox moves; and what nodes of the version before put there goes the same way. The view first: its readers lock it
-- before they lock the inbox.
DROP VIEW unfiled;
LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE;

INSERT INTO batches (size, rows)
SELECT COUNT(*), CAST(json_agg(json_build_array(license_id, at, outcome, domain, fingerprint, country, region, client, covered_by)
                               ORDER BY sequence) AS TEXT)
FROM inbox
GROUP BY sequence / 1000
ORDER BY sequence / 1000;

DELETE FROM inbox;

CREATE FUNCTION license_inbox_to_batches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO batches (size, rows)
    VALUES (1, CAST(json_build_array(json_build_array(NEW.license_id, NEW.at, NEW.outcome, NEW.domain, NEW.fingerprint,
        NEW.country, NEW.region, NEW.client, NEW.covered_by)) AS TEXT));
    RETURN NULL;
END $$;

CREATE TRIGGER inbox_to_batches BEFORE INSERT ON inbox
FOR EACH ROW EXECUTE FUNCTION license_inbox_to_batches();

-- What is recorded and not filed. `batch` is what it stands in: to look there for the id of a license is quicker than to read all.
CREATE VIEW unfiled AS
SELECT batches.number * 16777216 + each.place - 1 AS sequence, (each.value ->> 0) COLLATE "C" AS license_id,
       CAST(each.value ->> 1 AS BIGINT) AS at, (each.value ->> 2) COLLATE "C" AS outcome, (each.value ->> 3) COLLATE "C" AS domain,
       (each.value ->> 4) COLLATE "C" AS fingerprint, (each.value ->> 5) COLLATE "C" AS country,
       (each.value ->> 6) COLLATE "C" AS region, (each.value ->> 7) COLLATE "C" AS client,
       (each.value ->> 8) COLLATE "C" AS covered_by, batches.number, batches.rows AS batch
FROM batches CROSS JOIN LATERAL jsonb_array_elements(CAST(batches.rows AS jsonb)) WITH ORDINALITY AS each (value, place);
