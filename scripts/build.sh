#!/usr/bin/env bash
# Builds what is out of date: the kernel programs, the native addon, and (unless --native-only) the packages.
# A fingerprint of the inputs (names, sizes, times) and of the machine's compiler decides, so nothing to do is quick.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'skybraid: %s\n' "$*" >&2; }
mkdir -p .cache/build
exec 9>.cache/build.lock
flock 9

fingerprint() {
  { find "$@" \( -name node_modules -o -name dist -o -name build \) -prune -o \
      -type f \( -name '*.ts' -o -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name 'Makefile*' -o -name '*.mk' \
      -o -name 'package.json' -o -name 'tsconfig*.json' \) -printf '%p %s %T@\n' | sort
    uname -r; } | sha256sum
}

# part NAME 'what is being built' OUTPUT INPUTS... -- COMMAND...: runs the command unless its inputs are as they were.
part() {
  local name=$1 title=$2 output=$3 now
  local -a inputs=()
  shift 3
  while [[ $1 != -- ]]; do inputs+=("$1"); shift; done
  shift
  now=$(fingerprint "${inputs[@]}")
  [[ -e $output && -f .cache/build/$name && $(<".cache/build/$name") == "$now" ]] && return 0
  say "building $title"
  if ! "$@" >".cache/build/$name.log" 2>&1 9>&-; then
    cat ".cache/build/$name.log" >&2
    say "building $title failed; the output is above"
    exit 1
  fi
  # of what it was at the begin: what changed meanwhile is built next time
  printf '%s\n' "$now" >".cache/build/$name"
}

part bpf 'kernel programs (bpf/)' bpf/build bpf -- make -j"$(nproc)" -C bpf
part native 'native addon (native/)' native/build native bpf/include -- make -j"$(nproc)" -C native
[[ "${1:-}" == --native-only ]] && exit 0
part ts 'packages (TypeScript)' packages/cli/dist/main.js packages tsconfig.json tsconfig.base.json \
  -- node_modules/.bin/tsc -b packages/shared packages/collector packages/aggregator packages/cli
