#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stations.sh BUILD: three hypervisors behind one port of the switch, joined by a plain Linux bridge, and a fourth at a
# port of its own. Tags belong to the port's segment, ECP conversations to the station.
#
#   hv1 up0 --.
#   hv2 up0 --- br0 --- p1 sw1 p2 --- up0 hv4
#   hv3 up0 --'
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: stations.sh BUILD}"

build_segment() {
  local hv
  ns_add segment sw1 hv1 hv2 hv3 hv4
  # Without spanning tree a Linux bridge passes the nearest customer bridge address; another one may not: the stations
  # speak to the switch by its own address.
  in_ns segment ip link add br0 type bridge stp_state 0
  in_ns segment ip link set br0 up
  link sw1 p1 segment to-sw1
  for hv in hv1 hv2 hv3; do link "$hv" up0 segment "to-$hv"; done
  for hv in sw1 hv1 hv2 hv3; do in_ns segment ip link set "to-$hv" master br0; done
  link hv4 up0 sw1 p2
  switch sw1 "$(port p1 100-199),$(port p2 200-299)"
  for hv in hv1 hv2 hv3; do shared_config "$hv" p1; done
  shared_config hv4 p2
  daemon_start sw1 sw1 nnved
  for hv in hv1 hv2 hv3 hv4; do daemon_start "$hv" "$hv" tnved; done
}
address_of() { in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].address'; }
shared_config() {   # INSTANCE PORT
  config "$1" <<JSON
{ "role": "tnved", "instance": "$1", $(paths_json "$1"), $timing,
  "uplinks": [{ "interface": "up0", "nnve": "$(address_of sw1 "$2")" }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }] }
JSON
}

peers_at_p1() { ctl_json sw1 peer show | jq '[.[] | select(.port == "p1")] | length'; }
# of_peer HYPERVISOR FIELD: what sw1 says of the conversation with that station.
of_peer() {
  ctl_json sw1 peer show | jq -r --arg mac "$(address_of "$1" up0)" ".[] | select(.station == \$mac) | .$2"
}
quiet() {   # no stray response and no loss in the conversations of the others
  expect "failed ECPDUs towards hv$1" "$(of_peer "hv$1" failed)" 0
  expect "retries of hv$1" "$(ctl_json "hv$1" peer show | jq '.[0].failed')" 0
}

run_all() {
  step "A VM on each hypervisor: one tag for all three stations of the segment, another one at the other port"
  local n
  for n in 1 2 3 4; do run_vm "blue$n" "hv$n"; done
  expect "stations at p1" "$(peers_at_p1)" 3
  local tag
  tag=$(at blue1 p1 vid)
  for n in 1 2 3; do
    expect "tag of blue$n at the switch" "$(at "blue$n" p1 vid)" "$tag"
    expect "tag of blue$n at hv$n" "$(tsi_field "hv$n" "$(vsi_of "blue$n")" vid)" "$tag"
    expect "station of blue$n" "$(at "blue$n" p1 station)" "$(address_of "hv$n" up0)"
  done
  [ "$(at blue4 p2 vid)" -ge 200 ] || fail "p2 does not use its own range"
  expect "VNs at p1" "$(ctl_json sw1 vn show | jq '[.[] | select(.port == "p1" and .state == "connected")] | length')" 1
  expect "TSIs of blue at p1" "$(ctl_json sw1 vn show | jq '.[] | select(.port == "p1") | .associated_tsis')" 3
  pings blue1 "$(ip_of blue2)" || fail "two stations of one segment do not reach each other"
  pings blue1 "$(ip_of blue4)" || fail "a station of the segment does not reach the other port"
  say "tag $tag on the segment, $(at blue4 p2 vid) at p2"
}

restart_one() {
  step "tnved of hv2 is killed and starts again: the other two do not notice"
  ping_start others blue1 "$(ip_of blue4)"
  wait_for 5 "the ping runs" ping_reached others 20
  daemon_kill hv2 KILL
  daemon_start hv2 hv2 tnved
  wait_for 5 "hv2 has told again" conversation_goes_on hv2
  ping_stop others
  expect "pings of another station lost" "$lost" 0
  expect "stations at p1" "$(peers_at_p1)" 3
  expect "blue2" "$(at blue2 p1 state)" activated
  quiet 1
  quiet 3
}
conversation_goes_on() { [ "$(ctl_json "$1" peer show | jq '.[0].requests')" -ge 3 ]; }

leave_one() {
  step "The TSIs of hv3 leave: the tag stays for the others, and goes with the last"
  tsi hv3 shutdown blue3
  expect "TSIs of blue at p1" "$(ctl_json sw1 vn show | jq '.[] | select(.port == "p1") | .associated_tsis')" 2
  pings blue1 "$(ip_of blue2)" || fail "the others do not go on"
  tsi hv1 shutdown blue1
  tsi hv2 shutdown blue2
  wait_for 3 "p1 has no connected VN" vap_gone p1
  expect "blue4" "$(at blue4 p2 state)" activated
}
vap_gone() { ctl_json sw1 vn show | jq -e --arg p "$1" 'all(.[]; .port != $p or .state != "connected")'; }

build_segment
run_all
restart_one
leave_one
step_end
echo "stations: PASS"
