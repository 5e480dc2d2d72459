#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: vm TEST                                          a test of tests/vm under Debian's own kernel, in a virtual machine
#
# The guest runs on this machine's file system, read-only below an overlay: what it writes is gone with it. No KVM needed.
# A test that says `# boot: systemd` runs as a service of a systemd that is PID 1 there; others alone, in namespaces.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
test=tests/vm/${1:-}.sh
[ -f "$test" ] || { echo "usage: tools/dev vm TEST; TEST is one of: $(cd tests/vm && ls ./*.sh | sed 's/\.sh$//;s/^\.\///' | xargs)" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "tools/dev vm: the guest reads all of this file system, which needs root" >&2; exit 1; }
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/split-nve/vm seconds_max=${SPLITNVE_VM_SECONDS:-600}

# The newest kernel package, unpacked once; nothing is installed on this machine.
kernel() {
  local package fresh=$cache.new
  [ ! -s "$cache/version" ] || [ tools/dev.d/vm.sh -nt "$cache/version" ] || return 0
  package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -1)
  echo "tools/dev vm: getting ${package:?no package linux-image-amd64: apt-get update}" >&2
  rm -rf "$fresh"
  mkdir -p "$fresh/package"
  (cd "$fresh/package" && apt-get -q download "$package" >&2)
  dpkg -x "$fresh"/package/*.deb "$fresh"
  rm -rf "$fresh/package"
  version=$(basename "$fresh"/boot/vmlinuz-*)
  version=${version#vmlinuz-}
  [ -d "$fresh/lib/modules" ] || { mkdir -p "$fresh/lib" && ln -s ../usr/lib/modules "$fresh/lib/modules"; }
  depmod -b "$fresh" "$version"
  first_root "$fresh"
  unpacked "$fresh/boot/vmlinuz-$version" "$fresh/kernel"
  echo "$version" >"$fresh/version"
  rm -rf "$cache"
  mv "$fresh" "$cache"
}

# unpacked VMLINUZ FILE: the kernel without its compression, which an emulated processor takes seconds for; else as it is.
unpacked() {
  local at
  at=$(LC_ALL=C grep -abo -m1 -P '\xfd7zXZ\x00' "$1" | head -1 | cut -d: -f1) || at=
  [ -z "$at" ] || tail -c "+$((at + 1))" "$1" | xz -dc >"$2" 2>/dev/null || true   # what follows is no more of it
  [ "$(head -c 4 "$2" 2>/dev/null | tail -c 3)" = ELF ] || cp "$1" "$2"
}

# first_root FOLDER: an initramfs that mounts the file system of this machine and goes on there.
first_root() {
  local root=$1/first module file
  mkdir -p "$root"/{bin,proc,sys,dev,below,over,root,modules}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for module in virtio_pci 9pnet_virtio 9p overlay; do
    # A module that is built in says so instead of a file.
    for file in $(modprobe -d "$1" -S "$version" --show-depends "$module" | sed -n 's/^insmod \(\S*\).*/\1/p'); do
      [ ! -e "$root/modules/$(basename "${file%.xz}")" ] || continue
      case "$file" in *.xz) xz -dc "$file" >"$root/modules/$(basename "${file%.xz}")" ;; *) cp "$file" "$root/modules/" ;; esac
      basename "${file%.xz}" >>"$root/modules/order"
    done
  done
  cat >"$root/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
for kind in proc sysfs devtmpfs; do
  case $kind in proc) at=/proc ;; sysfs) at=/sys ;; *) at=/dev ;; esac
  $b mount -t $kind $kind $at
done
for module in $($b cat /modules/order); do $b insmod "/modules/$module"; done
$b mount -t 9p -o ro,cache=loose,trans=virtio,version=9p2000.L,msize=262144 below /below
$b mount -t tmpfs over /over && $b mkdir /over/up /over/work
$b mount -t overlay -o lowerdir=/below,upperdir=/over/up,workdir=/over/work root /root
for at in proc sys dev; do $b mount --move /$at /root/$at; done
$b mount -t tmpfs tmpfs /root/run && $b mkdir -p /root/run/guest
$b mount -t 9p -o trans=virtio,version=9p2000.L guest /root/run/guest
exec $b switch_root /root /bin/bash /run/guest/run
INIT
  chmod +x "$root/init"
  (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$1/first.gz"
  rm -rf "$root"
}

# The guest's script that hands over to systemd, with the test as its only purpose. What is masked only costs time here.
systemd_as_init() {
  cat <<'INIT'
rm -f /.dockerenv   # this is no container, whatever the machine outside is
units=/run/systemd/system
mkdir -p $units
printf '[Unit]\nRequires=basic.target vm-test.service\nAfter=basic.target\nAllowIsolate=yes\n' >$units/vm-test.target
printf '[Unit]\nAfter=basic.target dbus.socket\nWants=dbus.socket\n[Service]\nType=oneshot\nExecStart=/bin/bash /run/guest/test\n' \
  >$units/vm-test.service
for unit in systemd-tmpfiles-setup.service systemd-tmpfiles-clean.timer systemd-update-utmp.service ldconfig.service \
  systemd-udev-trigger.service systemd-hwdb-update.service systemd-binfmt.service systemd-journal-flush.service \
  proc-sys-fs-binfmt_misc.automount; do
  ln -s /dev/null $units/$unit
done
exec /lib/systemd/systemd --system --unit=vm-test.target --show-status=no --log-level=warning
INIT
}

isolate="tests/netns/isolate.sh "
! grep -q '^# boot: systemd$' "$test" || isolate=
kernel
tools/dev build --preset release nnved tnved vdpctl >&2
version=$(cat "$cache/version")
guest=$(mktemp -d)
trap 'rm -rf "$guest"' EXIT
cat >"$guest/test" <<TEST
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
cd "$PWD" && ${isolate}"$test" build/release >/dev/ttyS0 2>&1 </dev/null
echo \$? >/run/guest/status; sync
echo o >/proc/sysrq-trigger; sleep 60
TEST
{ echo "mkdir -p /lib/modules && mount --bind '$cache/lib/modules' /lib/modules"
  if [ -z "$isolate" ]; then systemd_as_init; else echo 'mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec /bin/bash /run/guest/test'; fi; } >"$guest/run"
timeout --foreground "$seconds_max" qemu-system-x86_64 -accel tcg,thread=multi,tb-size=256 -cpu max -m 1024 -smp 2 -nodefaults \
  -no-user-config -display none -no-reboot -nic none -kernel "$cache/kernel" -initrd "$cache/first.gz" \
  -append "console=ttyS0 loglevel=1 panic=-1 mitigations=off systemd.show_status=no" -serial stdio \
  -virtfs local,path=/,mount_tag=below,security_model=none,readonly=on,multidevs=remap \
  -virtfs "local,path=$guest,mount_tag=guest,security_model=none" </dev/null | sed -u "s/\r$//" || true
[ -s "$guest/status" ] || { echo "tools/dev vm: the guest did not come to an end within $seconds_max s" >&2; exit 1; }
exit "$(cat "$guest/status")"
