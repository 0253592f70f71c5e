#!/usr/bin/env bash
# Runs a TypeScript program of this repository straight from its source: scripts/run.sh FILE.ts [ARGUMENTS]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/bootstrap.sh" --tests
bash "$root/scripts/build.sh" --native-only
cd "$root"
exec node_modules/.bin/node --conditions=source "$@"
