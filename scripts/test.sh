#!/usr/bin/env bash
# `npm test`: sets the machine up, builds, and runs every test that this machine can run; see test/runner/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/bootstrap.sh --tests
bash scripts/build.sh
exec env PATH="$PWD/node_modules/.bin:$PATH" node_modules/.bin/node test/runner/main.ts "$@"
