#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh BUILD: everything of the first slice, shown and checked on real frames. Run it by `tools/dev demo`.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"

on_fail() { echo "demo: FAIL: $*"; }
demo_begun=$(now_ms)
netns_begin "${1:?usage: demo.sh BUILD}"

show() {   # INSTANCE OBJECT
  echo "    -- vdpctl -s $1 $2 show"
  ctl "$1" "$2" show | sed 's/^/       /'
}

# sent_and_dropped INSTANCE REASON COMMAND...: COMMAND sends 100 frames; exactly those count as dropped for REASON.
sent_and_dropped() {
  local instance=$1 reason=$2 before
  shift 2
  before=$(dropped "$instance" "$reason")
  "$@"
  wait_for 3 "$instance counts 100 frames dropped as $reason" dropped_is "$instance" "$reason" $((before + 100))
  say "$instance: $reason $before -> $((before + 100)), exactly the 100 sent"
}

topology() {
  step "Three hypervisors, two switches joined by an IP underlay, six VMs in namespaces"
  build_datacentre
  capture_links sw1/p1 sw1/p2 sw2/p1
  say "hv1 and hv2 on sw1, hv3 on sw2; VNs blue (70001) and red (70002)"
  say "red1 has the MAC and IP of blue1, red3 those of blue3"
  step "Start nnved on sw1 and sw2, tnved on hv1, hv2 and hv3"
  start_datacentre
}

create_vms() {
  step "Create the TSIs: Associate, each waits for its switch's verdict"
  local vm
  for vm in $(vms); do tsi "$(host_of "$vm")" create "$vm"; done
  for vm in $(vms); do
    wait_for 3 "both sides of $vm say Associated with one VID" both_say "$vm" associated
    say "$vm: associated, VID $(vid_of "$vm") on both sides"
  done
  [ "$(vid_of blue1)" != "$(vid_of red1)" ] || fail "blue and red share a VID on one port"
}

associated_is_closed() {
  step "An Associated TSI passes nothing, in the hypervisor and at the switch"
  listen closed blue2 eth0 30 1
  sent_and_dropped hv1 closed frames blue1 send eth0 100 "$(mac_of blue1)" "$(mac_of blue2)"
  # Around the hypervisor's switch, straight onto the wire with the right tag: the nNVE has its own guard.
  sent_and_dropped sw1 closed frames hv1 send up0 100 "$(mac_of blue1)" "$(mac_of blue2)" "$(vid_of blue1)"
  expect "frames that sw1 counts against blue1" \
    "$(tsi_field sw1 "$(vsi_of blue1)" dropped_closed)" 100
  is_silent closed || fail "a frame of an Associated TSI arrived"
}

start_vms() {
  step "Start the VMs: Activate"
  local vm
  for vm in $(vms); do tsi "$(host_of "$vm")" start "$vm"; done
  for vm in $(vms); do wait_for 3 "both sides of $vm say Activated" both_say "$vm" activated; done
  # The listener of the step before still waits: the first frame it hears is this one.
  frames blue1 send eth0 1 "$(mac_of blue1)" "$(mac_of blue2)"
  listen_end closed
  expect "frames heard by blue2" "$heard" 1
  say "blue2 heard none of 200 frames of the Associated blue1, and the first one of the Activated"
  step_end
  show hv1 tsi
  show sw1 tsi
  show sw1 vn
  show sw2 tsi
}

