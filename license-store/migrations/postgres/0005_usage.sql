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
