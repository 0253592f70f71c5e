#!/usr/bin/env bash
# `npm start`: installs and builds what is missing, then runs `skybraid`. A first word names the command, for example
# `npm start -- collector --nats …`; without one it is `standalone`, which observes this machine.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for_demo=()
for flag in "$@"; do [[ $flag == --demo ]] && for_demo=(--demo); done
bash "$root/scripts/bootstrap.sh" "${for_demo[@]}"
bash "$root/scripts/build.sh"
# compiled code of the libraries is kept, so that the next start is quicker
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/.cache/node}"
exec bash "$root/scripts/skybraid.sh" "$@"
