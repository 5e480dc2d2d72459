#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ownership.sh BUILD: who may have an address (S6): two VMs with one IP, addresses that are ours or another switch's, a VSI that is
# claimed at a port which may not take it over.
#
#   hv1 up0 --- p1 sw1 p2 --- up0 hv2
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: ownership.sh BUILD}"

build_switch() {
  step "Two hypervisors at ports that are not declared direct"
  hypervisors 2 '"direct":false' '"remotes":[{"vn":"blue","mac":"02:aa:00:00:00:08","nnve":"192.0.2.2"}]'
  local vm
  for vm in blue1 blue2; do vm_add "$vm" "$(host_of "$vm")" "tap-$vm" "$(mac_of "$vm")" "$(ip_of "$vm")"; done
  vm_add blue8 hv2 tap-blue8 "$(mac_of blue8)" "$(ip_of blue8)"
}
names_both() { grep -q "$(vsi_of "$1")" <<<"$3" && grep -q "$(vsi_of "$2")" <<<"$3"; }

one_ip_is_one_vms() {
  step "Two VMs with one IP: the second is refused, and both are named"
  tsi hv1 create blue1 --ip 10.0.0.7
  tsi hv1 start blue1
  refused hv2 create blue2 --ip 10.0.0.7
  [[ $verdict == *"code 5"*"has this IP address"* ]] || fail "the verdict is: $verdict"
  names_both blue1 blue2 "$(ctl_json sw1 refusal show)" || fail "refusal show does not name both: $(ctl sw1 refusal show)"
  names_both blue1 blue2 "$(ctl_json sw1 audit || true)" || fail "audit does not name both"
  expect "state of the first" "$(at blue1 p1 state)" activated
  refused hv2 create blue2 --ip 10.0.0.0/28
  [[ $verdict == *"code 5"* ]] || fail "an overlapping prefix: $verdict"
}
ours_is_nobodys() {
  step "The MAC of another port of the switch, and one that the configuration places elsewhere"
  local own
  own=$(in_ns sw1 ip -j link show dev p1 | jq -r '.[0].address')
  ! ctl hv2 tsi create "$(vsi_of blue2)" --vn blue --mac "$own" --interface tap-blue2 >"$work/verdict" 2>&1 ||
    fail "the MAC of p1 was given to a VM"
  grep -q 'code 5.*one of our ports' "$work/verdict" || fail "the verdict is: $(cat "$work/verdict")"
  refused hv2 create blue8
  [[ $verdict == *"code 5"*"behind another nNVE"* ]] || fail "the verdict is: $verdict"
}
no_takeover_to_a_plain_port() {
  step "The VSI of a running VM is not taken over to a port that nobody trusts"
  twin blue1 hv2
  ! ctl hv2 tsi migrate-in "$(vsi_of blue1)" --vn blue --mac "$(mac_of blue1)" --interface tap-blue1 >"$work/verdict" 2>&1 ||
    fail "the takeover was admitted"
  grep -q 'may not be taken over' "$work/verdict" || fail "the verdict is: $(cat "$work/verdict")"
  expect "state where it runs" "$(at blue1 p1 state)" activated
  expect "known at the other port" "$(at blue1 p2 state)" ""
}
shares_are_shown() {
  step "What a port may take is shown"
  ctl_json sw1 limits show |
    jq -e '[.[] | select(.port == "p1" and .what == "tsis")][0] | .used == 1 and .share == .total / 2 and .reserve == .total / 4' \
      >/dev/null || fail "limits show: $(ctl sw1 limits show)"
}

build_switch
one_ip_is_one_vms
ours_is_nobodys
no_takeover_to_a_plain_port
shares_are_shown
step_end
echo "ownership: PASS"
