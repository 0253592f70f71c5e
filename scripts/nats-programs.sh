#!/usr/bin/env bash
# Prints the path of the NATS program that the tests use: nats-programs.sh server|cli
# One on PATH if new enough; else the pinned one, built once from its Go module into .cache/bin; else, for the server,
# an older one on PATH. Exits with 1 and says why if there is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=go-program.sh
source scripts/go-program.sh

case "${1:-}" in
  server) name=nats-server module=github.com/nats-io/nats-server/v2 version=v2.15.2 least=2.12 ;;
  cli) name=nats module=github.com/nats-io/natscli/nats version=v0.5.0 least=0.2 ;;
  *) printf 'usage: nats-programs.sh server|cli\n' >&2; exit 2 ;;
esac

installed=$(command -v "$name" || true)
if [[ -n $installed ]] && at_least "$least" "$(first_version "$installed" --version)"; then
  printf '%s\n' "$installed"
  exit 0
fi
ensure_go_program "$name" "$module" "$version"
[[ -n $built ]] && { printf '%s\n' "$built"; exit 0; }
if [[ $name == nats-server && -n $installed ]]; then
  say "$installed is older than $least, and a newer one can't be had: $why"
  printf '%s\n' "$installed"
  exit 0
fi
printf 'no %s of at least %s: %s\n' "$name" "$least" "$why" >&2
exit 1
