#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# stalls.sh BUILD [ci|full]: a daemon that was stopped (SIGSTOP, a busy machine) takes its own sleep for nobody's silence.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: stalls.sh BUILD [ci|full]}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
# Seconds that the switch is stopped, that a hypervisor is stopped and not missed, and that it is missed.
case "${2:-ci}" in
  ci) switch_stopped=6 unmissed=2 missed=8 silence=5000 ;;
  full) switch_stopped=45 unmissed=25 missed=45 silence=30000 ;;
  *) echo "ci or full" >&2; exit 2 ;;
esac
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":17}'   # keep-alives each 1.3 s, timeout 2.1 s
audit_of() { echo "/run/splitnve/$1.audit"; }
tsi_changes() { jq -s '[.[] | select(.event == "transition" and .machine == "tsi")] | length' "$(audit_of "$1")"; }
# Stops the daemon for some seconds; time passing is what is tested here.
stop_for() { kill -STOP "$(pid_of "$1")"; sleep "$2"; kill -CONT "$(pid_of "$1")"; continued=$(now_ms); }
told_stall() { jq -se "any(.[]; .id == \"$2\")" "$(audit_of "$1")" >/dev/null; }
both() { at_is blue1 p1 state activated && at_is blue2 p2 state activated; }

step "One switch, two hypervisors"
hypervisors 2 "\"dead_peer_time_ms\":$silence"
run_vm blue1 hv1
run_vm blue2 hv2
wait_for 5 "both are activated" both
ping_start across blue1 10.0.0.2
wait_for 5 "the ping runs" ping_reached across 10
before=$(tsi_changes sw1)

step "The switch is stopped for $switch_stopped s, far longer than an entry lives: nothing ages, no ping is lost"
stop_for sw1 "$switch_stopped"
wait_for 5 "it says that it was stopped" told_stall sw1 nnved.stalled
wait_for 5 "both are activated" both
sleep 3   # longer than a timeout: what is to age would have aged
expect "changes of TSIs at the switch" "$(tsi_changes sw1)" "$before"

step "A hypervisor is stopped for $unmissed s, shorter than a dead peer is silent"
stop_for hv1 "$unmissed"
sleep 3
expect "changes of TSIs at the switch" "$(tsi_changes sw1)" "$before"
ping_stop across
expect "pings lost of $sent" "$lost" 0
say "no ping of $sent lost"

step "A hypervisor is stopped for $missed s: its TSI ages, and is back within a second"
stop_for hv1 "$missed"
wait_for 1 "blue1 is activated again" at_is blue1 p1 state activated
say "back after $(($(now_ms) - continued)) ms"
[ "$(tsi_changes sw1)" -gt "$before" ] || fail "it had not aged: the test shows nothing"
wait_for 1 "blue1 is heard" pings blue1 10.0.0.2
told_stall hv1 TNVED_STALLED || fail "hv1 does not say that it was stopped"
for one in sw1 hv1 hv2; do wait_for 5 "$one agrees with itself" ctl "$one" audit; done
step_end
echo "PASS: a stall of ours is nobody's death"
