-- Every writer tells the caches, whoever it is: another worker, the API, or a person in psql.
-- The payload is the workspace that changed; '*' means all. PostgreSQL sends equal notifications
-- of one transaction once, so a bulk load costs one message a workspace.

CREATE FUNCTION emitonce_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('emitonce_catalog', '*');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM pg_notify('emitonce_catalog', to_jsonb(OLD) ->> TG_ARGV[0]);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM pg_notify('emitonce_catalog', to_jsonb(NEW) ->> TG_ARGV[0]);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER workspaces_announce AFTER INSERT OR UPDATE OR DELETE ON workspaces
    FOR EACH ROW EXECUTE FUNCTION emitonce_announce('id');
CREATE TRIGGER connections_announce AFTER INSERT OR UPDATE OR DELETE ON connections
    FOR EACH ROW EXECUTE FUNCTION emitonce_announce('workspace_id');
CREATE TRIGGER rules_announce AFTER INSERT OR UPDATE OR DELETE ON rules
    FOR EACH ROW EXECUTE FUNCTION emitonce_announce('workspace_id');
CREATE TRIGGER mappings_announce AFTER INSERT OR UPDATE OR DELETE ON mappings
    FOR EACH ROW EXECUTE FUNCTION emitonce_announce('workspace_id');

CREATE TRIGGER workspaces_announce_truncate AFTER TRUNCATE ON workspaces
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_announce();
CREATE TRIGGER connections_announce_truncate AFTER TRUNCATE ON connections
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_announce();
CREATE TRIGGER rules_announce_truncate AFTER TRUNCATE ON rules
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_announce();
CREATE TRIGGER mappings_announce_truncate AFTER TRUNCATE ON mappings
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_announce();
