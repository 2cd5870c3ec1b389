-- What is bound to a license beside it, as JSON, where it is few: whoever finds a license by its key finds all that a verdict needs on
-- one page. NULL where it is many, or has not changed since this column is here, or nothing ever was: then it is looked for in
-- `activations`. Kept by triggers, so that nodes of the version before keep it too. 32 is `BINDINGS_READ` of limits.
SET LOCAL lock_timeout = '3s';

ALTER TABLE licenses ADD COLUMN bindings TEXT COLLATE "C";

-- License by license, by index: a plan that was made while the table was small would read it through when it has grown. Each is locked
-- first, as by commands, also where somebody else than a node changes activations: what is read then is the last word.
CREATE FUNCTION license_bindings() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    of_one TEXT;
BEGIN
    FOR of_one IN SELECT DISTINCT license_id FROM changed ORDER BY license_id LOOP
        PERFORM 1 FROM licenses WHERE id = of_one FOR NO KEY UPDATE;
        UPDATE licenses SET bindings = (
            SELECT CASE WHEN COUNT(*) <= 32
                THEN CAST(COALESCE(json_agg(json_build_array(few.kind, few.value)), '[]') AS TEXT) END
            FROM (SELECT kind, value FROM activations WHERE license_id = of_one ORDER BY kind, value LIMIT 33) AS few
        )
        WHERE id = of_one AND (bindings IS NOT NULL OR domains_used + devices_used <= 32);
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER binding_made AFTER INSERT ON activations
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION license_bindings();

CREATE TRIGGER binding_freed AFTER DELETE ON activations
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION license_bindings();

-- Nobody does so; who does it one day, or by hand, shall not leave behind what is not so.
CREATE FUNCTION license_binding_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE licenses SET bindings = NULL WHERE id IN (OLD.license_id, NEW.license_id);
    RETURN NULL;
END $$;

CREATE TRIGGER binding_changed AFTER UPDATE OF license_id, kind, value ON activations
FOR EACH ROW EXECUTE FUNCTION license_binding_changed();
