#!/bin/sh
# Run a recipe here, or containers: ./run_pipeline.sh recipe.yaml --set … is `burnish run`; ./run_pipeline.sh up train …
# (or down, bash, logs) is `burnish up`.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
burnish="$here/.venv/bin/burnish"
if [ ! -x "$burnish" ]; then
    burnish=$(command -v burnish) || {
        echo "error: burnish is not installed" >&2
        echo "hint:  make setup, or pip install burnish" >&2
        exit 5
    }
fi
case "${1:-}" in
    "")
        echo "usage: $0 RECIPE.yaml [options of burnish run]" >&2
        echo "       $0 up|down|bash|logs [options of that command]" >&2
        exit 2
        ;;
    up | down | bash | logs) exec "$burnish" "$@" ;;
    *) exec "$burnish" run "$@" ;;
esac
