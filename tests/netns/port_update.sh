#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# port_update.sh BUILD [TIMES]: a hypervisor's path to the switch moves between two ports of one segment, both links up
# (S37); its running VM is without the network for a moment only. Impostors at another port move nothing.
#
#   hv1 up0 --- br0 --- p1 sw1 p3 --- up0 hv2
#                 '.... p2
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: port_update.sh BUILD [TIMES]}"
times=${2:-4}
# The old place is given up after (1 + R) ack timers, 31 ms; keep-alives come every 2.6 s.
timing='"ecp":{"retries":2,"rte":10},"vdp":{"rwd":18,"rka":18}'

build() {
  ns_add segment sw1 hv1 hv2
  in_ns segment ip link add br0 type bridge stp_state 0
  in_ns segment ip link set br0 up
  link hv1 up0 segment to-hv1
  link sw1 p1 segment to-p1
  link sw1 p2 segment to-p2
  link hv2 up0 sw1 p3
  in_ns segment ip link set to-hv1 master br0
  in_ns segment ip link set to-p1 master br0
  switch sw1 "$(port p1 100-199 '"direct":false,"segment":"rack"'),$(port p2 100-199 '"direct":false,"segment":"rack"'),$(port p3 300-399)"
  hypervisor_config hv1
  hypervisor_config hv2
  daemon_start sw1 sw1 nnved
  daemon_start hv1 hv1 tnved
  daemon_start hv2 hv2 tnved
  wait_for 10 "the segment is listened to" admits p1
}
admits() { ctl_json sw1 port show | jq -e --arg p "$1" '.[] | select(.port == $p) | .segment_verdict // "" | . == ""' || ! grep -q SEGMENT_LISTENING "$work/sw1.log" || grep -q SEGMENT_CLEAR "$work/sw1.log"; }

# move FROM TO: the bridge's cable.
move() {
  in_ns segment ip link set "to-$1" nomaster
  in_ns segment ip link set "to-$2" master br0
}
moves() {
  step "$times moves between two ports of a segment: VID and state stay, the VM misses a moment"
  local n from to tag worst=0
  run_vm blue1
  run_vm blue2
  tag=$(at blue1 p1 vid)
  for ((n = 1; n <= times; n++)); do
    if ((n % 2)); then from=p1 to=p2; else from=p2 to=p1; fi
    ping_start moved blue1 "$(ip_of blue2)" 100
    wait_for 3 "blue1 reaches blue2" ping_reached moved 20
    move "$from" "$to"
    ping_end moved
    [ "$lost" -gt "$worst" ] && worst=$lost
    wait_for 1 "blue1 is Activated at $to" at_is blue1 "$to" state activated
    wait_for 1 "nothing of it is left at $from" not_at blue1 "$from"
    expect "its VID" "$(at blue1 "$to" vid)" "$tag"
    [ "$lost" -le 5 ] || fail "$failed_in: move $n to $to lost $lost of $sent pings"
  done
  expect "moves as the switch counts them" "$(grep -c nnved.station_moved "$work/sw1.log")" "$times"
  say "moves=$times worst_lost=$worst"
}

build
moves
step_end
echo "port_update: PASS"
