-- When a machine key ends by itself, and when it was last used. Uses have a table of their own: a
-- change of a key empties the caches of all processes, and a use must not.

ALTER TABLE machine_keys ADD COLUMN expires_at timestamptz;

CREATE TABLE machine_key_uses (
    key_id uuid PRIMARY KEY REFERENCES machine_keys (id) ON DELETE CASCADE,
    last_used_at timestamptz NOT NULL
);
