-- How the latest attempts of each connection ended, and how many events wait for it. Workers write
-- it every few seconds, apart from the requests, so it may lack what happened just before a worker
-- died: it is a measurement, and the delivery log is Temporal's.

CREATE TABLE connection_traffic (
    connection_id uuid PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    last_success timestamptz,
    last_failure timestamptz,
    -- How the latest failed attempt ended: codes and one sentence of ours.
    last_error jsonb,
    -- Since the last success: the first failure, and how many there were.
    failing_since timestamptz,
    failures bigint NOT NULL DEFAULT 0,
    -- Events that wait longer than a delivery takes, and when the oldest of them was started.
    waiting bigint NOT NULL DEFAULT 0,
    oldest timestamptz
);

-- When a worker last counted what waits: one does it for all of them.
CREATE TABLE traffic_counted (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at timestamptz NOT NULL
);
INSERT INTO traffic_counted (at) VALUES ('epoch');
