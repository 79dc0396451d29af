#!/bin/sh
# Makes the namespace with 30 days of retention: the delivery log, redelivery and de-duplication by
# idempotency key last that long. A namespace that exists is left as it is; `emitonce doctor` says
# when it keeps less.
set -eu

tries=30
until temporal operator cluster health > /dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then
        echo "error: no Temporal server answers at $TEMPORAL_ADDRESS" >&2
        exit 1
    fi
    sleep 2
done

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" > /dev/null 2>&1; then
    echo "namespace $TEMPORAL_NAMESPACE is there"
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi
