#!/usr/bin/env bash
# Prints the path of a Python that can run the Python programs of the tests, and the folder of the generated code:
# both are made once below .cache. Exits with 1 and says why if they can't be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(nats-py==2.16.0 protobuf==7.36.2 zstandard==0.25.0 opentelemetry-proto==1.45.2 grpcio==1.85.3)
folder=$PWD/.cache/python
stamp=$folder/installed

fail() { printf '%s\n' "$*" >&2; exit 1; }

for program in python3 protoc; do
  command -v "$program" >/dev/null || fail "$program is missing"
done
mkdir -p "$folder"
exec 8>>"$folder/lock" && flock 8
if [[ ! -f $stamp || $(<"$stamp") != "${packages[*]}" ]]; then
  printf 'skybraid: installing %s for the Python programs of the tests\n' "${packages[*]}" >&2
  {
    python3 -m venv --clear "$folder/venv" &&
      "$folder/venv/bin/pip" install --disable-pip-version-check --quiet "${packages[@]}"
  } >"$folder/log" 2>&1 || fail "Python packages can't be had: $(tail -n1 "$folder/log")"
  printf '%s' "${packages[*]}" >"$stamp"
fi
protoc --python_out="$folder" -I proto proto/skybraid/v1/flow.proto || fail 'protoc cannot read the proto'
printf '%s\n%s\n' "$folder/venv/bin/python" "$folder"
