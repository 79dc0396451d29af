#!/bin/sh
# Brings Temporal's two databases to the schema of this version of the tools. Safe to run again:
# what has been applied is left alone. The database's role need not create databases.
set -eu
SQL_PASSWORD="$(cat /run/secrets/temporal_database_password)"
export SQL_PASSWORD

for name in temporal visibility; do
    case $name in
        temporal) database=temporal ;;
        visibility) database=temporal_visibility ;;
    esac
    temporal-sql-tool --database "$database" setup-schema --version 0.0
    temporal-sql-tool --database "$database" update-schema \
        --schema-dir "/etc/temporal/schema/postgresql/v12/$name/versioned"
done
