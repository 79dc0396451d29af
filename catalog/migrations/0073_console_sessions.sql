-- Who has signed in to the console. Of a session's id, which the browser has, only the hash is kept.
CREATE TABLE console_sessions (
    id_hash bytea PRIMARY KEY,
    key_id uuid NOT NULL REFERENCES machine_keys (id) ON DELETE CASCADE,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the secret was shown the last time.
    proved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
