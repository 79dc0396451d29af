-- Which keys encrypt, and which process has which keys. A key is put to use only once every process
-- that runs has it: what one writes, all the others can read.

CREATE TABLE keys_in_use (
    kind text NOT NULL CHECK (kind IN ('credential', 'payload')),
    key_id text NOT NULL,
    -- Tells another key of the same id apart; nothing of the key can be got from it.
    check_value text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, key_id)
);

-- Keys are written as id:check value. The sealing ones are those that the process encrypts with.
CREATE TABLE key_holders (
    process uuid PRIMARY KEY,
    role text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    credential_keys text[] NOT NULL,
    payload_keys text[] NOT NULL,
    sealing_credential text,
    sealing_payload text,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION emitonce_announce_keys_in_use() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('emitonce_catalog', 'keys in use');
    RETURN NULL;
END
$$;

CREATE TRIGGER keys_in_use_announce
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON keys_in_use
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_announce_keys_in_use();
