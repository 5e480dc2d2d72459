#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# vns.sh BUILD: VNs that a hypervisor connects before any TSI, and VNs that the switch disconnects and releases.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: vns.sh BUILD}"

# vn INSTANCE PORT VN FIELD: a member of the VN's row at a port of sw1 or an uplink of a hypervisor.
vn() { ctl_json "$1" vn show | jq -r --arg port "$2" --arg vn "$3" '.[] | select(.port == $port and .vn_alias == $vn) | .'"$4"; }
vn_is() { [ "$(vn "$1" "$2" "$3" "$4")" = "$5" ]; }
no_vn() { [ -z "$(vn "$1" "$2" "$3" state)" ]; }
vn_refused() {
  local hv=$1
  shift
  ! ctl "$hv" vn "$@" >"$work/verdict" 2>&1 || fail "$failed_in: vn $* was accepted"
  verdict=$(cat "$work/verdict")
}
held() { [ "$(tsi_field "$1" "$(vsi_of "$2")" held)" = true ]; }
open() { [ "$(tsi_field "$1" "$(vsi_of "$2")" port_open)" = true ]; }

connects() {
  step "A hypervisor connects a VN before any TSI: both sides show it with one tag, which its TSIs get"
  ctl hv1 vn connect blue >/dev/null
  expect "blue at sw1" "$(vn sw1 p1 blue state) $(vn sw1 p1 blue connects) $(vn sw1 p1 blue associated_tsis)" "connected 1 0"
  expect "blue at hv1" "$(vn hv1 up0 blue request) $(vn hv1 up0 blue local_tag)" "connected $(vn sw1 p1 blue local_tag)"
  tag=$(vn sw1 p1 blue local_tag)
  holds 1000 vn_is sw1 p1 blue state connected
  run_vm blue1
  run_vm blue2
  expect "the tag of blue1" "$(at blue1 p1 vid)" "$tag"
  pings blue1 "$(ip_of blue2)" || fail "blue1 does not reach blue2"

  step "What is connected survives kill -9 of both daemons, with its tag, and stays when the last TSI leaves"
  tsi hv1 shutdown blue1
  wait_for 3 "sw1 has forgotten blue1" not_at blue1 p1
  holds 500 vn_is sw1 p1 blue local_tag "$tag"
  daemon_kill sw1 KILL
  daemon_start sw1 sw1 nnved
  expect "blue at sw1" "$(vn sw1 p1 blue state) $(vn sw1 p1 blue local_tag)" "connected $tag"
  daemon_kill hv1 KILL
  daemon_start hv1 hv1 tnved
  wait_for 5 "hv1 has it connected again" vn_is hv1 up0 blue request connected
  holds 1000 vn_is sw1 p1 blue local_tag "$tag"
}

disconnects() {
  step "A disconnect is refused with code 4 while TSIs are there, unless it takes them along"
  tsi hv1 create blue1
  tsi hv1 start blue1
  vn_refused hv1 disconnect blue
  [[ $verdict == *"code 4"*"has TSIs in the VN"* ]] || fail "hv1 says: $verdict"
  pings blue1 "$(ip_of blue2)" || fail "blue1 does not forward on"
  ctl hv1 vn disconnect blue --all >/dev/null
  wait_for 3 "hv1 holds blue1" held hv1 blue1
  not_at blue1 p1 || fail "sw1 still has blue1"
  wait_for 3 "blue is gone from p1" no_vn sw1 p1 blue
  tsi hv1 start blue1
  wait_for 3 "its start brings the VN back" vn_is sw1 p1 blue state connected
}

