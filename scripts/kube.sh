#!/usr/bin/env bash
# `npm run kube`: the cluster of test/kube; see its --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/bootstrap.sh --kube
exec node_modules/.bin/node test/kube/cli.ts "$@"
