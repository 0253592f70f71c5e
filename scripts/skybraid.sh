#!/usr/bin/env bash
# Runs the built `skybraid` with the Node of this checkout: scripts/skybraid.sh [COMMAND] [OPTIONS]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
node_flags=()
# A collector holds little and lives on every node: a small young generation is collected often and cheaply, one
# helper thread is enough for that, and one arena keeps freed buffers in one place.
if [[ ${1:-} == collector ]]; then
  node_flags=(--max-semi-space-size=1 --max-old-space-size=64 --v8-pool-size=1)
  export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"
fi
# Pages of the young generation, once used, stay with the process: some 40 MB more with twice the size.
if [[ ${1:-} == aggregator ]]; then
  node_flags=(--max-semi-space-size=8)
fi
exec "$root/node_modules/.bin/node" "${node_flags[@]}" "$root/packages/cli/dist/main.js" "$@"
