-- Where alerts are posted, and what they say of a connection that was refused. One target for all
-- workers, so that it doesn't depend on which of them takes an alert.

-- URL, signing secret and heartbeat's URL are one encrypted JSON: such URLs often hold a secret.
CREATE TABLE alert_targets (
    id uuid PRIMARY KEY,
    encrypted_target bytea NOT NULL,
    key_id text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The answer that made the connection inactive, and the event it was given to. Absent where the
-- connection is not inactive, was made inactive by hand, or by a release that didn't write it.
ALTER TABLE connections ADD COLUMN refusal jsonb;
