#!/usr/bin/env bash
# `npm run images`: installs and builds what is missing, then makes the images; see its --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/bootstrap.sh
bash scripts/build.sh
exec node_modules/.bin/node scripts/images/main.ts "$@"
