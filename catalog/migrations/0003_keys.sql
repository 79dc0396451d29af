-- Who may call the HTTP API. A publishable key may emit events into one workspace and stands in
-- web pages, so it is stored readable. A machine key may do everything for one organisation; its
-- secret is encrypted as credentials are, and gone for good once the key is revoked.

CREATE TABLE publishable_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    public_key text NOT NULL,
    name text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    CONSTRAINT publishable_keys_are_unique UNIQUE (public_key)
);

CREATE INDEX publishable_keys_newest ON publishable_keys (workspace_id, created_at DESC, id DESC);

CREATE TABLE machine_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations (id),
    access_key text NOT NULL,
    encrypted_secret bytea,
    key_id text,
    name text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    CONSTRAINT machine_keys_are_unique UNIQUE (access_key),
    CONSTRAINT machine_keys_secret_until_revoked
        CHECK ((revoked_at IS NULL) = (encrypted_secret IS NOT NULL AND key_id IS NOT NULL))
);

CREATE INDEX machine_keys_newest ON machine_keys (organisation_id, created_at DESC, id DESC);

-- A key is looked up before its workspace is known, so all keys are one thing to the caches: in
-- place of a workspace, 'keys' is announced.
CREATE FUNCTION emitonce_announce_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('emitonce_catalog', 'keys');
    RETURN NULL;
END
$$;

CREATE TRIGGER publishable_keys_announce
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON publishable_keys
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_announce_keys();
CREATE TRIGGER machine_keys_announce
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON machine_keys
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_announce_keys();
