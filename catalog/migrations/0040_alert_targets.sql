-- Where alerts are posted. One place for all workers, so that it doesn't depend on which of them
-- takes an alert.

-- URL, signing secret and heartbeat's URL are one encrypted JSON: such URLs often hold a secret.
CREATE TABLE alert_targets (
    id uuid PRIMARY KEY,
    encrypted_target bytea NOT NULL,
    key_id text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
