# shellcheck shell=bash
# Sourced: programs that are installed or built once from their Go modules into .cache/bin.

oldest_go=1.21 # older ones can't fetch the tool chain that a module names

say() { printf 'skybraid: %s\n' "$*" >&2; }
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n1) == "$1" ]]; }

# first_version COMMAND...: the first x.y.z in what the command prints.
first_version() { "$@" 2>/dev/null | sed -n 's/.*[^0-9]\([0-9]\+\.[0-9]\+\.[0-9]\+\).*/\1/p' | head -n1; }

# Sets `why` if it can't be built here.
build_go_program() {
  local name=$1 module=$2 version=$3 output=$4
  local go folder log go_version
  go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null || true)
  [[ -n $go ]] || { why='Go is not installed'; return 1; }
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
  mv "$folder/$name" "$output"
  rm -rf "$folder"
}

# ensure_go_program NAME MODULE VERSION: sets `built` to its path, or to nothing and `why` to the reason. With
# `only_built` set nothing is built.
ensure_go_program() {
  built=$PWD/.cache/bin/$1-$3
  why=
  [[ -x $built ]] && return 0
  [[ -z ${only_built:-} ]] || { built= why='it is not built yet'; return 0; }
  mkdir -p .cache/bin 2>/dev/null || true
  # two test runs may want it at the same time
  exec 8>>.cache/bin/build.lock && flock 8
  [[ -x $built ]] || build_go_program "$1" "$2" "$3" "$built" 8>&- || built=
  exec 8>&-
}
