#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# isolate.sh COMMAND...: runs COMMAND in its own network, mount and pid namespaces, with its own bpffs and an empty /run
# (so that /run/netns, /run/splitnve and temporary files are its own). Its exit status is ours. Whatever happens, even
# SIGKILL, the kernel takes namespaces, pins, programs, processes and files away with the last process.
set -euo pipefail

die() { echo "isolate.sh: $*" >&2; exit 2; }

if [ "${1:-}" != --inside ]; then
  [ $# -gt 0 ] || die "usage: isolate.sh COMMAND..."
  [ "$(id -u)" = 0 ] || die "network namespaces and BPF need root"
  exec unshare -n -m -p -f --kill-child --mount-proc -- "$0" --inside "$@"
fi
shift

mount -t tmpfs -o mode=0755 splitnve-run /run
mkdir -p /run/netns /run/splitnve /run/tmp
mount -t bpf bpf /sys/fs/bpf || die "no bpffs: this kernel lacks BPF"
# Where the defaults point to, if a daemon is installed on this machine: never its real state.
[ ! -d /var/lib/splitnve ] || mount -t tmpfs splitnve-lib /var/lib/splitnve
export TMPDIR=/run/tmp SPLITNVE_ISOLATED=1
ip link set lo up

# Not exec: we are pid 1 here and collect the orphans of whatever the command leaves behind.
status=0
"$@" || status=$?
exit "$status"