reach() {
  step "Inside a VN everybody reaches everybody"
  pings blue1 "$(ip_of blue4)" || fail "blue1 does not reach blue4 on the same hypervisor"
  say "blue1 -> blue4: same hypervisor"
  pings blue1 "$(ip_of blue2)" || fail "blue1 does not reach blue2 on the same switch"
  say "blue1 -> blue2: two ports of sw1"
  pings blue1 "$(ip_of blue3)" || fail "blue1 does not reach blue3 across VXLAN"
  say "blue1 -> blue3: sw1 to sw2 across VXLAN"
  pings red1 "$(ip_of red3)" || fail "red1 does not reach red3 across VXLAN"
  say "red1 -> red3: the same addresses in the other VN, at the same time"
  in_ns blue1 ping -q -n -c 3 -i 0.01 -W 1 -M 'do' -s 1472 "$(ip_of blue3)" >"$work/ping" ||
    fail "1500 octets do not pass across VXLAN"
  say "blue1 -> blue3: 1500 octets, do not fragment"

  step "Blue does not reach red, although addresses overlap"
  no_ping red1 "$(ip_of blue2)" || fail "red1 reaches blue2"
  say "red1 -> 10.0.0.2, which only blue has: no answer"
  listen blue blue3 eth0 20 100
  listen red red3 eth0 20 1
  frames blue1 send eth0 100 "$(mac_of blue1)" "$(mac_of blue3)"
  listen_end blue
  expect "frames heard by blue3" "$heard" 100
  is_silent red || fail "a frame of blue arrived in red"
  frames red1 send eth0 1 "$(mac_of red1)" "$(mac_of red3)"
  listen_end red
  expect "frames heard by red3 (its own one)" "$heard" 1
  say "100 frames of blue1 to the MAC that blue3 and red3 share: blue3 hears 100, red3 none"
}

spoof() {
  step "A spoofed source is dropped and counted"
  listen spoof blue2 eth0 20 1
  sent_and_dropped hv1 spoofed_source frames blue1 send eth0 100 02:66:66:66:66:66 "$(mac_of blue2)"
  sent_and_dropped sw1 spoofed_source frames hv1 send up0 100 02:66:66:66:66:66 "$(mac_of blue2)" "$(vid_of blue1)"
  is_silent spoof || fail "a spoofed frame arrived"
  frames blue1 send eth0 1 "$(mac_of blue1)" "$(mac_of blue2)"
  listen_end spoof
  expect "frames heard by blue2 (the honest one)" "$heard" 1
}

suspend() {
  step "Suspend stops traffic and keeps the reservation; resume restores it"
  local vid
  vid=$(vid_of blue2)
  tsi hv2 suspend blue2
  wait_for 3 "both sides of blue2 say Associated" both_say blue2 associated
  # The guest's own neighbour probes, left over from the pings, would be counted too.
  in_ns blue2 ip link set eth0 arp off
  sent_and_dropped hv2 closed frames blue2 send eth0 100 "$(mac_of blue2)" "$(mac_of blue1)"
  in_ns blue2 ip link set eth0 arp on
  no_ping blue1 "$(ip_of blue2)" || fail "a suspended VM answers"
  expect "VID of the suspended blue2" "$(vid_of blue2)" "$vid"
  tsi hv2 resume blue2
  wait_for 3 "both sides of blue2 say Activated" both_say blue2 activated
  pings blue1 "$(ip_of blue2)" || fail "no traffic after resume"
  expect "VID after resume" "$(vid_of blue2)" "$vid"
}

active_ports() {   # VM SWITCH
  ctl_json "$2" tsi show | jq -r --arg vsi "$(vsi_of "$1")" \
    '[.[] | select(.vsi == $vsi and (.state | ascii_downcase) == "activated") | .port] | sort | join(",")'
}
active_ports_are() { [ "$(active_ports "$1" "$2")" = "$3" ]; }

