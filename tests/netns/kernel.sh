# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # work and others are of lib.sh
# What the tests of the kernel watch share: the data centre, two taps in one bridge as libvirt makes it, and a loss that
# is told. Source it after datacentre.sh.
#
# hv1 has br0 with tap-blue1 and tap-red1. A frame of blue1 that nobody guards goes over it to red1, where `leaks_none` listens.

start_kernel_test() {
  local vm
  build_datacentre
  start_datacentre
  for vm in $(vms); do tsi "$(host_of "$vm")" create "$vm"; done
  for vm in $(vms); do tsi "$(host_of "$vm")" start "$vm"; done
  for vm in $(vms); do wait_for 5 "both sides agree on $vm" both_say "$vm" activated; done
  in_ns hv1 ip link add br0 type bridge
  in_ns hv1 ip link set br0 up
  for vm in blue1 red1; do in_ns hv1 ip link set "tap-$vm" master br0; done
}

# foreign ARGUMENTS...: foreign.py, in a namespace.
foreign() { in_ns "$1" python3 "$netns_folder/foreign.py" "${@:2}"; }

kernel_count() { counter "$1" kernel "$2"; }
rose() { [ "$(kernel_count "$1" "$2")" -gt "$3" ]; }
kernel_lines() { kernel_log "$@" | wc -l || true; }
said_again() { [ "$(kernel_lines "${@:1:3}")" -gt "$4" ]; }
kernel_log() { grep -E "kernel\.$2 part=$3 " "$work/$1.log"; }
audit_is_clean() { ctl "$1" audit >"$work/audit"; }
audit_names() { ! ctl "$1" audit >"$work/audit" && grep -q "^kernel " "$work/audit"; }

# lost INSTANCE PART COMMAND...: what COMMAND undoes is counted, logged as mended, listed by `kernel show`, and named by
# the next audit but not by the one after it.
lost() {
  local instance=$1 part=$2 before lines
  before=$(kernel_count "$instance" "$part")
  lines=$(kernel_lines "$instance" mended "$part")
  "${@:3}"
  wait_for 5 "$instance counts $part" rose "$instance" "$part" "$before"
  wait_for 5 "$instance says that $part was mended" said_again "$instance" mended "$part" "$lines"
  ctl "$instance" kernel show | grep -q "$part" || fail "$failed_in: kernel show does not list $part"
  audit_names "$instance" || fail "$failed_in: audit does not name it"
  wait_for 3 "audit of $instance is clean again" audit_is_clean "$instance"
}
# must_fail COMMAND...: it may not succeed; what it says is in $work/check.
must_fail() { ! "$@" >"$work/check" 2>&1 || fail "$failed_in: succeeded: $*"; }
# reached VM IP: traffic passes, at once or within a second.
reached() { wait_for 2 "$1 reaches $2" pings "$1" "$2"; }

# leaks_none: of a hundred frames that blue1 may not send, to red1 and to all, none arrives at red1.
leaks_none() {
  listen leak red1 eth0 20 1
  frames blue1 send eth0 50 02:de:ad:00:00:01 ff:ff:ff:ff:ff:ff
  frames blue1 send eth0 50 "$(mac_of blue1)" "$(mac_of red1)" 100
  sleep 0.1   # what was let through arrives within it
  is_silent leak || fail "$failed_in: an unguarded frame of blue1 arrived at red1"
  kill "$(cat "$work/leak.listener")" 2>/dev/null
  wait "$(cat "$work/leak.listener")" 2>/dev/null || true
}

# others_start, others_end: VMs behind other ports talk all the time; not one ping may be lost.
others_start() { ping_start "others-$1" "$2" "$3"; }
others_end() {
  local name=others-$1
  ping_stop "$name"
  [ "$lost" = 0 ] || fail "$failed_in: the others lost $lost of $sent pings"
  say "the others: $sent pings, none lost"
}
