#!/bin/sh
# Makes the secrets that docker-compose.yml mounts into its containers, in ./secrets. What is there
# already is kept. Losing credential_keys loses every stored Customer.io key, losing payload_keys what
# Temporal has stored of events and every event under way: keep a copy of both elsewhere.
#
# The folder is closed to other users of the host. The files in it are readable, since the
# containers' users are not the host's.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
chmod 700 secrets

random() { # bytes
    head -c "$1" /dev/urandom | base64 | tr -d '\n'
}
password() {
    head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'
}
make() { # name, value
    [ -s "secrets/$1" ] || { printf '%s' "$2" > "secrets/$1"; echo "made secrets/$1"; }
    chmod 644 "secrets/$1"
}

make postgres_password "$(password)"
make grafana_password "$(password)"
make temporal_database_password "$(password)"
make emitonce_database_password "$(password)"
make emitonce_database_url \
    "postgresql://emitonce:$(cat secrets/emitonce_database_password)@postgres:5432/emitonce"
make emitonce_credential_keys "k1:$(random 32)"
make emitonce_payload_keys "k1:$(random 32)"
make emitonce_instance_secret "$(random 32)"
