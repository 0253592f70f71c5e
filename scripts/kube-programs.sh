#!/usr/bin/env bash
# Builds the programs of the test cluster from their Go modules and prints the folder of each: `NAME FOLDER` a line.
#   kube-programs.sh [--built] [NAME...]    names: kubernetes containerd cni coredns helm; without any, all
# Everything is pinned by go.mod and go.sum in test/kube/programs (helm: scripts/helm-program.sh) and kept in .cache;
# the first build takes some ten minutes on two cores. With --built nothing is built: exits with 1 and says what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

only_built=
[[ ${1:-} == --built ]] && { only_built=yes; shift; }
names=("$@")
(( ${#names[@]} )) || names=(kubernetes containerd cni coredns helm)
oldest_go=1.21 # older ones can't fetch the tool chain that the modules name
recipe=1       # another number when the flags below change, so that what was built before is built again

say() { printf 'skybraid: %s\n' "$*" >&2; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
at_least() { [[ $(printf '%s\n' "$1" "$2" | sort -V | head -n1) == "$1" ]]; }

# version NAME: what its go.mod pins
version() {
  local module
  case $1 in
    kubernetes) module=k8s.io/kubernetes ;;
    containerd) module=github.com/containerd/containerd/v2 ;;
    cni) module=github.com/containernetworking/plugins ;;
    coredns) module=github.com/coredns/coredns ;;
    *) fail "kube-programs.sh: no program is called $1" ;;
  esac
  sed -n "s#^\(require\)\?[[:space:]]*$module \(v[0-9][^ ]*\).*#\2#p" "$(source_of "$1")/go.mod" | head -n1
}

source_of() { [[ $1 == cni ]] && set -- containerd; printf 'test/kube/programs/%s' "$1"; }
folder_of() { printf '%s/.cache/kube/%s-%s' "$PWD" "$1" "$(version "$1")"; }
inputs_of() { { printf '%s' "$recipe"; cat "$(source_of "$1")"/{go.mod,go.sum,*.go}; } | sha256sum | cut -c1-16; }
is_built() { [[ $(cat "$(folder_of "$1")/inputs" 2>/dev/null) == "$(inputs_of "$1")" ]]; }

# compile FOLDER LDFLAGS TAGS PACKAGES...: from the source folder; the paths of this machine stay out of the programs
compile() {
  local output=$1 ldflags=$2 tags=$3
  shift 3
  "$go" build -trimpath -buildvcs=false -mod=readonly -tags "$tags" -ldflags "-s -w $ldflags" -o "$output/" "$@"
}

# Clients ask the servers for their version, and an unstamped one is v0.0.0.
kubernetes_stamp() {
  local package=k8s.io/component-base/version numbers
  IFS=. read -ra numbers <<<"${1#v}"
  printf -- '-X %s ' "$package.gitVersion=$1" "$package.gitMajor=${numbers[0]}" "$package.gitMinor=${numbers[1]}" \
    "$package.gitTreeState=clean" "k8s.io/client-go/pkg/version.gitVersion=$1"
}

build_kubernetes() {
  local part
  CGO_ENABLED=0 compile "$1" "$(kubernetes_stamp "$2")" '' .
  mv "$1/kubernetes" "$1/kube-all"
  for part in kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    ln -s kube-all "$1/$part"
  done
}

build_containerd() {
  local module=github.com/containerd/containerd/v2
  CGO_ENABLED=0 compile "$1" "-X $module/version.Version=$2" 'no_btrfs no_devmapper no_zfs no_aufs' \
    "$module/cmd/containerd" "$module/cmd/containerd-shim-runc-v2" "$module/cmd/ctr"
}

build_cni() {
  local module=github.com/containernetworking/plugins/plugins
  CGO_ENABLED=0 compile "$1" '' '' "$module"/{main/ptp,main/loopback,ipam/host-local,meta/portmap}
}

build_coredns() { CGO_ENABLED=0 compile "$1" '' '' .; }

# The same program as that of the chart's tests, under the name that people type.
ensure_helm() {
  local path
  path=$(bash scripts/helm-program.sh ${only_built:+--built}) || fail 'helm is not built: npm run kube -- up builds it'
  mkdir -p .cache/kube/helm
  [[ $(readlink .cache/kube/helm/helm) == "$path" ]] || ln -sfn "$path" .cache/kube/helm/helm
  printf 'helm %s\n' "$PWD/.cache/kube/helm"
}

# A line every half minute, so that a long build is not taken for a hanging one.
with_progress() {
  local started=$SECONDS builder
  "${@:2}" &
  builder=$!
  while kill -0 "$builder" 2>/dev/null; do
    sleep 1
    (( (SECONDS - started) % 30 == 0 )) && say "still building $1 ($((SECONDS - started)) s)"
  done
  wait "$builder"
}

ensure_built() {
  local name=$1 wanted folder building log
  wanted=$(version "$name") folder=$(folder_of "$name") log=$PWD/.cache/kube/$name.log
  is_built "$name" && return 0
  [[ -z $only_built ]] || fail "$name $wanted is not built: npm run kube -- up builds it"
  go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null || true)
  [[ -n $go ]] || fail "$name can't be built: Go is not installed"
  at_least "$oldest_go" "$("$go" env GOVERSION | sed 's/^go//')" || fail "$name can't be built: $("$go" version) is too old"
  building=$(mktemp -d .cache/kube/building.XXXXXX)
  building=$PWD/$building
  say "building $name $wanted from its Go module (once)"
  local started=$SECONDS
  if ! (cd "$(source_of "$name")" && with_progress "$name" "build_$name" "$building" "$wanted") 2> >(tee "$log" | grep --line-buffered "^skybraid:" >&2); then
    rm -rf "$building"
    fail "building $name failed: $(grep -v '^go: downloading' "$log" | tail -n3)"
  fi
  inputs_of "$name" >"$building/inputs"
  chmod 755 "$building"
  rm -rf "$folder"
  mv "$building" "$folder"
  say "built $name in $((SECONDS - started)) s"
}

if [[ -z $only_built ]]; then
  mkdir -p .cache/kube 2>/dev/null || fail 'this folder belongs to somebody else'
  exec 8>>.cache/kube/build.lock
  flock 8
  rm -rf .cache/kube/building.* # of one that was stopped
fi
for name in "${names[@]}"; do
  [[ $name == helm ]] && { ensure_helm 8>&-; continue; }
  ensure_built "$name" 8>&-
  printf '%s %s\n' "$name" "$(folder_of "$name")"
done
