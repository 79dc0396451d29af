-- Connections of other destinations than the first.

-- The setting `region` stays in its column, '' where a destination has none; every other setting is
-- in `settings`. `encrypted_key` holds one secret as it is, several as a JSON object. Which types
-- and values there may be is the destinations' to know.
ALTER TABLE connections
    DROP CONSTRAINT connections_type_check,
    DROP CONSTRAINT connections_region_check,
    ADD COLUMN settings jsonb NOT NULL DEFAULT '{}';

-- What an older API process lacks that can still be running: since 0050 the sources of events, now
-- the other types, which it can't list.
ALTER TABLE older_api ADD COLUMN lacks text NOT NULL DEFAULT 'sources';

INSERT INTO older_api (runs_until, lacks)
    SELECT clock_timestamp() + interval '1 hour', 'types' WHERE EXISTS (SELECT FROM connections);
