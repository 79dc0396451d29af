-- Sessions of people who sign in by single sign-on. `user_id` is made of their id at the provider
-- with the instance secret, so that nobody is named here. `scopes` are what they may do until they
-- sign in again.
ALTER TABLE console_sessions
    ALTER COLUMN key_id DROP NOT NULL,
    ADD COLUMN user_id uuid,
    ADD COLUMN organisation_id uuid REFERENCES organisations (id) ON DELETE CASCADE,
    ADD COLUMN scopes text[],
    ADD CONSTRAINT console_sessions_of_a_key_or_a_user CHECK (
        CASE WHEN user_id IS NULL
            THEN key_id IS NOT NULL AND organisation_id IS NULL AND scopes IS NULL
            ELSE key_id IS NULL AND organisation_id IS NOT NULL AND scopes IS NOT NULL
        END
    );
