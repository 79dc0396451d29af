#!/bin/sh
# Stand-ins for the images that docker-compose.yml names, for machines that reach package mirrors
# but no image registry: the same programs in the same places, from Debian's packages and from Go
# modules, under the same names. Images that are there already are kept.
#
#   tests/compose/images/build.sh [folder for what is built]
#
# Needs root, a Docker daemon, debootstrap and Go.
set -eu
cd "$(dirname "$0")"
cache=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/emitonce/images}
mkdir -p "$cache/bin"
export DOCKER_BUILDKIT=0

missing() { ! docker image inspect "$1" > /dev/null 2>&1; }
build() { # image, folder, files of the cache...
    missing "$1" || return 0
    image=$1 folder=$2
    shift 2
    context=$cache/context
    rm -rf "$context"
    cp -R "$folder" "$context"
    for file in "$@"; do cp -R "$cache/bin/$file" "$context/"; done
    echo "building $image"
    docker build --quiet --tag "$image" "$context"
}

# Debian, with this machine's package sources and certificates.
if missing debian:bookworm-slim; then
    echo "building debian:bookworm-slim"
    root=$cache/debian
    rm -rf "$root"
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[.*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
        /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2> /dev/null | head -n 1)
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" "$mirror" \
        > "$cache/debootstrap.log"
    rm -f "$root/etc/apt/sources.list"
    cp -R /etc/apt/sources.list* "$root/etc/apt/"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar -C "$root" -c . | docker import - debian:bookworm-slim
    rm -rf "$root"
fi

# Temporal's own programs, at the versions that docker-compose.yml names. The modules' main
# packages are called by the names of their folders.
program() { # file, package@version, name it is built under
    [ -x "$cache/bin/$1" ] && return 0
    echo "building $1"
    GOBIN=$cache/bin CGO_ENABLED=0 GOFLAGS=-trimpath go install -ldflags "-s -w" "$2"
    [ "$3" = "$1" ] || mv "$cache/bin/$3" "$cache/bin/$1"
}
program temporal-server go.temporal.io/server/cmd/server@v1.32.0 server
program temporal-sql-tool go.temporal.io/server/cmd/tools/sql@v1.32.0 sql
program ui-server github.com/temporalio/ui-server/v2/cmd/server@v2.54.1 server
# Later tags of the command line can't be installed as modules; what the jobs ask of it is old.
program temporal github.com/temporalio/cli/cmd/temporal@v1.5.1 temporal

server=$(go mod download -json go.temporal.io/server@v1.32.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
ui=$(go mod download -json github.com/temporalio/ui-server/v2@v2.54.1 |
    sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
rm -rf "$cache/bin/schema" "$cache/bin/entrypoint.sh" "$cache/bin/start-ui-server.sh" \
    "$cache/bin/docker.yaml"
cp -R "$server/schema" "$server/docker/scripts/sh/entrypoint.sh" "$cache/bin/"
cp "$ui/docker/start-ui-server.sh" "$ui/config/docker.yaml" "$cache/bin/"
chmod -R u+w "$cache/bin"

build postgres:15.18 postgres
build temporalio/server:1.32.0 temporal-server temporal-server entrypoint.sh
build temporalio/admin-tools:1.32.0 temporal-admin-tools temporal temporal-sql-tool schema
build temporalio/ui:2.54.1 temporal-ui ui-server start-ui-server.sh docker.yaml
build python:3.11-slim-bookworm python

# The compose command, where the Docker client has none.
if ! docker compose version > /dev/null 2>&1 && [ ! -x "$cache/bin/docker-compose" ]; then
    echo "building docker-compose"
    (cd tools && CGO_ENABLED=0 go build -trimpath -mod=mod -ldflags "-s -w" \
        -o "$cache/bin/docker-compose" github.com/docker/compose/v2/cmd)
fi
