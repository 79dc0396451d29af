-- Since when a connection is inactive, for the alert: two refusals are told apart by it, and a new
-- name is no refusal. A trigger writes it, because releases that don't know of it change the status
-- too. NULL where the connection is not inactive, or has been since before this migration.
ALTER TABLE connections ADD COLUMN inactive_since timestamptz;

CREATE FUNCTION emitonce_note_inactive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.inactive_since := CASE
        WHEN NEW.status <> 'inactive' THEN NULL
        -- What older releases take for the moment; a person in psql may leave it as it was.
        WHEN NEW.updated_at > OLD.updated_at THEN NEW.updated_at
        ELSE clock_timestamp()
    END;
    RETURN NEW;
END
$$;

CREATE TRIGGER connections_note_inactive BEFORE UPDATE ON connections
    FOR EACH ROW WHEN (NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION emitonce_note_inactive();
