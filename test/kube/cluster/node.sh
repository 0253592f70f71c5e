#!/usr/bin/env bash
# Becomes a node. Runs in namespaces of its own (network, mounts, host name, cgroups) and in the cgroup NAME/system:
#   node.sh NAME ADDRESS FOLDER, with HIERARCHIES (`FOLDER=CONTROLLERS` each, those of cgroup2 empty), PROGRAMS, PKI
# Every hostPath has its usual name on the node. All mounts vanish with the last process.
set -euo pipefail
name=$1 address=$2 folder=$3

hostname "$name"
mount --make-rshared /
mkdir -p "$folder"/{tmp,kubelet,containerd,cni-state,pod-logs,container-logs,log,old-sys}

# A sysfs of this network namespace, with the machine's tracefs and a bpffs of the node's own.
mount --rbind /sys "$folder/old-sys"
mount --make-rprivate "$folder/old-sys"
mount -t sysfs sysfs /sys
mount --rbind "$folder/old-sys/kernel/tracing" /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf

# The trees begin at the node's own cgroup, as on a machine of its own.
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
for hierarchy in $HIERARCHIES; do
  at=/sys/fs/cgroup/${hierarchy%%=*} controllers=${hierarchy#*=}
  mkdir "$at"
  if [[ -n $controllers ]]; then mount -t cgroup -o "$controllers" cgroup "$at"; else mount -t cgroup2 cgroup2 "$at"; fi
  echo $$ >"$at/system/cgroup.procs"
done
umount -l "$folder/old-sys"

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns
mount --bind "$folder/kubelet" /var/lib/kubelet
mount --make-shared /var/lib/kubelet
mount --bind "$folder/containerd" /var/lib/containerd
mount --bind "$folder/cni-state" /var/lib/cni
mount --bind "$folder/cni" /etc/cni/net.d
mount --bind "$folder/pod-logs" /var/log/pods
mount --bind "$folder/container-logs" /var/log/containers
mount --bind "$folder/resolv.conf" /etc/resolv.conf

# runc leaves files in TMPDIR when it is killed in the midst of its work
export TMPDIR=$folder/tmp PATH=$PROGRAMS:/usr/sbin:/usr/bin:/sbin:/bin
containerd --config "$folder/containerd.toml" >>"$folder/log/containerd.log" 2>&1 &
echo $! >"$folder/containerd.pid"
# a kubelet that finds no containerd ends, and nobody here starts it again
until ctr --connect-timeout 2s version >/dev/null 2>&1; do
  kill -0 "$(<"$folder/containerd.pid")" || exit 1
  sleep 0.05
done
kubelet --config="$folder/kubelet.yaml" --kubeconfig="$PKI/$name.kubeconfig" --hostname-override="$name" \
  --node-ip="$address" >>"$folder/log/kubelet.log" 2>&1 &
echo $! >"$folder/kubelet.pid"
kube-proxy --config="$folder/kube-proxy.yaml" >>"$folder/log/kube-proxy.log" 2>&1 &
echo $! >"$folder/kube-proxy.pid"
wait
