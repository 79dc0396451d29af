-- Slow-downs apart from the connections: a change of a connection empties the caches of its
-- workspace in all processes, and a vendor's "too many requests" must not.

CREATE TABLE slow_downs (
    connection_id uuid PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    -- Nobody sends before.
    until timestamptz NOT NULL
);

-- False where the worker's release knows of slow-downs by connections.slowed_until alone. While
-- such a worker is alive that column is written, too.
ALTER TABLE workers ADD COLUMN hears_slow_downs boolean NOT NULL DEFAULT false;
