-- What a machine key may do (absent: all), and keys that are a token themselves.

-- Of a token only the hash is kept. Its `access_key` is its first part, by which it is found.
ALTER TABLE machine_keys
    ADD COLUMN scopes text[],
    ADD COLUMN token_hash bytea,
    DROP CONSTRAINT machine_keys_secret_until_revoked,
    ADD CONSTRAINT machine_keys_proof_until_revoked CHECK (
        CASE WHEN revoked_at IS NULL
            THEN (encrypted_secret IS NOT NULL AND key_id IS NOT NULL) <> (token_hash IS NOT NULL)
            ELSE encrypted_secret IS NULL AND key_id IS NULL
        END
    );

-- API processes of the release before heed no scopes, and may still be running for a while.
INSERT INTO older_api (runs_until, lacks)
    SELECT clock_timestamp() + interval '1 hour', 'scopes' WHERE EXISTS (SELECT FROM machine_keys);
