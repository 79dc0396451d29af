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
make emitonce_app_database_password "$(password)"
make emitonce_app_database_url \
    "postgresql://emitonce_app:$(cat secrets/emitonce_app_database_password)@postgres:5432/emitonce"
make emitonce_credential_keys "k1:$(random 32)"
make emitonce_payload_keys "k1:$(random 32)"
make emitonce_instance_secret "$(random 32)"

# Temporal's frontend answers those alone who show a certificate of this authority, whose own key no
# container is given. Remove a .crt to have it made again; all end ten years after they were made.
issue() { # name, common name, usage, alternative names
    [ -s "secrets/$1.crt" ] && return 0
    new="secrets/.new"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
        -keyout "secrets/$1.key" -out "$new.csr" 2> /dev/null
    printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=%s\n%s' "$3" "$4" > "$new.ext"
    openssl x509 -req -in "$new.csr" -CA secrets/temporal_ca.crt -CAkey secrets/temporal_ca.key \
        -CAcreateserial -days 3650 -extfile "$new.ext" -out "secrets/$1.crt" 2> /dev/null
    rm -f "$new.csr" "$new.ext" secrets/temporal_ca.srl
    chmod 644 "secrets/$1.crt" "secrets/$1.key"
    echo "made secrets/$1.crt"
}
if [ ! -s secrets/temporal_ca.crt ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj "/CN=emitonce Temporal" -addext "keyUsage=critical,keyCertSign,cRLSign" \
        -keyout secrets/temporal_ca.key -out secrets/temporal_ca.crt 2> /dev/null
    chmod 600 secrets/temporal_ca.key
    chmod 644 secrets/temporal_ca.crt
    echo "made secrets/temporal_ca.crt"
fi
# The server's services are each other's clients.
issue temporal_server temporal serverAuth,clientAuth \
    "subjectAltName=DNS:temporal,DNS:localhost,IP:127.0.0.1"
for client in emitonce ui admin; do
    issue "temporal_$client" "$client" clientAuth ""
done
