-- Sessions of pages that are embedded in somebody else's product.

-- `role`, `type`, `extra_scopes` and, of a session for one resource, `resource` and `resource_id` say
-- what it may do. Without the key that made it, it has ended, too. Older releases erase a workspace
-- without knowing this table.
CREATE TABLE embed_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    key_id uuid NOT NULL REFERENCES machine_keys (id) ON DELETE CASCADE,
    role text NOT NULL,
    type text NOT NULL,
    resource text,
    resource_id text,
    extra_scopes text[] NOT NULL,
    origins text[],
    external_user_id text,
    launch_page text NOT NULL,
    -- Of the token that opens the first page only the hash is kept, until it is used.
    launch_hash bytea UNIQUE,
    launch_expires_at timestamptz NOT NULL,
    -- Counts access tokens: only the newest is accepted.
    generation integer NOT NULL DEFAULT 1,
    ttl_seconds integer NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz
);
CREATE INDEX embed_sessions_newest ON embed_sessions (workspace_id, created_at DESC, id DESC);
CREATE INDEX embed_sessions_oldest ON embed_sessions (created_at);

-- With whose they are, what their key may do now, and whether they have ended.
CREATE VIEW known_embed_sessions AS
    SELECT s.*, w.organisation_id, k.scopes, s.expires_at <= clock_timestamp() AS expired,
        s.revoked_at IS NOT NULL OR k.revoked_at IS NOT NULL
            OR coalesce(k.expires_at <= clock_timestamp(), false) AS ended
    FROM embed_sessions s
    JOIN workspaces w ON w.id = s.workspace_id
    JOIN machine_keys k ON k.id = s.key_id;
