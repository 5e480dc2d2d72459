#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD NAME [OPTION...]: run inside tests/netns/isolate.sh. Makes the topology and leaves the rest to
# splitnve_bench:
#   hv trunk0, up0 --- p1 sw u0 --- u0 far        wire0 --- wire1: the machine's own round trip
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/netns/lib.sh
. "$folder/../netns/lib.sh"
netns_begin "${1:?usage: bench.sh BUILD NAME [OPTION...]}"
shift

# As in tests/bench/load.hpp.
readonly vns=100 first_vn=70000

vns_json() {   # MORE: members of each VN
  local n list=""
  for ((n = 0; n < vns; n++)); do list+=",{\"id\":$((first_vn + n)),\"alias\":\"vn$n\"$1}"; done
  printf '"vns":[%s]' "${list:1}"
}
readonly timing='"ecp":{"retries":3,"rte":14},"vdp":{"rwd":20,"rka":20}'

{
  ns_add hv sw far guest
  link hv up0 sw p1
  link guest eth0 hv trunk0
  underlay sw 192.0.2.1 far 192.0.2.2
  ip link add wire0 type veth peer name wire1
  ip link set wire0 up
  ip link set wire1 up
} >&2

config hv <<JSON
{ "role": "tnved", "instance": "hv", $(paths_json hv), $timing, "log_level": "warning",
  "uplinks": [{ "interface": "up0" }], $(vns_json ""), "start_deadline_ms": 60000 }
JSON
config sw <<JSON
{ "role": "nnved", "instance": "sw", $(paths_json sw), $timing, "log_level": "warning",
  "ports": [{ "interface": "p1", "vids": "2-4094" }], $(vns_json ",\"remote_nnves\":[\"192.0.2.2\"]"),
  "vxlan": { "interface": "vx-sw", "local": "192.0.2.1", "port": 4789 } }
JSON

trap - ERR
status=0
"$build/tests/bench/splitnve_bench" "$1" --build "$build" --work "$work" "${@:2}" || status=$?
if [ "$status" -gt 2 ]; then tail -n 15 "$work"/*.log >&2; fi
exit "$status"
