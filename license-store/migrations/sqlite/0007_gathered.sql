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
