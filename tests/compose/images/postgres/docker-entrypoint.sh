#!/bin/sh
# As much of the official image's entrypoint as the compose file uses: a new volume is set up with
# the superuser's password and the scripts of /docker-entrypoint-initdb.d, on a socket alone.
set -eu
if [ "$(id -u)" = 0 ]; then
    chown -R postgres:postgres "$PGDATA"
    chmod 700 "$PGDATA"
    exec gosu postgres "$0" "$@"
fi
POSTGRES_USER=${POSTGRES_USER:-postgres}
export POSTGRES_USER
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \
        --auth-local trust --auth-host scram-sha-256 > /dev/null
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl --wait --options "-c listen_addresses=''" start > /dev/null
    for script in /docker-entrypoint-initdb.d/*.sh; do
        [ -e "$script" ] && sh "$script"
    done
    pg_ctl --wait --mode fast stop > /dev/null
fi
exec "$@" -c listen_addresses='*'
