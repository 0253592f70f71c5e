#!/bin/busybox sh
# First program of the emulated machine: what the product needs mounted, then the test proper, then power off.
export PATH=/bin
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t securityfs security /sys/kernel/security
$bb mount -t cgroup2 cgroup2 /sys/fs/cgroup
$bb mount -t tmpfs tmp /tmp
$bb hostname guest
$bb ip link set lo up
cd /opt/skybraid && node /guest.mjs
$bb poweroff -f
