#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# discovery.sh BUILD: stations and switch on both sides of a bridge that takes 01-80-C2-00-00-00 for its own spanning
# tree, as bridges do. Who speaks to the nearest customer bridge speaks to br0; who looks for the group finds sw1.
#
#   hv1 up0 --.
#   hv2 up0 --- br0 --- p1 sw1
#   hv3 up0 --'   (hv3 knows the nearest customer bridge only)
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: discovery.sh BUILD}"

group="03:53:4e:00:00:01"
address_of() { in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].address'; }
peer_field() { ctl_json "$1" peer show | jq -r ".[0].$2"; }
forwarding() { in_ns segment bridge link show | grep -c 'state forwarding' | grep -qx 4; }
met() { [ "$(peer_field "$1" nnve)" = "$(address_of sw1 p1)" ] && [ "$(peer_field "$1" capable)" = capable ]; }
seeker_config() {   # INSTANCE [NNVE]
  config "$1" <<JSON
{ "role": "tnved", "instance": "$1", $(paths_json "$1"), $timing,
  "uplinks": [{ "interface": "up0", "evb": "off"${2:+, \"nnve\": \"$2\"} }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }] }
JSON
}
# Captures what comes from hv1 and hv2.
watch_segment() {
  local hv
  for hv in hv1 hv2; do
    (trap - ERR; exec nsenter --net=/run/netns/segment tcpdump -i "to-$hv" -Q in -U --immediate-mode -Z root -w "$work/$hv.pcap" ether proto 0x8940) \
      >"$work/$hv.tcpdump" 2>&1 &
    echo $! >"$work/$hv.tcpdump.pid"
    wait_for 5 "tcpdump at $hv" grep -q 'listening on' "$work/$hv.tcpdump"
  done
}
sent_to() { tcpdump -r "$work/$1.pcap" -n -e "ether dst $2" 2>/dev/null | wc -l; }

build_segment() {
  step "A bridge with spanning tree between three stations and the switch"
  local hv
  ns_add segment sw1 hv1 hv2 hv3
  in_ns segment ip link add br0 type bridge stp_state 1 forward_delay 200 mcast_snooping 0
  in_ns segment ip link set br0 up
  link sw1 p1 segment to-sw1
  for hv in hv1 hv2 hv3; do link "$hv" up0 segment "to-$hv"; done
  for hv in sw1 hv1 hv2 hv3; do in_ns segment ip link set "to-$hv" master br0; done
  wait_for 15 "all ports of the bridge forward" forwarding
}

meet() {
  step "Two stations look for the group before the switch is there, a third one speaks to the nearest customer bridge"
  seeker_config hv1 "$group"
  seeker_config hv2 "$group"
  seeker_config hv3
  watch_segment
  for hv in hv1 hv2 hv3; do daemon_start "$hv" "$hv" tnved; done
  switch sw1 "$(port p1 100-199 "\"group\":\"$group\",\"evb\":\"off\"")"
  daemon_start sw1 sw1 nnved
  wait_for 10 "hv1 finds sw1" met hv1
  wait_for 10 "hv2 finds sw1" met hv2
  say "found at $(peer_field hv1 nnve)"
  expect "stations at the switch" "$(ctl_json sw1 peer show | jq length)" 2
  expect "what hv3 found" "$(peer_field hv3 nnve)" null
}

work_by_unicast() {
  step "Each has its own ECP session: VMs run, by unicast alone"
  local hv before
  before=$(sent_to hv1 "$group")
  run_vm blue1 hv1
  run_vm blue2 hv2
  pings blue1 "$(ip_of blue2)" || fail "the VMs do not reach each other"
  for hv in hv1 hv2; do
    expect "failed ECPDUs of sw1 towards $hv" \
      "$(ctl_json sw1 peer show | jq --arg mac "$(address_of "$hv" up0)" '.[] | select(.station == $mac) | .failed')" 0
  done
  expect "ECPDUs of hv1 to the group since it found the switch" "$(sent_to hv1 "$group")" "$before"
  expect "ECPDUs of hv1 to the nearest customer bridge" "$(sent_to hv1 01:80:c2:00:00:00)" 0
  [ "$(sent_to hv1 "$(address_of sw1 p1)")" -ge 2 ] || fail "hv1 does not speak to the switch's own address"
}

restart_switch() {
  step "The switch is gone longer than the dead-peer time, and comes back: it is looked for and found again, forwarding goes on"
  local before
  before=$(sent_to hv1 "$group")
  ping_start across blue1 "$(ip_of blue2)"
  wait_for 5 "the ping runs" ping_reached across 20
  daemon_kill sw1 KILL
  wait_for 10 "hv1 looks for an nNVE" seeks hv1
  daemon_start sw1 sw1 nnved
  wait_for 10 "hv1 finds sw1" met hv1
  wait_for 10 "hv2 finds sw1" met hv2
  ping_stop across
  expect "pings lost" "$lost" 0
  [ "$(sent_to hv1 "$group")" -gt "$before" ] || fail "hv1 did not look for an nNVE"
}
seeks() { [ "$(peer_field "$1" nnve)" = null ]; }

build_segment
meet
work_by_unicast
restart_switch
step_end
echo "discovery: PASS"
