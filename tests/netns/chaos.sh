#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# chaos.sh BUILD [KILLS] [SEED]: kill -9 of any daemon at random moments, while TSIs come and go and pings of established
# ones run; at the end everything must agree and no ping may be lost. Last line: chaos: kills=N differences=0 ...
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: chaos.sh BUILD [KILLS] [SEED]}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
kills=${2:-8}
seed=${3:-$RANDOM}

# Eight more VNs for the load, so that VAPs and tags come and go; keep-alives each 1.3 s.
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":17},"vid_quarantine_ms":500'
load_vns=(71001 71002 71003 71004 71005 71006 71007 71008)
more_vns() { local id; for id in "${load_vns[@]}"; do printf ',{"id":%d,"alias":"load%d"}' "$id" "$id"; done; }
port_json() { printf '{"interface":"%s","vids":"%s"}' "$1" "$2"; }
widen() { jq --argjson more "[${2#,}]" '.vns += $more' "$work/$1.json" >"$work/wide" && mv "$work/wide" "$work/$1.json"; }

step "Build: two switches, three hypervisors, pings of established TSIs; seed $seed"
build_datacentre
for instance in hv1 hv2 hv3; do
  # vid_quarantine_ms is the switch's
  jq 'del(.vid_quarantine_ms)' "$work/$instance.json" >"$work/wide" && mv "$work/wide" "$work/$instance.json"
  ip link add trunk0 netns "$instance" type veth peer name trunk1 netns "$instance"
  in_ns "$instance" ip link set trunk0 up
  in_ns "$instance" ip link set trunk1 up
done
for instance in sw1 sw2 hv1 hv2 hv3; do widen "$instance" "$(more_vns)"; done
start_datacentre
for vm in $(vms); do tsi "$(host_of "$vm")" create "$vm"; done
for vm in $(vms); do tsi "$(host_of "$vm")" start "$vm"; done
for vm in $(vms); do wait_for 5 "both sides of $vm say Activated" both_say "$vm" activated; done
ping_start near blue1 "$(ip_of blue2)" 1000000
ping_start far blue1 "$(ip_of blue3)" 1000000
ping_start same blue4 "$(ip_of blue1)" 1000000
ping_start red red1 "$(ip_of red3)" 1000000
for name in near far same red; do wait_for 5 "ping $name runs" ping_reached "$name" 10; done

daemon_plan() {   # INSTANCE PROGRAM
  printf '"%s":{"program":"%s","namespace":"%s","config":"%s","socket":"%s"}' \
    "$1" "$build/src/$2/$2" "$1" "$work/$1.json" "$(socket_of "$1")"
}
cat >"$work/plan" <<JSON
{ "seed": $seed, "kills": $kills, "tsis_per_host": 40,
  "daemons": { $(daemon_plan sw1 nnved), $(daemon_plan sw2 nnved),
               $(daemon_plan hv1 tnved), $(daemon_plan hv2 tnved), $(daemon_plan hv3 tnved) },
  "hosts": { "hv1": {"switch":"sw1","port":"p1"}, "hv2": {"switch":"sw1","port":"p2"}, "hv3": {"switch":"sw2","port":"p1"} },
  "vns": [$(IFS=,; echo "${load_vns[*]}")],
  "pings": { "near": "$work/near.ping", "far": "$work/far.ping", "same": "$work/same.ping", "red": "$work/red.ping" },
  "established": [$(for vm in $(vms); do printf '"%s",' "$(vsi_of "$vm")"; done | sed 's/,$//')] }
JSON
step "Kill -9, $kills times, at random moments"
verdict=0
PYTHONUNBUFFERED=1 python3 "$netns_folder/chaos.py" "$work" "$work/plan" >"$work/chaos.out" || verdict=$?
cat "$work/chaos.out"
if [ "$verdict" != 0 ]; then
  for instance in sw1 sw2 hv1 hv2 hv3; do
    echo "--- counters of $instance"
    ctl "$instance" stats show || true
    in_ns "$instance" ip -s link || true
  done
  for log in "$work"/??[123].log; do echo "--- ${log##*/}"; tail -n "${LOG_LINES:-15}" "$log"; done
  tail -n 1 "$work/chaos.out"
  exit 1
fi
