-- Who owns what: organisations own workspaces; a workspace owns connections, rules and mappings.
-- created_at comes from the wall clock, not from the transaction's start, because lists and the
-- order of matched rules stand on (created_at, id).

CREATE TABLE organisations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE UNIQUE INDEX organisations_one_default ON organisations (is_default) WHERE is_default;

CREATE TABLE workspaces (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id uuid NOT NULL REFERENCES organisations (id),
    name text NOT NULL,
    description text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT workspaces_name_is_unique UNIQUE (organisation_id, name)
);

CREATE INDEX workspaces_newest ON workspaces (organisation_id, created_at DESC, id DESC);

CREATE TABLE connections (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    type text NOT NULL CHECK (type IN ('customer_io')),
    name text NOT NULL,
    region text NOT NULL CHECK (region IN ('us', 'eu')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'inactive')),
    inactive_reason text CHECK (inactive_reason IN (
        'authentication_invalid',
        'oauth_authorization_revoked',
        'oauth_reauthorization_required',
        'manually_inactivated'
    )),
    encrypted_key bytea NOT NULL,
    key_id text NOT NULL,
    credential_version integer NOT NULL DEFAULT 1 CHECK (credential_version > 0),
    hidden boolean NOT NULL DEFAULT false,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT connections_inactive_has_reason
        CHECK ((status = 'inactive') = (inactive_reason IS NOT NULL)),
    -- What rules and mappings refer to, so that neither can reach into another workspace.
    CONSTRAINT connections_in_workspace UNIQUE (id, workspace_id)
);

CREATE INDEX connections_newest ON connections (workspace_id, created_at DESC, id DESC);

CREATE TABLE rules (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    event text NOT NULL CHECK (event <> ''),
    resource text CHECK (resource <> ''),
    resource_id text CHECK (resource_id <> ''),
    metadata jsonb NOT NULL,
    active boolean NOT NULL DEFAULT true,
    hidden boolean NOT NULL DEFAULT false,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT rules_connection FOREIGN KEY (connection_id, workspace_id)
        REFERENCES connections (id, workspace_id) ON DELETE CASCADE
);

-- The lookup of one event's rules. Absent means "any" and is indexed as the empty string, which no
-- rule may have as a value, so that "absent or equal" is one range of the index, not a filter.
CREATE INDEX rules_of_event
    ON rules (workspace_id, event, coalesce(resource, ''), coalesce(resource_id, ''))
    WHERE active;

CREATE INDEX rules_newest ON rules (workspace_id, created_at DESC, id DESC);
CREATE INDEX rules_of_connection ON rules (connection_id);

CREATE TABLE mappings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    mapping_id uuid NOT NULL DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    name text NOT NULL,
    schema jsonb NOT NULL,
    catalog_version text,
    created_by text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT mappings_one_default UNIQUE (connection_id),
    CONSTRAINT mappings_connection FOREIGN KEY (connection_id, workspace_id)
        REFERENCES connections (id, workspace_id) ON DELETE CASCADE
);

CREATE TABLE event_types (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    key text NOT NULL CHECK (key <> ''),
    label text NOT NULL,
    description text,
    active boolean NOT NULL DEFAULT true,
    created_by text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT event_types_key_is_unique UNIQUE (workspace_id, key)
);

CREATE TABLE resources (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    key text NOT NULL CHECK (key <> ''),
    label text NOT NULL,
    description text,
    active boolean NOT NULL DEFAULT true,
    created_by text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT resources_key_is_unique UNIQUE (workspace_id, key)
);
