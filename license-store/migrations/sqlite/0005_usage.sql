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
