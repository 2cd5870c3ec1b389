-- What is bound to a license beside it, as JSON, where it is few: whoever finds a license by its key finds all that a verdict needs on
-- one page. NULL where it is many, or has not changed since this column is here, or nothing ever was: then it is looked for in
-- `activations`. Kept by triggers, so that nodes of the version before keep it too. 32 is `BINDINGS_READ` of limits.
ALTER TABLE licenses ADD COLUMN bindings TEXT;

-- What shall stand there; for one license at a time.
CREATE VIEW bound AS
SELECT id AS license_id, (
    SELECT CASE WHEN COUNT(*) <= 32 THEN json_group_array(json_array(kind, value)) END
    FROM (SELECT kind, value FROM activations WHERE license_id = licenses.id ORDER BY kind, value LIMIT 33)
) AS bindings
FROM licenses;

CREATE TRIGGER binding_made AFTER INSERT ON activations
BEGIN
    UPDATE licenses SET bindings = (SELECT bindings FROM bound WHERE license_id = NEW.license_id)
    WHERE id = NEW.license_id AND (bindings IS NOT NULL OR domains_used + devices_used <= 32);
END;

CREATE TRIGGER binding_freed AFTER DELETE ON activations
BEGIN
    UPDATE licenses SET bindings = (SELECT bindings FROM bound WHERE license_id = OLD.license_id)
    WHERE id = OLD.license_id AND (bindings IS NOT NULL OR domains_used + devices_used <= 32);
END;

-- Nobody does so; who does it one day, or by hand, shall not leave behind what is not so.
CREATE TRIGGER binding_changed AFTER UPDATE OF license_id, kind, value ON activations
BEGIN
    UPDATE licenses SET bindings = NULL WHERE id IN (OLD.license_id, NEW.license_id);
END;
