#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench.sh BUILD NAME [OPTION VALUE]...: run inside tests/netns/isolate.sh. Makes the topology, measures what other programs
# have to measure (lldpad, valgrind), and leaves the rest to splitnve_bench.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/netns/lib.sh
. "$folder/../netns/lib.sh"
netns_begin "${1:?usage: bench.sh BUILD NAME [OPTION VALUE]...}"
name=${2:?usage: bench.sh BUILD NAME [OPTION VALUE]...}
shift 2
options=("$@")

# option NAME DEFAULT: what was asked for.
option() {
  local n
  for ((n = 0; n + 1 < ${#options[@]}; n += 2)); do
    [ "${options[n]}" != "$1" ] || { echo "${options[n + 1]}"; return; }
  done
  echo "$2"
}

# As in tests/bench/load.hpp.
readonly vns=100 first_vn=70000

vns_json() {   # MORE: members of each VN
  local n list=""
  for ((n = 0; n < vns; n++)); do list+=",{\"id\":$((first_vn + n)),\"alias\":\"vn$n\"$1}"; done
  printf '"vns":[%s]' "${list:1}"
}
timing_json() { printf '"ecp":{"retries":3,"rte":14},"vdp":{"rwd":20,"rka":%s}' "$1"; }

# tnved_config FILE INSTANCE RKA, nnved_config FILE INSTANCE RKA PORTS [MORE]
tnved_config() {
  config "$1" <<JSON
{ "role": "tnved", "instance": "$2", $(paths_json "$2"), $(timing_json "$3"), "log_level": "warning",
  "uplinks": [{ "interface": "up0" }], $(vns_json ""), "start_deadline_ms": 60000 }
JSON
}
nnved_config() {
  config "$1" <<JSON
{ "role": "nnved", "instance": "$2", $(paths_json "$2"), $(timing_json "$3"), "log_level": "warning", ${5:-}
  "ports": [$4], $(vns_json ",\"remote_nnves\":[\"192.0.2.2\"]"),
  "vxlan": { "interface": "vx-sw", "local": "192.0.2.1", "port": 4789 } }
JSON
}
readonly port_p1='{ "interface": "p1", "vids": "2-4094" }'

# hv trunk0, up0 --- p1 sw u0 --- u0 far        wire0 --- wire1: the machine's own round trip
pair_topology() {   # [LANE]
  local lane=${1:-}
  ns_add "hv$lane" "sw$lane" "far$lane" "guest$lane"
  link "hv$lane" up0 "sw$lane" p1
  link "guest$lane" trunk "hv$lane" trunk0
  underlay "sw$lane" 192.0.2.1 "far$lane" 192.0.2.2
}
wire_topology() {
  ip link add wire0 type veth peer name wire1
  ip link set wire0 up
  ip link set wire1 up
}
pair() {
  pair_topology
  wire_topology
  tnved_config hv hv 20
  nnved_config sw sw 20 "$port_p1"
}

# Nothing but the associations, look-ups and removals that are measured; then keep-alives every 2.6 s.
scaling() {
  pair_topology
  tnved_config hv hv 24
  nnved_config sw sw 24 "$port_p1"
  tnved_config hv-ka hv 18
  nnved_config sw-ka sw 18 "$port_p1"
}

# Reconciles are logged as news of no weight; keep-alives are as rare as the daemons allow.
turnover() {
  pair_topology
  tnved_config hv hv 24
  nnved_config sw sw 24 "$port_p1"
  sed -i 's/"log_level": "warning"/"log_level": "info"/' "$work/hv.json" "$work/sw.json"
}

# As in tests/bench/hosts.hpp: s0 --- p1 sw, ... s3 --- p4 sw.
storm() {
  local n ports=""
  ns_add sw far
  underlay sw 192.0.2.1 far 192.0.2.2
  for n in 0 1 2 3; do
    ip link add "s$n" type veth peer name "p$((n + 1))" netns sw address "02:01:00:00:00:0$((n + 1))"
    ip link set "s$n" up
    in_ns sw ip link set "p$((n + 1))" up
    ports+=",{ \"interface\": \"p$((n + 1))\", \"vids\": \"2-4094\", \"evb\": \"off\" }"
  done
  nnved_config sw sw 20 "${ports:1}"
}

# guest eth0 --- tap0 hv up0 --- p1 sw u0 --- u0 far vx0, which is a plain VXLAN device with the other end's address.
readonly guest_mac=02:ff:00:00:00:01 far_mac=02:ff:00:00:00:02
ends() {   # LANE
  link "guest$1" eth0 "hv$1" tap0
  in_ns "guest$1" ip link set eth0 address "$guest_mac"
  in_ns "guest$1" ip addr add 10.0.0.1/24 dev eth0
  in_ns "guest$1" ip neigh add 10.0.0.2 lladdr "$far_mac" dev eth0 nud permanent
  in_ns "far$1" ip link add vx0 address "$far_mac" mtu 1500 type vxlan id "$first_vn" local 192.0.2.2 remote 192.0.2.1 dstport 4789
  in_ns "far$1" ip link set vx0 up
  in_ns "far$1" ip addr add 10.0.0.2/24 dev vx0
  in_ns "far$1" ip neigh add 10.0.0.1 lladdr "$guest_mac" dev vx0 nud permanent
  in_ns "far$1" iperf3 -s >"$work/iperf$1.log" 2>&1 &
}
bridge() {   # NS IF1 IF2
  in_ns "$1" ip link add br0 type bridge
  in_ns "$1" ip link set br0 up
  in_ns "$1" ip link set "$2" master br0
  in_ns "$1" ip link set "$3" master br0
}
datapath() {
  local lane
  for lane in -few -many -plain; do pair_topology "$lane"; ends "$lane"; done
  for lane in -few -many; do
    tnved_config "hv$lane" "hv$lane" 24
    nnved_config "sw$lane" "sw$lane" 24 "$port_p1" \
      "\"remotes\": [{ \"vn\": \"vn0\", \"mac\": \"$far_mac\", \"nnve\": \"192.0.2.2\" }],"
  done
  bridge hv-plain tap0 up0
  in_ns sw-plain ip link add vx-sw mtu 1500 type vxlan id "$first_vn" local 192.0.2.1 remote 192.0.2.2 dstport 4789
  in_ns sw-plain ip link set vx-sw up
  bridge sw-plain p1 vx-sw
}

measured=()
# measure COMMAND...: its lines KEY=NUMBER go into the report.
measure() {
  local line lines
  lines=$("$@")
  while read -r line; do
    [[ ! $line =~ ^[a-z0-9_]+=[0-9.]+$ ]] || measured+=(--measured "$line")
  done <<<"$lines"
}

{
  case "$name" in
    storm) storm ;;
    scaling) scaling ;;
    datapath) datapath ;;
    turnover) turnover ;;
    codec) ;;
    *) pair ;;
  esac
  if [ "$(option --smoke no)" = no ]; then
    tsis=$(option --tsis 100000)
    case "$name" in
      associate) measure python3 "$folder/lldpad_rate.py" "$build" 500 ;;
      scaling) measure "$folder/agent_instructions.sh" "$build/tests/bench/agent_instructions" $((tsis / 10)) "$tsis" ;;
      codec) measure "$folder/codec_instructions.sh" "$build/tests/bench/codec_instructions" ;;
    esac
  fi
} >&2

trap - ERR
status=0
"$build/tests/bench/splitnve_bench" "$name" --build "$build" --work "$work" "${measured[@]}" "$@" || status=$?
if [ "$status" -gt 2 ]; then tail -n 15 "$work"/*.log >&2; fi
exit "$status"