migrate() {
  step "Move blue1 live from hv1 (p1) to hv2 (p2) under a ping from blue3"
  ns_add blue1-moved
  link blue1-moved eth0 hv2 tap-blue1
  in_ns blue1-moved ip link set eth0 address "$(mac_of blue1)"
  in_ns blue1-moved ip addr add "$(ip_of blue1)/24" dev eth0
  ping_start moving blue3 "$(ip_of blue1)"
  wait_for 5 "the ping runs" ping_reached moving 50
  tsi hv1 migrate-out blue1
  tsi hv2 migrate-in blue1
  wait_for 3 "blue1 waits Associated at hv2" both_say blue1 associated hv2
  expect "ports of sw1 where blue1 is Activated before the cut-over" "$(active_ports blue1 sw1)" p1
  # Both namespaces could answer, so that what is lost is lost by the switches and not by a VM that stands still.
  tsi hv2 resume blue1
  wait_for 3 "blue1 is Activated at p2 only" active_ports_are blue1 sw1 p2
  in_ns blue1 ip link set eth0 down
  wait_for 10 "300 pings" ping_reached moving 280
  tsi hv1 shutdown blue1                     # the source cleans up, later
  wait_for 3 "p1 has forgotten blue1" only_at_p2
  ping_stop moving
  [ "$lost" -le 2 ] || fail "the migration lost $lost of $sent pings"
  both_say blue1 activated hv2 || fail "hv2 and sw1 disagree on blue1 after its migration"
  say "ping: $lost of $sent lost at the cut-over; Activated at one port at every look"
}
only_at_p2() {
  [ "$(ctl_json sw1 tsi show | jq -r --arg vsi "$(vsi_of blue1)" '[.[] | select(.vsi == $vsi) | .port] | join(",")')" = p2 ]
}

tags() { ctl_json sw1 tsi show | jq -cS '[.[] | {vsi, vn, port, vid, state}] | sort_by(.vsi, .vn)'; }
tags_are() { [ "$(tags 2>/dev/null)" = "$1" ]; }

crash() {
  step "Kill nnved of sw1 with -9 under running pings (100 a second)"
  local before
  before=$(tags)
  ping_start local blue4 "$(ip_of blue2)"
  ping_start remote blue3 "$(ip_of blue1)"
  wait_for 5 "the pings run" ping_reached local 30
  wait_for 5 "the pings run" ping_reached remote 30
  daemon_kill sw1 KILL
  local seen
  seen=$(ping_seen local)
  wait_for 5 "pings go on without nnved" ping_reached local $((seen + 100))
  say "nnved is dead, frames pass"
  step "Start nnved of sw1 again under the same pings"
  daemon_start sw1 sw1 nnved
  wait_for 5 "the restarted nnved shows the same TSIs, ports, tags and states" tags_are "$before"
  ping_stop local
  expect "pings lost on the switch" "$lost" 0
  ping_stop remote
  expect "pings lost across VXLAN" "$lost" 0
  say "0 of $sent pings lost on the switch, 0 of $sent across VXLAN; tags unchanged"
  pings blue2 "$(ip_of blue3)" || fail "no traffic after the restart"
}

shutdown_vms() {
  step "Shut the VMs down"
  local vm hv instance
  for vm in $(vms); do
    hv=$(host_of "$vm")
    [ "$vm" = blue1 ] && hv=hv2
    tsi "$hv" shutdown "$vm"
  done
  for instance in sw1 sw2 hv1 hv2 hv3; do
    wait_for 3 "$instance shows no TSI" has_no_tsi "$instance"
  done
  for instance in sw1 sw2; do
    wait_for 3 "$instance shows no connected VN" has_no_vap "$instance"
    wait_for 3 "the tables of $instance in the kernel are empty" tables_empty "$instance"
  done
  for instance in hv1 hv2 hv3; do
    wait_for 3 "the tables of $instance in the kernel are empty" tables_empty "$instance"
  done
  say "no TSI, no connected VN, no guard, address or tag row in any kernel table"
  for instance in sw1 sw2 hv1 hv2 hv3; do daemon_kill "$instance"; done
  step_end
}
has_no_vap() {
  ctl_json "$1" vn show | jq -e 'all(.[]; (.state | ascii_downcase) != "connected")'
}
tables_empty() {
  local map
  for map in guard fdb access; do
    bpftool -j map dump pinned "$(echo /sys/fs/bpf/splitnve/"$1"/v*/"$map")" | jq -e 'length == 0' || return 1
  done
}

topology
create_vms
associated_is_closed
start_vms
reach
spoof
suspend
migrate
crash
shutdown_vms
echo "demo: PASS in $(((($(now_ms) - demo_begun) + 500) / 1000)) s"
