#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# authentication.sh BUILD: stations without a key, with a wrong one, with a new one; forged and recorded frames.
#
#   hv1 up0 --- p1 sw1 p2 --- up0 hv2
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: authentication.sh BUILD}"

timing='"ecp":{"retries":3,"rte":12},"vdp":{"rwd":18,"rka":17}'

new_key() { (umask 077; openssl rand -hex 32 >"$work/key-$1"); }
# keys ID=NAME...: the members of a port or uplink that requires authentication; the first key signs.
keys() {
  local pair list=""
  for pair in "$@"; do list+="${list:+,}{\"id\":${pair%=*},\"file\":\"$work/key-${pair#*=}\"}"; done
  printf '"authentication":"require","keys":[%s]' "$list"
}
switch_with() { switch sw1 "$(port p1 100-199 "$1"),$(port p2 200-299 "$1")"; }
hypervisor_with() {   # INSTANCE MEMBERS
  config "$1" <<JSON
{ "role": "tnved", "instance": "$1", $(paths_json "$1"), $timing,
  "uplinks": [{ "interface": "up0"${2:+, $2} }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }], "start_deadline_ms": 3000 }
JSON
}
restart() {   # INSTANCE nnved|tnved [SIGNAL]
  daemon_kill "$1" "${3:-KILL}"
  daemon_start "$1" "$1" "$2"
}

mac_of_uplink() { in_ns "$1" ip -j link show dev up0 | jq -r '.[0].address'; }
# of_station HYPERVISOR FIELD: what sw1 says of it.
of_station() {
  ctl_json sw1 peer show | jq -r --arg mac "$(mac_of_uplink "$1")" ".[] | select(.station == \$mac) | .$2"
}
of_switch() { ctl_json "$1" peer show | jq -r ".[0].$2"; }
has_session() { [ "$(of_station "$1" authentication)" = authenticated ] && [ "$(of_switch "$1" authentication)" = authenticated ]; }
has_key() { has_session "$1" && [ "$(of_station "$1" key)" = "$2" ] && [ "$(of_switch "$1" key)" = "$2" ]; }
causes() { counter "$1" frames "authentication: $2"; }
counts() { [ "$(causes "$1" "$2")" -gt "$3" ]; }
log_says() { grep -q "$2" "$work/$1.log"; }

refuse_without_key() {
  step "hv1 has no key: the switch takes none of its VDP, says so, and hv1's VM does not start"
  new_key old
  ns_add sw1 hv1 hv2
  link hv1 up0 sw1 p1
  link hv2 up0 sw1 p2
  switch_with "$(keys 1=old)"
  hypervisor_with hv1
  hypervisor_with hv2 "$(keys 1=old)"
  daemon_start sw1 sw1 nnved
  daemon_start hv1 hv1 tnved
  daemon_start hv2 hv2 tnved
  vm_add blue1 hv1 tap-blue1 "$(mac_of blue1)" "$(ip_of blue1)"
  refused hv1 create blue1
  wait_for 5 "a refusal is counted" counts sw1 missing 0
  wait_for 5 "an operator is told what to do" log_says sw1 'PEER_UNAUTHENTICATED.*keys'
  expect "TSIs at the switch" "$(tsi_count sw1)" 0
  expect "what peer show says of a station that has signed nothing" "$(of_station hv1 authentication)" ""
  say "$verdict"
}

pass_with_key() {
  step "With the key it passes"
  hypervisor_with hv1 "$(keys 1=old)"
  restart hv1 tnved
  wait_for 10 "hv1 is authenticated at both ends" has_session hv1
  tsi hv1 create blue1
  tsi hv1 start blue1
  wait_for 5 "hv2 is authenticated" has_session hv2
  run_vm blue2 hv2
  wait_for 5 "blue1 is activated" at_for blue1 p1
  pings blue1 "$(ip_of blue2)" || fail "blue1 does not reach blue2"
  log_says hv1 'machine=authentication.*to=authenticated.*key 1' || fail "hv1 has not logged its success"
  log_says sw1 'machine=authentication.*to=authenticated.*key 1' || fail "sw1 has not logged its success"
  tag=$(at blue1 p1 vid)
}

