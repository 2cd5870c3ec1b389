-- Who may call. None is ever removed: one that is revoked stays known.
CREATE TABLE tokens (
    id           TEXT    NOT NULL PRIMARY KEY,
    digest       BLOB    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    scopes       TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;

-- What they did. Numbers are not used again.
CREATE TABLE audit (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    actor_kind  TEXT    NOT NULL,
    actor_token TEXT,
    actor_name  TEXT,
    request_id  TEXT,
    address     TEXT,
    action      TEXT    NOT NULL,
    license_id  TEXT,
    token_id    TEXT,
    changes     TEXT    NOT NULL,
    metadata    TEXT
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_license ON audit (license_id, sequence);
CREATE INDEX audit_by_actor ON audit (actor_token, sequence);
CREATE INDEX audit_by_token ON audit (token_id, sequence);
CREATE INDEX audit_by_action ON audit (action, sequence);
