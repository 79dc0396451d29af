-- What the workers of a fleet know, so that only what all of them know is used.

-- Absent where the worker's release does not say: it knows what the first release knew.
ALTER TABLE workers
    ADD COLUMN release text,
    ADD COLUMN knows jsonb;

-- What has been used since all live workers knew it. A worker that lacks any of it is not admitted.
CREATE TABLE fleet_uses (
    kind text NOT NULL CHECK (kind IN ('build', 'feature')),
    name text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, name)
);
