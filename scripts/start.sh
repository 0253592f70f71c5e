#!/usr/bin/env bash
# `npm start`: installs and builds what is missing, then observes this machine. Flags go to `skybraid standalone`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/scripts/bootstrap.sh"
bash "$root/scripts/build.sh"
exec "$root/node_modules/.bin/node" "$root/packages/cli/dist/main.js" standalone "$@"
