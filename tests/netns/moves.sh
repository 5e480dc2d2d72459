#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# moves.sh BUILD [TIMES]: what has moved, or was taken out of service and let back, as running VMs see it: a takeover as
# the old hypervisor's own VMs see it, and what an operator releases.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: moves.sh BUILD [TIMES]}"
times=${2:-3}
# Nothing here may be owed to a keep-alive that happens to come: they come every 21 s.
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":21}'

vm_is() { [ "$(tsi_field "$1" "$(vsi_of "$2")" "$3")" = "$4" ]; }
forwards() { vm_is "$1" "$2" port_open true; }
# longest_gap NAME: ms between two answers of that ping.
longest_gap() {
  sed -nE 's/^\[([0-9.]+)\].*bytes from.*/\1/p' "$work/$1.ping" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%d\n", gap * 1000 }'
}

# A VM moves between hv1 and hv2. A VM that stays at its old hypervisor and one of a third hypervisor watch it.
takeover() {   # FROM TO PORT WATCHER
  local from=$1 to=$2 gap elsewhere
  ping_start stays "$4" "$(ip_of blue1)" 150
  ping_start elsewhere blue3 "$(ip_of blue1)" 150
  wait_for 3 "the watchers see it" ping_reached stays 20
  tsi "$from" migrate-out blue1
  tsi "$to" migrate-in blue1
  tsi "$to" resume blue1
  wait_for 3 "blue1 is Activated at $3" at_is blue1 "$3" state activated
  wait_for 1 "$from has closed its port" vm_is "$from" blue1 port_open false
  ping_end stays
  ping_end elsewhere
  gap=$(longest_gap stays)
  elsewhere=$(longest_gap elsewhere)
  [ "$gap" -gt "$worst" ] && worst=$gap
  [ "$gap" -le $((50 + elsewhere)) ] ||
    fail "$failed_in: the old hypervisor's VM was without it for $gap ms, another one for $elsewhere ms"
  expect "blue1 at $from" "$(tsi_field "$from" "$(vsi_of blue1)" state)" associated
  [[ $(tsi_field "$from" "$(vsi_of blue1)" reason) == *moved* ]] || fail "$from does not say why it closed the port"
  tsi "$from" shutdown blue1
}

takeovers() {
  step "A VM moves $times times: the VMs that stay at its old hypervisor reach it as soon as everybody else"
  # Both ends of the VM answer: who hears the question is who has the address.
  twin blue1 hv2
  vm_add blue4 hv1 tap-blue4 "$(mac_of blue4)" "$(ip_of blue4)"
  tsi hv1 create blue4
  tsi hv1 start blue4
  run_vm blue2
  run_vm blue3 hv3
  worst=0
  local n
  for ((n = 1; n <= times; n++)); do
    if ((n % 2)); then takeover hv1 hv2 p2 blue4; else takeover hv2 hv1 p1 blue2; fi
  done
  say "takeovers=$times worst_gap_ms=$worst"
  # Back where the rest expects it.
  ((times % 2 == 0)) || takeover hv2 hv1 p1 blue2
}

# back_within_a_second WHAT COMMAND...: the VM was silent, the command lets it back, and it reaches the other one.
back_within_a_second() {
  local what=$1 began took
  shift
  no_ping blue3 "$(ip_of blue1)" || fail "$failed_in: blue1 forwards while it is held"
  vm_is hv1 blue1 held true || fail "$failed_in: hv1 does not show that blue1 is held"
  began=$(now_ms)
  "$@" >/dev/null
  wait_for 1 "blue1 forwards after $what" pings blue3 "$(ip_of blue1)" 1
  took=$(($(now_ms) - began))
  say "$what: back after $took ms"
  wait_for 1 "hv1 holds nothing" vm_is hv1 blue1 held false
  wait_for 1 "both sides agree" both_say blue1 activated
}

released() {
  step "What the operator of the switch releases forwards again within a second, without a word at the hypervisor"
  ctl sw1 tsi remove "$(at blue1 p1 instance)" --reason test >/dev/null
  back_within_a_second "tsi release after tsi remove" ctl sw1 tsi release "$(vsi_of blue1)"
  ctl sw1 tsi deactivate "$(at blue1 p1 instance)" --reason test >/dev/null
  back_within_a_second "tsi release after tsi deactivate" ctl sw1 tsi release "$(vsi_of blue1)"
  ctl sw1 vn disconnect --port p1 --vn blue --reason test >/dev/null
  back_within_a_second "vn release" ctl sw1 vn release --port p1 --vn blue
  ctl sw1 drain >/dev/null
  back_within_a_second "undrain" ctl sw1 undrain
}

restarted() {
  step "What is released while the hypervisor is not there, or the switch, comes back when they speak again"
  ctl sw1 tsi remove "$(at blue1 p1 instance)" --reason test >/dev/null
  wait_for 1 "hv1 holds it" vm_is hv1 blue1 held true
  daemon_kill hv1 KILL
  ctl sw1 tsi release "$(vsi_of blue1)" >/dev/null
  daemon_start hv1 hv1 tnved
  wait_for 3 "blue1 forwards" forwards hv1 blue1
  ctl sw1 tsi remove "$(at blue1 p1 instance)" --reason test >/dev/null
  wait_for 1 "hv1 holds it" vm_is hv1 blue1 held true
  daemon_kill sw1 KILL
  daemon_start sw1 sw1 nnved
  wait_for 3 "the switch has refused it once more" last_refusal_is administratively_down
  ! forwards hv1 blue1 || fail "blue1 forwards although the latch stands"
  wait_for 3 "hv1 holds it" vm_is hv1 blue1 held true
  ctl sw1 tsi release "$(vsi_of blue1)" >/dev/null
  wait_for 3 "blue1 forwards" forwards hv1 blue1
}
last_refusal_is() { [[ $(last_refusal reason) == *"taken out of service"* ]]; }

hypervisors 3
run_vm blue1
takeovers
released
restarted
step_end
echo "moves: PASS"
