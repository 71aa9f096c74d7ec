#!/bin/sh
# Serve BURNISH_MODEL on all addresses of the container; compose publishes the port on this machine only.
set -eu
if [ -z "${BURNISH_MODEL:-}" ]; then
    echo "error: BURNISH_MODEL is empty: no model is named, and none is promoted" >&2
    echo "hint:  name one: BURNISH_MODEL=support@production, or start it with burnish up serve" >&2
    exit 2
fi
if [ -n "${BURNISH_API_KEY:-}" ]; then
    exec burnish serve --model "$BURNISH_MODEL" --host 0.0.0.0 --api-key-env BURNISH_API_KEY "$@"
fi
exec burnish serve --model "$BURNISH_MODEL" --host 0.0.0.0 --allow-no-key true "$@"
