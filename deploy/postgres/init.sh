#!/bin/sh
# Runs once, when the volume is empty: a role and databases for Temporal, another for the catalog.
# Neither role is a superuser, and neither can read the other's database.
set -eu

# By standard input, so that no password stands in a command line.
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
CREATE ROLE temporal LOGIN PASSWORD '$(cat /run/secrets/temporal_database_password)';
CREATE ROLE emitonce LOGIN PASSWORD '$(cat /run/secrets/emitonce_database_password)';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE emitonce OWNER emitonce;
REVOKE CONNECT ON DATABASE temporal, temporal_visibility, emitonce FROM PUBLIC;
SQL
