#!/usr/bin/env bash
# Installs what is missing: Debian or Ubuntu packages, and the npm packages, Node 26 among them.
# Does nothing, quickly, when nothing is missing. With --demo, --tests or --kube also what only those need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=packages.sh
source scripts/packages.sh

say() { printf 'skybraid: %s\n' "$*" >&2; }
fail() { say "$*"; exit 3; }

wanted=("${run_packages[@]}")
case "${1:-}" in
  --demo) wanted+=("${demo_packages[@]}") ;;
  --tests) wanted+=("${test_packages[@]}") ;;
  --kube) wanted+=("${test_packages[@]}" "${kube_packages[@]}") ;;
esac
# What is installed and built is kept in this folder; without write access only what is there already can run.
if [[ ! -w . ]]; then
  [[ -x node_modules/.bin/node && -f packages/cli/dist/main.js ]] && exit 0
  fail "this folder belongs to somebody else, so nothing can be installed or built in it; a finished build would still run; start as root: sudo npm start"
fi
mkdir -p .cache
exec 9>.cache/bootstrap.lock
flock 9

# Runs a command quietly; its output is shown only if it fails.
quietly() {
  local log=.cache/bootstrap.log
  "$@" >"$log" 2>&1 9>&- || { cat "$log" >&2; return 1; }
}

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii //p' || true)
  comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(printf '%s\n' "$installed" | sort -u)
}

# Packages such as nginx start a service when installed; a policy file in place for the moment keeps them from it.
install_packages() {
  local policy=/usr/sbin/policy-rc.d ours=no
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    ours=yes
  fi
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  local status=0
  quietly apt-get update || say 'apt-get update failed; trying with the package lists at hand'
  quietly apt-get install -y --no-install-recommends "$@" || status=$?
  [[ $ours == yes ]] && rm -f "$policy"
  return "$status"
}

ensure_system_packages() {
  local -a missing
  mapfile -t missing < <(missing_packages)
  (( ${#missing[@]} )) || return 0
  if (( EUID != 0 )); then
    fail "these packages are missing and installing them needs root: ${missing[*]}; nothing can be built without them; run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  say "installing Debian packages: ${missing[*]}"
  install_packages "${missing[@]}" || fail "apt-get could not install: ${missing[*]}; nothing can be built without them; see the output above"
}

# Without dpkg only the commands can be looked for; which packages carry them is the distribution's matter.
ensure_commands() {
  local command
  local -a missing=()
  for command in clang make g++ bpftool; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  (( ${#missing[@]} == 0 )) || fail "not a Debian or Ubuntu system, and these commands are missing: ${missing[*]}; nothing can be built without them; install them and the development files of libbpf, libelf and zlib"
}

ensure_npm_packages() {
  local stamp=node_modules/.skybraid-installed inputs
  inputs=$(cat pnpm-lock.yaml pnpm-workspace.yaml package.json packages/*/package.json | sha256sum)
  [[ -x node_modules/.bin/node && -f $stamp && $(<"$stamp") == "$inputs" ]] && return 0
  command -v npx >/dev/null || fail 'npm is missing; Node and all libraries come through it; install Node 18 or later with npm'
  say 'installing npm packages (Node 26 among them)'
  CI=true quietly npx -y "$(sed -n 's/.*"packageManager": *"\([^"]*\)".*/\1/p' package.json)" install --frozen-lockfile \
    || fail 'the npm packages could not be installed; nothing runs without them; see the output above'
  node_modules/.bin/node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 26 ? 0 : 1)' \
    || fail 'node_modules/.bin/node is not Node 26; remove node_modules and start again'
  printf '%s' "$inputs" >"$stamp"
}

# The programs of the bus. Without them its tests are skipped and say why; Debian's server is too old for some of them.
ensure_nats() {
  bash scripts/nats-programs.sh cli >/dev/null 9>&- || true
  bash scripts/nats-programs.sh server >/dev/null 9>&- && return 0
  (( EUID == 0 )) && command -v apt-get >/dev/null || return 0
  say 'installing Debian package: nats-server'
  install_packages nats-server || say 'apt-get could not install nats-server; the tests of the bus are skipped'
}

if command -v dpkg-query >/dev/null; then
  ensure_system_packages
else
  ensure_commands
fi
ensure_npm_packages
if [[ "${1:-}" == --tests ]]; then
  ensure_nats
  bash scripts/python-consumer.sh >/dev/null 9>&- || true # its test says why it is skipped
  bash scripts/helm-program.sh >/dev/null 9>&- || true # so does that of the chart
fi