by_name() {
  step "By name and by ID is the same VAP: the hypervisor learns the ID from the switch"
  local name=04ed0000-0000-4000-8000-000000000002
  ! ctl hv1 tsi create "$(vsi_of red1)" --vn "$name" --mac "$(mac_of red1)" >"$work/verdict" 2>&1 ||
    fail "hv1 takes a name that it does not know"
  ctl hv1 vn connect "$name" >/dev/null
  expect "red at sw1" "$(vn sw1 p1 red state) $(vn sw1 p1 red connects) $(vn sw1 p1 red vn_name)" "connected 1 $name"
  tag=$(vn sw1 p1 red local_tag)
  ctl hv1 vn connect red >/dev/null
  expect "red at hv1" "$(vn hv1 up0 red request) $(vn hv1 up0 red local_tag) $(vn hv1 up0 red vn_name)" "connected $tag $name"
  expect "red at sw1" "$(vn sw1 p1 red connects)" 1
  ctl hv1 tsi create "$(vsi_of red1)" --vn "$name" --mac "$(mac_of red1)" >/dev/null
  expect "the tag of red1" "$(at red1 p1 vid)" "$tag"
  vn_refused hv1 connect 04ed0000-0000-4000-8000-000000000009
  [[ $verdict == *"code 5"* ]] || fail "hv1 says: $verdict"
  tsi hv1 shutdown red1
  ctl hv1 vn disconnect red >/dev/null
  wait_for 3 "red is gone from p1" no_vn sw1 p1 red
}

by_switch() {
  step "vn disconnect at the switch: the hypervisor acts, logs it, shows the reason, and leaves the VN alone"
  ctl hv1 vn connect blue >/dev/null
  ctl sw1 vn disconnect --port p1 --vn blue --reason "the rack moves" >/dev/null
  wait_for 3 "hv1 shows it" vn_is hv1 up0 blue request "disconnected by the nNVE"
  [[ $(vn hv1 up0 blue reason) == *"the rack moves"* ]] || fail "hv1 shows: $(vn hv1 up0 blue reason)"
  wait_for 3 "hv1 holds blue1" held hv1 blue1
  [[ $(tsi_field hv1 "$(vsi_of blue1)" reason) == *"the rack moves"* ]] || fail "blue1's reason"
  no_ping blue1 "$(ip_of blue2)" || fail "blue1 still forwards"
  grep -q "TNVED_VN_DISCONNECTED.*the rack moves" "$work/hv1.log" || fail "hv1 does not log it"
  local refused
  refused=$(ctl_json sw1 refusal show | jq length)
  holds 1000 vn_is hv1 up0 blue request "disconnected by the nNVE"
  expect "refusals meanwhile" "$(ctl_json sw1 refusal show | jq length)" "$refused"
  vn_refused hv1 connect blue
  [[ $verdict == *"the rack moves"* ]] || fail "hv1 says: $verdict"

  step "A hypervisor that restarts meanwhile is told; the release brings VN and TSIs back by itself"
  daemon_kill hv1 KILL
  daemon_start hv1 hv1 tnved
  wait_for 5 "hv1 shows it" vn_is hv1 up0 blue request "disconnected by the nNVE"
  ctl sw1 vn release --port p1 --vn blue >/dev/null
  wait_for 5 "hv1 has it connected" vn_is hv1 up0 blue request connected
  wait_for 5 "blue1 is open" open hv1 blue1
  wait_for 5 "both sides agree" both_say blue1 activated
  pings blue1 "$(ip_of blue2)" || fail "blue1 does not reach blue2"
}

gave_up() { ctl_json "$1" peer show | jq -e '.[0].given_up | index("vn-requests")'; }
withheld() {
  step "A switch that has not shown that it takes VN requests is asked nothing, and the VN waits"
  jq '.offer = ["reason-text", "incremental-filter", "deactivate", "bridge-deactivate", "migration"]' "$work/sw1.json" >"$work/withheld.json" && mv "$work/withheld.json" "$work/sw1.json"
  daemon_kill sw1 KILL
  daemon_start sw1 sw1 nnved
  wait_for 5 "hv1 shows that it waits" vn_is hv1 up0 blue request waiting
  wait_for 5 "hv1 tells it" gave_up hv1
  wait_for 5 "hv2 tells it" gave_up hv2
  vn_refused hv2 connect red
  [[ $verdict == *"has not shown that it takes VN requests"* ]] || fail "hv2 says: $verdict"
  ctl sw1 vn disconnect --port p1 --vn blue --reason "again" >/dev/null
  wait_for 3 "hv1 holds blue1, by De-Associate alone" held hv1 blue1
}

hypervisors 2
connects
disconnects
by_name
by_switch
withheld
step_end
echo "vns: PASS"
