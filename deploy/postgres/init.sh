#!/bin/sh
# Runs when the volume is empty, and may run again: a role and databases for Temporal, others for
# the catalog. `emitonce` owns the catalog's tables and migrates them; `emitonce_app`, which worker
# and API use, reads and writes rows and can change no table. No role is a superuser, and none can
# read another's database.
#
# After an upgrade from a release without emitonce_app, and after deploy/make-secrets.sh:
#   docker compose exec postgres sh /docker-entrypoint-initdb.d/emitonce.sh
set -eu

secret() { cat "/run/secrets/$1"; }

# By standard input, so that no password stands in a command line.
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
SELECT format('CREATE ROLE %I LOGIN', name)
    FROM unnest(ARRAY['temporal', 'emitonce', 'emitonce_app']) AS name
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \\gexec
ALTER ROLE temporal PASSWORD '$(secret temporal_database_password)';
ALTER ROLE emitonce PASSWORD '$(secret emitonce_database_password)';
ALTER ROLE emitonce_app PASSWORD '$(secret emitonce_app_database_password)';
SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
    FROM (VALUES ('temporal', 'temporal'), ('temporal_visibility', 'temporal'),
                 ('emitonce', 'emitonce')) AS wanted (name, owner)
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \\gexec
REVOKE CONNECT, TEMPORARY ON DATABASE temporal, temporal_visibility, emitonce FROM PUBLIC;
GRANT CONNECT ON DATABASE emitonce TO emitonce_app;
\\connect emitonce
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO emitonce_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO emitonce_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO emitonce_app;
ALTER DEFAULT PRIVILEGES FOR ROLE emitonce IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO emitonce_app;
ALTER DEFAULT PRIVILEGES FOR ROLE emitonce IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO emitonce_app;
SQL
