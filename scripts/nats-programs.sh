#!/usr/bin/env bash
# Prints the path of the NATS program that the tests use: nats-programs.sh server|cli
# One on PATH if new enough; else the pinned one, built once from its Go module into .cache/bin; else, for the server,
# an older one on PATH. Exits with 1 and says why if there is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
  server) name=nats-server module=github.com/nats-io/nats-server/v2 version=v2.15.2 least=2.12 ;;
  cli) name=nats module=github.com/nats-io/natscli/nats version=v0.5.0 least=0.2 ;;
  *) printf 'usage: nats-programs.sh server|cli\n' >&2; exit 2 ;;
esac
oldest_go=1.21 # older ones can't fetch the tool chain that the module names

say() { printf 'skybraid: %s\n' "$*" >&2; }
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n1) == "$1" ]]; }
version_of() { "$1" --version 2>/dev/null | sed -n 's/.*[^0-9]\([0-9]\+\.[0-9]\+\.[0-9]\+\).*/\1/p' | head -n1; }

installed=$(command -v "$name" || true)
if [[ -n $installed ]] && at_least "$least" "$(version_of "$installed")"; then
  printf '%s\n' "$installed"
  exit 0
fi

# Sets `why` if it can't be built here.
build() {
  local go folder log
  go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null || true)
  [[ -n $go ]] || { why='Go is not installed'; return 1; }
  local go_version
  go_version=$("$go" env GOVERSION 2>/dev/null | sed 's/^go//' || true)
  at_least "$oldest_go" "${go_version:-0}" || { why="Go ${go_version:-of unknown version} is too old to build it"; return 1; }
  [[ -w . ]] || { why='this folder belongs to somebody else'; return 1; }
  mkdir -p .cache/bin
  folder=$(mktemp -d .cache/bin/building.XXXXXX)
  log=.cache/bin/$name.log
  say "building $name $version from its Go module (once; a minute or two)"
  if ! GOBIN="$PWD/$folder" GOFLAGS=-buildvcs=false CGO_ENABLED=0 "$go" install "$module@$version" >"$log" 2>&1; then
    rm -rf "$folder"
    why="building it failed: $(tail -n1 "$log")"
    return 1
  fi
  mv "$folder/$name" "$built"
  rm -rf "$folder"
}

built=$PWD/.cache/bin/$name-$version
why=
if [[ ! -x $built ]]; then
  mkdir -p .cache/bin 2>/dev/null || true
  # two test runs may want it at the same time
  exec 8>>.cache/bin/build.lock && flock 8
  [[ -x $built ]] || build 8>&- || built=
fi
[[ -n $built ]] && { printf '%s\n' "$built"; exit 0; }
if [[ $name == nats-server && -n $installed ]]; then
  say "$installed is older than $least, and a newer one can't be had: $why"
  printf '%s\n' "$installed"
  exit 0
fi
printf 'no %s of at least %s: %s\n' "$name" "$least" "$why" >&2
exit 1
