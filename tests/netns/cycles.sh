#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cycles.sh BUILD [CYCLES]: TSIs created, started and shut down leave nothing: maps, stores, memory, VIDs, authority.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: cycles.sh BUILD [CYCLES]}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
cycles=${2:-500}

step "Three hypervisors, two switches; blue1 and blue2 run all the time"
build_datacentre
ip link add trunk0 netns hv1 type veth peer name trunk1 netns hv1
in_ns hv1 ip link set trunk0 up
in_ns hv1 ip link set trunk1 up
start_datacentre
for vm in blue1 blue2; do tsi "$(host_of "$vm")" create "$vm"; done
for vm in blue1 blue2; do tsi "$(host_of "$vm")" start "$vm"; done
cat >"$work/plan" <<JSON
{ "cycles": $cycles, "warm": $((cycles / 5 + 20)), "tsis": 2, "vns": [70001, 70002],
  "hypervisor": "$(socket_of hv1)", "switch": "$(socket_of sw1)",
  "pids": { "nnved": $(pid_of sw1), "tnved": $(pid_of hv1) },
  "pins": ["/sys/fs/bpf/splitnve/sw1", "/sys/fs/bpf/splitnve/hv1"] }
JSON
step "$cycles cycles of create, start, shutdown"
PYTHONDONTWRITEBYTECODE=1 python3 "$netns_folder/cycles.py" "$work/plan" || fail "$failed_in: something is left"
pings blue1 "$(ip_of blue2)" || fail "$failed_in: blue1 does not reach blue2"
step_end
