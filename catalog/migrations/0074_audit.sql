-- Who did what: written before it is done, how it ended afterwards. Ids only, no personal data.

CREATE TABLE audit (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- Absent: somebody who showed no key that exists.
    organisation_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    via text NOT NULL,
    actor text NOT NULL,
    act text NOT NULL,
    ids jsonb NOT NULL,
    address text
);
CREATE INDEX audit_newest ON audit (created_at DESC, id DESC);

CREATE TABLE audit_outcomes (
    audit_id uuid PRIMARY KEY REFERENCES audit (id) ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome text NOT NULL,
    ids jsonb NOT NULL
);

-- Nothing of it is changed, and nothing is deleted but by the function below.
CREATE FUNCTION emitonce_keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('emitonce.forgets_audit', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit is appended to, and never changed';
END
$$;
CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION emitonce_keep_audit();
CREATE TRIGGER audit_not_truncated BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_keep_audit();
CREATE TRIGGER audit_outcomes_kept BEFORE UPDATE OR DELETE ON audit_outcomes
    FOR EACH ROW EXECUTE FUNCTION emitonce_keep_audit();
CREATE TRIGGER audit_outcomes_not_truncated BEFORE TRUNCATE ON audit_outcomes
    FOR EACH STATEMENT EXECUTE FUNCTION emitonce_keep_audit();

-- Forget what is older than its retention, which is a month at least, as much at a time as fits into
-- one statement's time. It runs as the owner, since the application's role may not delete.
CREATE FUNCTION emitonce_forget_audit(days integer) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM set_config('emitonce.forgets_audit', 'on', true);
    DELETE FROM audit WHERE id IN (
        SELECT id FROM audit
        WHERE created_at < clock_timestamp() - make_interval(days => greatest(days, 30))
        ORDER BY created_at LIMIT 10000
    );
    PERFORM set_config('emitonce.forgets_audit', 'off', true);
END
$$;

DO $$
DECLARE
    role name;
BEGIN
    FOR role IN
        SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_name IN ('audit', 'audit_outcomes') AND grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit, audit_outcomes FROM %I', role);
    END LOOP;
END
$$;
