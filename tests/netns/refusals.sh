#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# refusals.sh BUILD: who may join what, what happens when tags run out, and that each transition is logged once.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: refusals.sh BUILD}"

# p1 has one tag only; p2 admits red alone, p3 a station that is not there.
quarantine_ms=1500
build_ports() {
  local n
  ns_add sw1
  for n in 1 2 3; do
    ns_add "hv$n"
    link "hv$n" up0 sw1 "p$n"
    hypervisor_config "hv$n"
  done
  switch sw1 "$(port p1 100-100),$(port p2 200-299 '"vns":["red"]'),$(port p3 300-399 '"stations":["02:00:00:00:00:99"]')" \
    "\"vid_quarantine_ms\":$quarantine_ms"
  daemon_start sw1 sw1 nnved
  for n in 1 2 3; do daemon_start "hv$n" "hv$n" tnved; done
}

policy() {
  step "A VN that is not admitted on the port: refused, and both sides say why"
  vm_add blue2 hv2 tap-blue2 "$(mac_of blue2)" "$(ip_of blue2)"
  refused hv2 create blue2
  [[ $verdict == *"code 4"* ]] || fail "hv2 does not tell the code: $verdict"
  expect "VN, code and port that sw1 shows" "$(last_refusal vn) $(last_refusal code) $(last_refusal port)" "70001 4 p2"
  [[ $(last_refusal reason) == *"may not be joined on this port"* ]] || fail "sw1 says: $(last_refusal reason)"
  grep -q 'nnved.refused.*vn_not_admitted' "$work/sw1.log" || fail "the refusal is not logged"
  vm_add red2 hv2 tap-red2 "$(mac_of blue2)" "$(ip_of blue2)"
  tsi hv2 create red2
  wait_for 3 "red2, which is admitted" at_is red2 p2 state associated

  step "A station that is not admitted on the port is not answered at all"
  vm_add red3 hv3 tap-red3 "$(mac_of red3)" "$(ip_of red3)"
  refused hv3 create red3
  [[ $verdict == *"not confirmed in time"* ]] || fail "hv3 says: $verdict"
  [ "$(counter sw1 frames "station not admitted")" -gt 0 ] || frames_counted || fail "sw1 does not count it"
  not_at red3 p3 || fail "sw1 has a TSI of a station that is not admitted"
}
frames_counted() {
  ctl_json sw1 stats show | jq -e 'any(.[]; .counter == "station not admitted" and .value > 0)' >/dev/null
}

last_tag() {
  step "The last tag is taken: the next VN is refused with code 2, and the VAP says why"
  run_vm blue1
  vm_add red1 hv1 tap-red1 "$(mac_of red1)" "$(ip_of red1)"
  refused hv1 create red1
  [[ $verdict == *"code 2"* ]] || fail "hv1 does not tell the code: $verdict"
  [[ $(last_refusal reason) == *"no VID is free"* ]] || fail "sw1 says: $(last_refusal reason)"
  ctl_json sw1 vn show | jq -e 'any(.[]; .port == "p1" and .vn == 70002 and .state == "disconnected" and
    (.reason | test("no VID is free")))' >/dev/null || fail "the VAP does not show disconnected and why"

  step "A suspended TSI keeps the last tag while another one tries to take it; a paused one notices nothing"
  local requests
  tsi hv1 suspend blue1
  wait_for 3 "blue1 is Associated" both_say blue1 associated
  refused hv1 create red1
  holds 1000 at_is blue1 p1 vid 100
  refused hv1 create red1
  tsi hv1 resume blue1
  wait_for 3 "blue1 is Activated" both_say blue1 activated
  expect "its tag" "$(at blue1 p1 vid)" 100
  tsi hv1 pause blue1
  requests=$(keepalives)
  wait_for 3 "keep-alives of the paused VM" keepalives_reach $((requests + 3))
  expect "the paused VM" "$(at blue1 p1 state) $(tsi_field hv1 "$(vsi_of blue1)" port_open)" "activated true"

  step "A released tag is given to another VN only after its quarantine"
  local begun took
  tsi hv1 shutdown blue1
  begun=$(now_ms)
  refused hv1 create red1
  wait_for 6 "the tag is free" ctl hv1 tsi create "$(vsi_of red1)" --vn red --mac "$(mac_of red1)" --interface tap-red1
  took=$(($(now_ms) - begun))
  [ "$took" -ge $((quarantine_ms - 100)) ] || fail "given away after $took ms, the quarantine is $quarantine_ms ms"
  expect "the tag of red1" "$(at red1 p1 vid)" 100
  say "given to red after $took ms; quarantine $quarantine_ms ms"
}
keepalives() { ctl_json hv1 peer show | jq '.[0].keepalives'; }
keepalives_reach() { [ "$(keepalives)" -ge "$1" ]; }

# logged VSI STATE: records in the log of sw1 that the TSI went there.
logged() { grep -c "TRANSITION machine=tsi subject=.*$1.* to=$2" "$work/sw1.log" || true; }

records() {
  step "Each transition is one record: associate, activate, suspend, resume, shutdown"
  local vsi
  vsi=$(vsi_of blue4)
  tsi hv1 shutdown red1
  wait_for 6 "the tag is free" ctl hv1 tsi create "$(vsi_of blue1)" --vn blue --mac "$(mac_of blue1)"
  vm_add blue4 hv1 tap-blue4 "$(mac_of blue4)" "$(ip_of blue4)"
  tsi hv1 create blue4
  tsi hv1 start blue4
  tsi hv1 suspend blue4
  tsi hv1 resume blue4
  tsi hv1 shutdown blue4
  wait_for 3 "p1 has forgotten blue4" not_at blue4 p1
  wait_for 3 "the log of the end" logged_once "$vsi" Init
  expect "records of Init -> Associated and Activated -> Associated" "$(logged "$vsi" Associated)" 2
  expect "records of Associated -> Activated" "$(logged "$vsi" Activated)" 2
  expect "records of -> Init" "$(logged "$vsi" Init)" 1
}
logged_once() { [ "$(logged "$1" "$2")" -ge 1 ]; }

# checked ID ALIAS NAME PATTERN: a second VN of that kind is refused when the configuration is checked.
checked() {
  jq --argjson id "$1" --arg alias "$2" --arg name "$3" '.vns += [{id: $id, alias: $alias, name: $name}]' \
    "$work/sw1.json" >"$work/double.json"
  ! "$vdpctl" config check "$work/double.json" >"$work/verdict" 2>&1 || fail "$failed_in: accepted"
  grep -qE "$4" "$work/verdict" || fail "$failed_in: $(cat "$work/verdict")"
}
names() {
  step "VN ID, alias and name are one to one: a duplicate is rejected when the configuration is checked"
  checked 70001 green 0b1ce000-0000-4000-8000-000000000009 "/vns/2/id"
  checked 70009 blue 0b1ce000-0000-4000-8000-000000000009 "/vns/2/alias"
  checked 70009 green 0b1ce000-0000-4000-8000-000000000001 "a name that no other VN has"
}

build_ports
PATH="$build/src/nnved:$build/src/tnved:$PATH" names
policy
last_tag
records
step_end
echo "refusals: PASS"
