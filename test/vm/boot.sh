#!/usr/bin/env bash
# Boots a Debian cloud kernel in an emulated machine, runs the built product there on real traffic, and prints what
# its API answered between two marker lines. Usage: boot.sh 6.1|6.12 [KERNEL PARAMETERS]   (needs qemu-system-x86,
# busybox-static, cpio, e2fsprogs; the project must be built). Nothing outside .cache/vm is written; nothing stays running.
set -euo pipefail
series=${1:?kernel series, for example 6.1}
parameters=${2:-}
root=$(cd "$(dirname "$0")/../.." && pwd)
cache="$root/.cache/vm"
kernel_dir="$cache/kernel-$series"
mkdir -p "$cache"

kernel_package() {
	case $series in
	6.1) apt-cache depends linux-image-cloud-amd64 ;;
	*) apt-cache depends "linux-image-$series-cloud-amd64" ;;
	esac | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

fetch_kernel() {
	[ -e "$kernel_dir/complete" ] && return
	local package
	package=$(kernel_package)
	[ -n "$package" ] || { echo "no kernel package for series $series in the package lists" >&2; exit 3; }
	rm -rf "$kernel_dir" && mkdir -p "$kernel_dir"
	(cd "$kernel_dir" && apt-get download -qq "$package" 2>/dev/null && dpkg -x ./*.deb . && rm ./*.deb)
	find "$kernel_dir" -name '*.ko.xz' -exec xz -d {} +
	touch "$kernel_dir/complete"
}

build_initramfs() {
	local stage="$cache/initramfs-$series" modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk veth)
	rm -rf "$stage" && mkdir -p "$stage"/{bin,dev,proc,sys,new,modules}
	cp "$(command -v busybox)" "$stage/bin/busybox"
	{
		echo '#!/bin/busybox sh'
		echo 'bb=/bin/busybox; $bb mount -t devtmpfs dev /dev; $bb mount -t proc proc /proc'
		for module in "${modules[@]}"; do
			local file
			file=$(find "$kernel_dir" -name "$module.ko" | head -n 1)
			[ -n "$file" ] || continue
			cp "$file" "$stage/modules/"
			echo "\$bb insmod /modules/$module.ko"
		done
		echo 'n=0; while [ ! -b /dev/vda ] && [ $n -lt 100 ]; do $bb sleep 0.1; n=$((n+1)); done'
		echo '$bb mount -t ext4 /dev/vda /new && exec $bb switch_root /new /guest.sh'
		echo 'echo "the disk image could not be mounted"; $bb poweroff -f'
	} >"$stage/init"
	chmod +x "$stage/init"
	(cd "$stage" && find . | cpio -o -H newc --quiet) >"$cache/initramfs-$series.cpio"
}

# Copies a program and the shared libraries it needs.
copy_program() {
	local stage=$1 program=$2 target=$3 library
	install -D "$program" "$stage$target"
	for library in $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true); do
		[ -e "$stage$library" ] || install -D "$library" "$stage$library"
	done
}

build_disk() {
	local stage="$cache/disk" node
	node=$(readlink -f "$root/node_modules/node/bin/node")
	rm -rf "$stage" && mkdir -p "$stage"/{bin,dev,proc,sys,run,tmp,opt/skybraid/native/build,opt/skybraid/bpf}
	copy_program "$stage" "$node" /bin/node
	copy_program "$stage" "$root/native/build/skybraid.node" /opt/skybraid/native/build/skybraid.node
	cp -r "$root/bpf/build" "$stage/opt/skybraid/bpf/build"
	cp "$(command -v busybox)" "$stage/bin/busybox"
	ln -s busybox "$stage/bin/sh"
	(cd "$root" && npx -y pnpm@12.21.0 --filter @skybraid/cli --prod --legacy deploy "$stage/opt/skybraid/packages/cli" >"$cache/deploy.log" 2>&1) ||
		{ cat "$cache/deploy.log" >&2; exit 1; }
	cp "$root/test/vm/guest.sh" "$root/test/vm/guest.mjs" "$stage/"
	chmod +x "$stage/guest.sh"
	rm -f "$cache/disk.img"
	mkfs.ext4 -q -F -d "$stage" "$cache/disk.img" 700M
}

fetch_kernel
build_initramfs
[ "${KEEP_DISK:-}" ] || build_disk
exec timeout 400 qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 1500 -nographic -no-reboot -nic none \
	-kernel "$(find "$kernel_dir/boot" -name 'vmlinuz*' | head -n 1)" -initrd "$cache/initramfs-$series.cpio" \
	-drive "file=$cache/disk.img,format=raw,if=virtio,snapshot=on" \
	-append "console=ttyS0 quiet panic=-1 rdinit=/init $parameters" </dev/null