forge() {
  step "Forged De-Associates in hv1's name, its own recorded frames and those of another life change nothing"
  local before mac
  mac=$(mac_of_uplink hv1)
  ctl_json sw1 tsi show >"$work/tsis-before"
  before=$(causes sw1 missing)
  in_ns hv1 python3 "$netns_folder/forge.py" deassociate up0 "$mac" "$(vsi_of blue1)" 50
  wait_for 5 "50 forgeries are counted" counts sw1 missing $((before + 49))
  start_recording
  restart hv1 tnved
  wait_for 10 "hv1 is authenticated anew" has_session hv1
  wait_for 10 "blue1 is told again" recorded 6
  end_recording
  # A recording that is older than the duplicates that are remembered, and one of a session that is no more.
  restart hv1 tnved
  wait_for 10 "hv1 has another session" has_session hv1
  before=$(causes sw1 "unknown session")
  say "$(in_ns hv1 python3 "$netns_folder/forge.py" replay up0 "$work/record") recorded frames sent again"
  wait_for 5 "they are counted" counts sw1 "unknown session" "$before"
  expect "hv1 after the replay" "$(of_station hv1 authentication)" authenticated
  expect "blue1" "$(at blue1 p1 state)" activated
  expect "tag of blue1" "$(at blue1 p1 vid)" "$tag"
  pings blue1 "$(ip_of blue2)" || fail "blue1 does not reach blue2 any more"
}
start_recording() {
  rm -f "$work/record.ready"
  (trap - ERR; exec nsenter --net=/run/netns/sw1 python3 "$netns_folder/forge.py" record p1 "$(mac_of_uplink hv1)" \
    "$work/record" "$work/record.ready") &
  echo $! >"$work/record.pid"
  wait_for 5 "the recorder is ready" test -e "$work/record.ready"
}
recorded() { [ "$(wc -l <"$work/record")" -ge "$1" ]; }
end_recording() {
  kill "$(cat "$work/record.pid")"
  wait "$(cat "$work/record.pid")" 2>/dev/null || true
}

refuse_wrong_key() {
  step "hv2 with another key of the same id is refused, and says why; with the right one it is back"
  new_key wrong
  hypervisor_with hv2 "$(keys 1=wrong)"
  restart hv2 tnved
  wait_for 5 "hv2 counts the wrong tag" counts hv2 "wrong tag" 0
  wait_for 5 "hv2 tells what to do" log_says hv2 'PEER_UNAUTHENTICATED.*compare the key files'
  expect "what hv2 says of the switch" "$(of_switch hv2 authentication)" refused
  pings blue1 "$(ip_of blue2)" || fail "silence has closed a running VM"
  hypervisor_with hv2 "$(keys 1=old)"
  restart hv2 tnved
  wait_for 10 "hv2 is authenticated" has_session hv2
}

roll_over() {
  step "The key rolls over, daemon by daemon: no TSI and no ping is lost"
  new_key new
  ping_start rolling blue1 "$(ip_of blue2)"
  wait_for 5 "the ping runs" ping_reached rolling 20
  local members
  for members in "$(keys 1=old 2=new)" "$(keys 2=new 1=old)" "$(keys 2=new)"; do
    switch_with "$members"
    restart sw1 nnved
    wait_for 10 "hv1 has a session with the new nnved" has_session hv1
    wait_for 10 "hv2 has a session with the new nnved" has_session hv2
    local hv
    for hv in hv1 hv2; do
      hypervisor_with "$hv" "$members"
      restart "$hv" tnved
      wait_for 10 "$hv has a session again" has_session "$hv"
    done
  done
  wait_for 5 "hv1 uses the new key" has_key hv1 2
  wait_for 5 "hv2 uses the new key" has_key hv2 2
  ping_stop rolling
  expect "pings lost of $sent" "$lost" 0
  expect "blue1" "$(at blue1 p1 state)" activated
  expect "blue2" "$(at blue2 p2 state)" activated
  expect "tag of blue1" "$(at blue1 p1 vid)" "$tag"
  say "$sent pings, none lost, over nine restarts with kill -9"
}

refuse_open_file() {
  step "A key file that others may read is refused at the start, with what to do"
  chmod 0644 "$work/key-new"
  daemon_kill hv2
  local status=0
  in_ns hv2 "$build/src/tnved/tnved" --config "$work/hv2.json" >"$work/verdict" 2>&1 || status=$?
  expect "exit of tnved" "$status" 2
  grep -q "chmod 0600 $work/key-new" "$work/verdict" || fail "no advice: $(cat "$work/verdict")"
}

refuse_without_key
pass_with_key
forge
refuse_wrong_key
roll_over
refuse_open_file
step_end
echo "authentication: PASS"
