#!/usr/bin/env bash
# helm-program.sh [--built]: prints the path of the helm that the tests of the chart and of the cluster use. It is the
# pinned one, built once from its Go module into .cache/bin; else one on PATH of version 3. Exits with 1 and says why if
# there is none. With --built nothing is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=go-program.sh
source scripts/go-program.sh

[[ ${1:-} == --built ]] && only_built=yes
ensure_go_program helm helm.sh/helm/v3/cmd/helm v3.22.0
[[ -n $built ]] && { printf '%s\n' "$built"; exit 0; }
installed=$(command -v helm || true)
[[ -n $installed && $("$installed" version --short 2>/dev/null) == v3.* ]] && { printf '%s\n' "$installed"; exit 0; }
printf 'no helm of version 3: %s\n' "$why" >&2
exit 1
