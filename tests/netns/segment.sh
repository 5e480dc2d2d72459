#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# segment.sh BUILD: several nNVEs, or several ports of one, behind one bridge without spanning tree: one VID never stands
# for two VNs (S12). Whoever may give out what another may refuses new VNs, both sides show why, and what runs goes on.
# shellcheck disable=SC2154
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/datacentre.sh"
. "$(dirname "$0")/small.sh"
netns_begin "$1"
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":16}'   # keep-alives every 655 ms

mac_in() { in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].address'; }
# cable NS INTERFACE: into the bridge.
cable() {
  link "$1" "$2" segment "to-$1-$2"
  in_ns segment ip link set "to-$1-$2" master br0
}
# hypervisor INSTANCE NNVE_MAC
hypervisor() {
  config "$1" <<JSON
{ "role": "tnved", "instance": "$1", $(paths_json "$1"), $timing, "start_deadline_ms": 3000,
  "uplinks": [{ "interface": "up0", "evb": "off", "nnve": "$2" }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }] }
JSON
}
port_field() { ctl_json "$1" port show | jq -r ".[] | select(.interface == \"$2\") | .$3"; }
hears() { [ "$(port_field "$1" "$2" other_bridges)" = "$3" ]; }
state_is() { [ "$(port_field "$1" "$2" segment_state)" = "$3" ]; }
# begin PORT1 PORT2: sw1 and sw2 with these ports, hv1 at sw1 and hv2 at sw2; nothing runs from before.
begin() {
  switch sw1 "$1"
  switch sw2 "$2"
  for one in sw1 sw2; do daemon_start "$one" "$one" nnved; done
  for one in hv1 hv2; do daemon_start "$one" "$one" tnved; done
}
end() {
  for one in sw1 sw2 hv1 hv2; do
    alive "$one" || continue
    kill -9 "$(pid_of "$one")"
    wait_for 5 "$one is gone" dead "$one"
  done
  rm -rf /run/splitnve/*.db* /sys/fs/bpf/splitnve/*
  for one in sw1 sw2 hv1 hv2; do
    for link in p1 p2 up0 tap-blue1 tap-red2 tap-red1; do
      in_ns "$one" tc qdisc del dev "$link" clsact 2>/dev/null || :
    done
  done
}
create() {   # VM HYPERVISOR
  ctl "$2" tsi create "$(vsi_of "$1")" --vn "$(vn_of "$1")" --mac "$(mac_of "$1")" --interface "tap-$1" >"$work/verdict" 2>&1
}
start() { ctl "$2" tsi start "$(vsi_of "$1")" >"$work/verdict" 2>&1; }
runs() { create "$1" "$2" && start "$1" "$2"; }
# heard_of VM BY: frames of one VM, broadcast and to the other's own address, that the other hears.
heard_of() {
  local total=0
  for to in ff:ff:ff:ff:ff:ff "$(mac_of "$2")"; do
    listen ear "$2" eth0 3 1000
    frames "$1" send eth0 100 "$(mac_of "$1")" "$to"
    listen_end ear
    total=$((total + heard))
  done
  echo "$total"
}

ns_add segment sw1 sw2 hv1 hv2
in_ns segment ip link add br0 type bridge stp_state 0
in_ns segment ip link set br0 up
for at in "sw1 p1" "sw2 p1" "hv1 up0" "hv2 up0"; do cable ${at% *} ${at#* }; done
vm_add blue1 hv1 tap-blue1 "$(mac_of blue1)" 10.0.0.1
vm_add red2 hv2 tap-red2 02:bb:00:00:00:02 10.0.0.2
mac_of() { case "$1" in red2) echo 02:bb:00:00:00:02 ;; *) echo "02:aa:00:00:00:0${1: -1}" ;; esac; }
hypervisor hv1 "$(mac_in sw1 p1)"
hypervisor hv2 "$(mac_in sw2 p1)"

step "a port without VIDs that is not declared direct is refused"
switch sw1 '{"interface":"p1"}'
! "$build/src/nnved/nnved" --check "$work/sw1.json" >"$work/verdict" 2>&1 || fail "accepted: $(cat "$work/verdict")"
grep -q direct "$work/verdict" || fail "does not say what to do: $(cat "$work/verdict")"

step "two switches with the same VIDs: both say who the other is, and admit no VN"
begin "$(port p1 100-199 '"evb":"off","direct":false')" "$(port p1 150-250 '"evb":"off","direct":false')"
for one in sw1 sw2; do
  wait_for 3 "$one has heard the other" state_is "$one" p1 vid_overlap
  [[ $(port_field "$one" p1 segment_cause) == *150-199* ]] || fail "$one: $(port_field "$one" p1 segment_cause)"
  grep -q SEGMENT_CONFLICT "$work/$one.log" || fail "$one raised no alarm"
done
! runs blue1 hv1 || fail "blue1 was admitted"
! runs red2 hv2 || fail "red2 was admitted"
say "$(cat "$work/verdict")"
expect "the refusal's code at sw2" "$(ctl_json sw2 refusal show | jq -r '.[-1].code // 2')" 2
expect "frames heard in the other VN" "$(heard_of blue1 red2)" 0

step "one of them goes: the other admits VNs again"
kill "$(pid_of sw2)"
wait_for 5 "sw2 is gone" dead sw2
wait_for 10 "sw1 is open" state_is sw1 p1 open
start blue1 hv1 || runs blue1 hv1 || fail "refused: $(cat "$work/verdict")"

step "it comes back: what runs goes on, and no other VN comes in"
daemon_start sw2 sw2 nnved
wait_for 3 "sw1 has heard it" state_is sw1 p1 vid_overlap
expect "blue1" "$(tsi_field hv1 "$(vsi_of blue1)" state)" activated
vm_add red1 hv1 tap-red1 "$(mac_of red1)" 10.0.0.3
! runs red1 hv1 || fail "red1 was admitted"
expect "frames heard in the other VN" "$(heard_of blue1 red2)" 0
end

step "declared direct without VIDs, and two switches there"
begin '{"interface":"p1","evb":"off","direct":true}' '{"interface":"p1","evb":"off","direct":true}'
for one in sw1 sw2; do wait_for 3 "$one has heard the other" state_is "$one" p1 vid_overlap; done
expect "direct" "$(port_field sw1 p1 direct)" false
! runs blue1 hv1 || fail "blue1 was admitted"
! runs red2 hv2 || fail "red2 was admitted"
expect "frames heard in the other VN" "$(heard_of blue1 red2)" 0
end

step "disjoint VIDs: both are admitted, and hear nothing of each other"
begin "$(port p1 100-199 '"evb":"off","direct":false')" "$(port p1 200-299 '"evb":"off","direct":false')"
runs blue1 hv1 || fail "blue1: $(cat "$work/verdict")"
runs red2 hv2 || fail "red2: $(cat "$work/verdict")"
for one in sw1 sw2; do expect "$one" "$(port_field "$one" p1 segment_state)" open; done
wait_for 5 "sw1 hears sw2" hears sw1 p1 1
expect "frames heard in the other VN" "$(heard_of blue1 red2)" 0
end

step "two ports of one switch on the bridge, with the same VIDs"
cable sw1 p2
switch sw1 "$(port p1 100-199 '"evb":"off","direct":false'),$(port p2 100-199 '"evb":"off","direct":false')"
daemon_start sw1 sw1 nnved
hypervisor hv2 "$(mac_in sw1 p2)"
for one in hv1 hv2; do daemon_start "$one" "$one" tnved; done
for p in p1 p2; do wait_for 3 "$p has heard the other" state_is sw1 "$p" vid_overlap; done
[[ $(port_field sw1 p1 segment_cause) == *"port p2 of this switch"* ]] || fail "$(port_field sw1 p1 segment_cause)"
! runs blue1 hv1 || fail "blue1 was admitted"
! runs red2 hv2 || fail "red2 was admitted"
expect "frames heard in the other VN" "$(heard_of blue1 red2)" 0
end

step "the same two ports as one segment: they share the VIDs"
switch sw1 "$(port p1 100-199 '"evb":"off","segment":"rack","direct":false'),$(port p2 100-199 '"evb":"off","segment":"rack","direct":false')"
daemon_start sw1 sw1 nnved
grep -q "SEGMENT_LISTENING port p1" "$work/sw1.log" || fail "p1 does not listen first"
for one in hv1 hv2; do daemon_start "$one" "$one" tnved; done
wait_for 5 "an interval was heard" state_is sw1 p1 open
runs blue1 hv1 || fail "blue1: $(cat "$work/verdict")"
runs red2 hv2 || fail "red2: $(cat "$work/verdict")"
expect "VIDs" "$(ctl_json sw1 vn show | jq '[.[].local_tag] | unique | length')" 2
expect "frames heard in the other VN" "$(heard_of blue1 red2)" 0
end
step_end
echo "segment: PASS"
