#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# failover.sh BUILD: one hypervisor at two switches. The link to the active one is cut, then the standby's nnved is stopped.
#
#          .-- up0 --- p1 sw1 u0 === 192.0.2.0/24 === u0 sw2 p2 --- up0 hv3 (blue3)
#   hv1 ---+-- up1 -------------------------------------- p1 '
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: failover.sh BUILD}"

failover_ms=1000
host_of() { [ "$1" = blue3 ] && echo hv3 || echo hv1; }

two_uplinks() {
  config hv1 <<JSON
{ "role": "tnved", "instance": "hv1", $(paths_json hv1), $timing, "failover_ms": $failover_ms,
  "uplinks": [{ "interface": "up0" }, { "interface": "up1" }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red", "uplinks": ["up1", "up0"] }] }
JSON
}
build_all() {
  ns_add sw1 sw2 hv1 hv3
  underlay sw1 192.0.2.1 sw2 192.0.2.2
  link hv1 up0 sw1 p1
  link hv1 up1 sw2 p1
  link hv3 up0 sw2 p2
  switch_config sw1 192.0.2.1 192.0.2.2 "$(port p1 100-199)" "$(remote_json blue3 192.0.2.2)"
  # What is local at sw2 is local; what is not lives at sw1.
  switch_config sw2 192.0.2.2 192.0.2.1 "$(port p1 200-299),$(port p2 300-399)" "$(remote_json blue1 192.0.2.1 | sed 's/}$/,"movable":true}/')"
  two_uplinks
  hypervisor_config hv3
  for sw in sw1 sw2; do daemon_start "$sw" "$sw" nnved; done
  for hv in hv1 hv3; do daemon_start "$hv" "$hv" tnved; done
}

use_of() { ctl_json hv1 peer show | jq -r --arg up "$1" '.[] | select(.uplink == $up) | .use'; }
capable_at() { ctl_json hv1 peer show | jq -e --arg up "$1" '.[] | select(.uplink == $up) | .capable == "capable"'; }
state_at() { tsi_field "$1" "$(vsi_of blue1)" state | tr '[:upper:]' '[:lower:]'; }
state_is() { [ "$(state_at "$1")" = "$2" ]; }
by() { [ "$(tsi_field hv1 "$(vsi_of "$1")" uplink)" = "$2" ] && tsi_is hv1 "$(vsi_of "$1")" activated; }
active_is() { [ "$(ctl_json hv1 vn show | jq -r '.[] | select(.vn_alias == "blue") | .uplink')" = "$1" ]; }
# longest_gap NAME: milliseconds between two answers of the ping.
longest_gap() {
  sed -nE 's/^\[([0-9.]+)\].*bytes from.*/\1/p' "$work/$1.ping" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%d\n", gap * 1000 }'
}
within() { # NAME MS
  local gap
  gap=$(longest_gap "$1")
  say "the longest gap is $gap ms"
  [ "$gap" -le "$2" ] || fail "$failed_in: no answer for $gap ms, more than $2"
}

run_all() {
  step "Each VN goes by its preferred uplink, the other one stands by"
  wait_for 5 "hv1 knows sw1" capable_at up0
  wait_for 5 "hv1 knows sw2" capable_at up1
  run_vm blue3 hv3
  run_vm blue1 hv1
  by blue1 up0 || fail "blue1 does not go by up0"
  expect "uplink up0" "$(use_of up0)" active
  expect "blue1 at sw1" "$(state_at sw1)" activated
  expect "blue1 at sw2" "$(state_at sw2)" ""
  wait_for 5 "blue1 reaches blue3 through the tunnel" pings blue1 "$(ip_of blue3)"
}

cut_link() {
  step "The link to the active switch is cut: the VM goes on over the other one"
  ping_start cut blue1 "$(ip_of blue3)"
  wait_for 5 "the ping runs" ping_reached cut 50
  in_ns sw1 ip link set p1 down
  wait_for 5 "blue1 goes by up1" by blue1 up1
  ping_stop cut
  within cut $((failover_ms + 500))
  active_is up1 || fail "vn show does not tell the active uplink"
  expect "blue1 at sw2" "$(state_at sw2)" activated
  [ "$(tsi_field hv1 "$(vsi_of blue1)" vid)" -ge 200 ] || fail "the tag is not one of sw2's"
}

link_returns() {
  step "The link returns: nothing moves back, and sw1 is told to let go"
  in_ns sw1 ip link set p1 up
  wait_for 10 "sw1 holds nothing" state_is sw1 ""
  holds 1500 by blue1 up1
  expect "failovers" "$(grep -c TNVED_FAILOVER "$work/hv1.log")" 1
}

stop_switch() {
  step "nnved of the active switch is stopped, its link stays: another failover, by silence"
  wait_for 5 "hv1 knows sw1 again" capable_at up0
  kill -STOP "$(pid_of sw2)"
  wait_for $((failover_ms / 1000 + 3)) "blue1 goes by up0" by blue1 up0
  kill -CONT "$(pid_of sw2)"
  wait_for 10 "sw2 holds nothing of blue1" state_is sw2 ""
  wait_for 5 "blue1 reaches blue3 through the tunnel" pings blue1 "$(ip_of blue3)"
}

operator_switches() {
  step "The operator moves the VN: the old switch lets go before the new one is asked"
  wait_for 5 "hv1 knows sw2 again" capable_at up1
  ctl hv1 port use up1 >"$work/verdict" || fail "port use was refused"
  wait_for 5 "blue1 goes by up1" by blue1 up1
  expect "blue1 at sw1" "$(state_at sw1)" ""
  pings blue1 "$(ip_of blue3)" || fail "no ping after the operator's switch"
}

build_all
run_all
cut_link
link_returns
stop_switch
operator_switches
step_end
echo "failover: PASS"
