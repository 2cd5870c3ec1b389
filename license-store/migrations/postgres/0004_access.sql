-- Who may call. None is ever removed: one that is revoked stays known.
CREATE TABLE tokens (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    digest       BYTEA            NOT NULL UNIQUE,
    name         TEXT COLLATE "C" NOT NULL,
    scopes       TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT           NOT NULL,
    last_used_at BIGINT,
    expires_at   BIGINT,
    revoked_at   BIGINT
);

-- What they did.
CREATE TABLE audit (
    sequence    BIGINT           NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          BIGINT           NOT NULL,
    actor_kind  TEXT COLLATE "C" NOT NULL,
    actor_token TEXT COLLATE "C",
    actor_name  TEXT COLLATE "C",
    request_id  TEXT COLLATE "C",
    address     TEXT COLLATE "C",
    action      TEXT COLLATE "C" NOT NULL,
    license_id  TEXT COLLATE "C",
    token_id    TEXT COLLATE "C",
    changes     TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C"
);

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_license ON audit (license_id, sequence);
CREATE INDEX audit_by_actor ON audit (actor_token, sequence);
CREATE INDEX audit_by_token ON audit (token_id, sequence);
CREATE INDEX audit_by_action ON audit (action, sequence);
