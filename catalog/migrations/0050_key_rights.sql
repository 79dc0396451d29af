-- What a publishable key may do, and whose its idempotency keys are.

-- `namespace`: of the first of the keys that replaced each other; absent: its own id. `events` and
-- `origins` are all that it may emit and come from; absent: any. `kept_wide`: on purpose.
ALTER TABLE publishable_keys
    ADD COLUMN namespace uuid,
    ADD COLUMN events text[],
    ADD COLUMN origins text[],
    ADD COLUMN identify text NOT NULL DEFAULT 'any' CHECK (identify IN ('any', 'anonymous')),
    ADD COLUMN kept_wide boolean NOT NULL DEFAULT false;

-- API processes of the release before know none of this, and may still be running for a while. A
-- catalog without keys had none, so a new installation has no row here.
CREATE TABLE older_api (
    runs_until timestamptz NOT NULL
);

INSERT INTO older_api (runs_until)
    SELECT clock_timestamp() + interval '1 hour' WHERE EXISTS (SELECT FROM publishable_keys);
