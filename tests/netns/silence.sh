#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# silence.sh BUILD: migration with a source that lingers, an abort, links that are pulled, hypervisors that die.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: silence.sh BUILD}"

dead_ms=3000 hold_ms=1500
hypervisors 3 "\"dead_peer_time_ms\":$dead_ms,\"link_down_hold_ms\":$hold_ms"

not_active_at() { ! at_is "$1" "$2" state activated; }

migration_abort() {
  step "A migration that is aborted leaves the source Activated and nothing at the destination"
  run_vm blue1
  run_vm blue2
  twin blue1 hv2
  ping_start aborted blue2 "$(ip_of blue1)"
  wait_for 5 "the ping runs" ping_reached aborted 20
  tsi hv1 migrate-out blue1
  tsi hv2 migrate-in blue1
  wait_for 3 "blue1 waits at p2" at_is blue1 p2 state associated
  expect "migrating, as the switch shows it" "$(at blue1 p2 migrating)" true
  tsi hv2 abort blue1
  tsi hv1 abort blue1
  wait_for 3 "p2 has forgotten blue1" not_at blue1 p2
  expect "blue1 at p1" "$(at blue1 p1 state)" activated
  ping_stop aborted
  expect "pings lost" "$lost" 0
}

superseded() {
  step "After the cut-over the source is superseded, and its Associates never activate it again"
  tsi hv1 migrate-out blue1
  tsi hv2 migrate-in blue1
  tsi hv2 resume blue1
  cut_over=$(now_ms)
  wait_for 3 "blue1 is Activated at p2" at_is blue1 p2 state activated
  not_active_at blue1 p1 || fail "blue1 is Activated at both ports"
  # Ten keep-alives of the source, which knows by now: each is granted as a reservation.
  holds 1700 not_active_at blue1 p1
  expect "blue1 at p2" "$(at blue1 p2 state)" activated
  expect "blue1 as hv1 shows it" "$(tsi_field hv1 "$(vsi_of blue1)" state) $(tsi_field hv1 "$(vsi_of blue1)" held)" "associated true"
  [[ $(tsi_field hv1 "$(vsi_of blue1)" reason) == *moved* ]] || fail "hv1 does not say why"

  step "The winner leaves: the latch clears and the source is Activated again"
  tsi hv2 shutdown blue1
  wait_for 5 "blue1 is back at p1" at_is blue1 p1 state activated
  ! at_is blue1 p1 superseded true || fail "the source is still latched"
  wait_for 3 "traffic of the source" pings blue2 "$(ip_of blue1)" 1

  step "Once more, and this time the source lingers for 30 s"
  tsi hv2 migrate-in blue1
  in_ns blue1 ip link set eth0 down
  tsi hv2 resume blue1
  cut_over=$(now_ms)
  wait_for 3 "blue1 is Activated at p2" at_is blue1 p2 state activated
}

link_pulled() {
  step "A link that flaps within the hold time loses no TSI and no tag"
  run_vm red1 hv3
  local vid
  vid=$(at red1 p3 vid)
  in_ns hv3 ip link set up0 down
  in_ns hv3 ip link set up0 up
  holds 500 at_is red1 p3 vid "$vid"
  wait_for 3 "red1 is Activated" at_is red1 p3 state activated

  step "A link that stays down: state is gone after the hold time, not before"
  local begun took
  in_ns hv3 ip link set up0 down
  begun=$(now_ms)
  wait_for 6 "p3 has forgotten red1" not_at red1 p3
  took=$(($(now_ms) - begun))
  [ "$took" -ge $((hold_ms - 100)) ] || fail "gone after $took ms, the hold time is $hold_ms ms"
  [ "$took" -le $((hold_ms + 500)) ] || fail "gone only after $took ms, the hold time is $hold_ms ms"
  say "gone after $took ms; hold time $hold_ms ms"
  ctl_json sw1 vn show | jq -e 'all(.[]; .port != "p3" or .state != "connected")' >/dev/null ||
    fail "a VN is connected at a port without link"
  expect "the VM's own port, which closes only on an answer" "$(tsi_field hv3 "$(vsi_of red1)" port_open)" true
  in_ns hv3 ip link set up0 up
  wait_for 5 "red1 is back when the link is" at_is red1 p3 state activated
}

dead_peer() {
  step "tnved of hv3 dies: its TSIs live on for the dead-peer time, and no longer"
  local begun took
  daemon_kill hv3 KILL
  begun=$(now_ms)
  holds $((dead_ms - 800)) at_for red1 p3
  wait_for 6 "sw1 has aged red1 out" not_at red1 p3
  took=$(($(now_ms) - begun))
  [ "$took" -ge $((dead_ms - 400)) ] || fail "gone after $took ms, the dead-peer time is $dead_ms ms"
  [ "$took" -le $((dead_ms + 700)) ] || fail "gone only after $took ms, the dead-peer time is $dead_ms ms"
  say "gone after $took ms; dead-peer time $dead_ms ms"
  expect "blue2 of the living hypervisor" "$(at blue2 p2 state)" activated
  step "The hypervisor returns and says everything again"
  daemon_start hv3 hv3 tnved
  wait_for 5 "red1 is Activated" at_is red1 p3 state activated
}

late_source() {
  step "30 s after the cut-over the source de-associates: the destination keeps everything"
  wait_for 40 "30 s since the cut-over" thirty_seconds_on
  local vid
  vid=$(at blue1 p2 vid)
  ping_start late blue2 "$(ip_of blue1)"
  wait_for 5 "the ping runs" ping_reached late 20
  tsi hv1 shutdown blue1
  wait_for 3 "p1 has forgotten blue1" not_at blue1 p1
  ping_stop late
  expect "pings lost" "$lost" 0
  expect "blue1 at p2" "$(at blue1 p2 state) $(at blue1 p2 vid)" "activated $vid"
}
thirty_seconds_on() { [ $(($(now_ms) - cut_over)) -ge 30000 ]; }

migration_abort
superseded
link_pulled
dead_peer
late_source
step_end
echo "silence: PASS"
