-- How much may be emitted over HTTP, and how much of it is left.

-- Of a workspace, and of a key in all workspaces together. Absent: the API's setting.
ALTER TABLE workspaces
    ADD COLUMN events_per_minute integer CHECK (events_per_minute > 0),
    ADD COLUMN bytes_per_minute bigint CHECK (bytes_per_minute > 0);
ALTER TABLE publishable_keys
    ADD COLUMN events_per_minute integer CHECK (events_per_minute > 0),
    ADD COLUMN bytes_per_minute bigint CHECK (bytes_per_minute > 0);
ALTER TABLE machine_keys
    ADD COLUMN events_per_minute integer CHECK (events_per_minute > 0),
    ADD COLUMN bytes_per_minute bigint CHECK (bytes_per_minute > 0);

-- The API processes that share them. Unlogged, as the levels are: after a crash all processes say
-- again that they are alive, and all quotas are full.
CREATE UNLOGGED TABLE api_processes (
    id uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

-- How much of a quota of so much a minute was taken at that time; more than `quota` where it was
-- overdrawn. `subject` is a key or a workspace. Of a row that is missing nothing is taken.
CREATE UNLOGGED TABLE quota_levels (
    policy text NOT NULL,
    subject uuid NOT NULL,
    quota double precision NOT NULL,
    taken double precision NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (policy, subject)
);
