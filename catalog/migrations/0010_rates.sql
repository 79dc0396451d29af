-- How fast a connection may be sent to, and between how many workers that is shared.

ALTER TABLE connections
    -- Absent means the vendor's own limit.
    ADD COLUMN requests_per_second integer
        CHECK (requests_per_second BETWEEN 1 AND 100000),
    -- Set when the vendor said "too many requests": nobody sends before.
    ADD COLUMN slowed_until timestamptz;

-- `counted` is how many workers there were, itself included, when this one last looked: by that
-- number it divides every rate. A worker that comes in sends nothing before all have counted it.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL,
    counted integer NOT NULL CHECK (counted > 0)
);
