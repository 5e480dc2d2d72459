#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# evb.sh BUILD: two daemons of different timers agree by LLDP on the greater ones, live by them, fall back to their own
# when the other is gone, and follow a decrease (S19). LLDP of a tenant reaches nobody.
#
#   blue1 --- hv1 up0 --- p1 sw1
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: evb.sh BUILD}"

# LLDP each second, held for four.
switch_config() {   # RETRIES RTE RWD RKA
  timing="\"lldp\":{\"interval_ms\":1000},\"ecp\":{\"retries\":$1,\"rte\":$2},\"vdp\":{\"rwd\":$3,\"rka\":$4}"
  switch sw1 "$(port p1 100-199)"
}
station_config() {   # EVB
  timing='"lldp":{"interval_ms":1000},"ecp":{"retries":3,"rte":12},"vdp":{"rwd":20,"rka":16}'
  config hv1 <<JSON
{ "role": "tnved", "instance": "hv1", $(paths_json hv1), $timing,
  "uplinks": [{ "interface": "up0", "evb": "$1" }], "vns": [{ "id": 70001, "alias": "blue" }] }
JSON
}

evb() { ctl_json "$1" evb show | jq -c ".[0].$2"; }
evb_is() { [ "$(evb "$1" "$2")" = "$3" ]; }
values() { echo "{\"r\":$1,\"rka\":$4,\"rte\":$2,\"rwd\":$3}"; }
keepalives() { ctl_json hv1 peer show | jq '.[0].keepalives'; }
keepalives_reach() { [ "$(keepalives)" -ge "$1" ]; }
own='3 12 20 16'       # of hv1
# shellcheck disable=SC2086  # four words
own_values() { values $own; }

build() {
  ns_add sw1 hv1
  link hv1 up0 sw1 p1
  switch_config 5 10 18 17
  station_config on
  daemon_start sw1 sw1 nnved
  daemon_start hv1 hv1 tnved
  run_vm blue1
}

both_agree() {   # RETRIES RTE RWD RKA
  wait_for 5 "sw1 runs with R $1, RTE $2, RWD $3, RKA $4" evb_is sw1 operational "$(values "$@")"
  wait_for 5 "hv1 runs with R $1, RTE $2, RWD $3, RKA $4" evb_is hv1 operational "$(values "$@")"
  expect "the state at sw1" "$(evb sw1 state)" '"negotiated"'
  expect "the state at hv1" "$(evb hv1 state)" '"negotiated"'
}
neighbours_are_named() {
  expect "the neighbour of hv1" "$(evb hv1 mac)" "\"$(in_ns sw1 ip -j link show dev p1 | jq -r '.[0].address')\""
  expect "the neighbour's port at hv1" "$(evb hv1 neighbour_port)" '"p1"'
  expect "the neighbour's port at sw1" "$(evb sw1 neighbour_port)" '"up0"'
  expect "TTL" "$(evb hv1 ttl_s)" 4
  ctl hv1 evb show | grep -q 'negotiated.*3/12/20/16.*5/12/20/17.*p1' || fail "$failed_in: vdpctl evb show lacks a value"
}

keepalives_follow() {   # LEAST_MS MOST_MS: the time of three
  local before begin took
  before=$(keepalives)
  wait_for 10 "a keep-alive" keepalives_reach $((before + 1))
  begin=$(now_ms)
  wait_for 10 "three keep-alives" keepalives_reach $((before + 4))
  took=$(($(now_ms) - begin))
  { [ "$took" -ge "$1" ] && [ "$took" -le "$2" ]; } ||
    fail "$failed_in: three keep-alives took $took ms, wanted $1 to $2"
  say "three keep-alives took $took ms"
}

silent_neighbour() {
  step "The switch is killed: after the TTL the hypervisor runs with its own values, and its VM goes on"
  daemon_kill sw1 KILL
  wait_for 8 "hv1 runs with its own values" evb_is hv1 operational "$(own_values)"
  expect "the state at hv1" "$(evb hv1 state)" '"alone"'
  expect "the VM's port" "$(tsi_field hv1 "$(vsi_of blue1)" port_open)" true
  step "The switch returns: both agree again, and the VM is activated"
  daemon_start sw1 sw1 nnved
  both_agree 5 12 20 17
  wait_for 10 "blue1 is activated" tsi_is sw1 "$(vsi_of blue1)" activated
}

decrease() {
  step "The switch restarts with lower values: nothing of the higher ones stays"
  daemon_kill sw1
  wait_for 2 "hv1 heard the goodbye" evb_is hv1 state '"alone"'
  switch_config 2 8 16 15
  daemon_start sw1 sw1 nnved
  both_agree 3 12 20 16
  wait_for 10 "blue1 is activated" tsi_is sw1 "$(vsi_of blue1)" activated
  keepalives_follow 1600 3500
}

# lldp NS IF SOURCE OCTETS COUNT: LLDPDUs of a fake station whose EVB TLV ends in these octets.
lldp() {
  in_ns "$1" python3 - "$2" "$3" "$4" "$5" <<'PY'
import socket
import sys

interface, source, octets, count = sys.argv[1:]
mac = bytes.fromhex(source.replace(":", ""))
pdu = b"\x02\x07\x04" + mac + b"\x04\x07\x03" + mac + b"\x06\x02\x00\x78" + bytes.fromhex("fe090080c20d" + octets) + bytes(2)
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as port:
    port.bind((interface, 0))
    for _ in range(int(count)):
        port.send((bytes.fromhex("0180c2000000") + mac + b"\x88\xcc" + pdu).ljust(60, b"\0"))
PY
}

tenant() {
  step "A tenant's LLDP reaches no daemon"
  local before
  before=$(dropped hv1 control_frame)
  lldp blue1 eth0 "$(mac_of blue1)" 000fffbfff 20
  wait_for 5 "hv1 drops 20 control frames" dropped_is hv1 control_frame $((before + 20))
  expect "what hv1 ignored" "$(evb hv1 ignored)" 0
  expect "what sw1 ignored" "$(evb sw1 ignored)" 0
  expect "the state at sw1" "$(evb sw1 state)" '"negotiated"'
}

too_slow() {
  step "A station whose keep-alive would take hours is refused, and the operator reads why"
  daemon_kill hv1
  wait_for 2 "sw1 heard the goodbye" evb_is sw1 state '"alone"'
  lldp hv1 up0 "$(in_ns hv1 ip -j link show dev up0 | jq -r '.[0].address')" 000868941f 1
  wait_for 5 "sw1 refuses" evb_is sw1 state '"refused"'
  expect "RKA at sw1" "$(evb sw1 operational.rka)" 31
  grep -q 'EVB_REFUSED.*RKA 31' "$work/sw1.log" || fail "$failed_in: the log of sw1 does not say why"
}

switched_off() {
  step "With EVB off at the hypervisor both run with their own values"
  station_config off
  daemon_start hv1 hv1 tnved
  expect "ports with EVB at hv1" "$(ctl_json hv1 evb show | jq length)" 0
  daemon_kill sw1
  daemon_start sw1 sw1 nnved
  wait_for 10 "blue1 is activated" tsi_is sw1 "$(vsi_of blue1)" activated
  expect "the state at sw1" "$(evb sw1 state)" '"alone"'
}

step "Both ends take the greater of each value"
build
both_agree 5 12 20 17
neighbours_are_named
step "Keep-alives follow: 1.3 s as the switch wants, not 0.66 s as the hypervisor is told"
keepalives_follow 3400 6000
silent_neighbour
decrease
tenant
too_slow
switched_off
step_end
echo "evb: PASS"
