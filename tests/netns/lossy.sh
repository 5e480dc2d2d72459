#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lossy.sh BUILD [full|ci]: a relay between hypervisor and switch drops 30 % of the ECP frames each way. All TSIs become
# active, and then none leaves that state on either side while a VM's pings all get through.
#
#   vm1, trunk0 hv1 up0 --- r0 relay r1 --- p1 sw1 p2 --- up0 hv2 vm2
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: lossy.sh BUILD [full|ci]}"
case "${2:-full}" in
  full) tsis=2000 hold_s=60 ;;
  ci) tsis=200 hold_s=10 ;;
  *) echo "usage: lossy.sh BUILD [full|ci]" >&2; exit 2 ;;
esac
readonly share=0.3 seed=${SEED:-20}
# Ack timer 20 ms; keep-alives every 5.2 s, an entry that is not renewed lives for 8 s.
timing='"ecp":{"retries":3,"rte":11},"vdp":{"rwd":19,"rka":19}'

build_scene() {
  ns_add sw1 hv1 hv2 relay guest
  link hv1 up0 relay r0
  link sw1 p1 relay r1
  link hv2 up0 sw1 p2
  link guest eth0 hv1 trunk0
  switch sw1 "$(port p1 2-4000),$(port p2 2-4000)"
  for hv in hv1 hv2; do hypervisor_config "$hv"; done
  (trap - ERR; exec nsenter --net=/run/netns/relay python3 "$netns_folder/relay.py" r0 r1 "$share" "$seed" \
    "$work/relay.ready" "$work/relay.report") >"$work/relay.log" 2>&1 &
  relay_pid=$!
  wait_for 10 "the relay" test -e "$work/relay.ready"
  daemon_start sw1 sw1 nnved
  daemon_start hv1 hv1 tnved
  daemon_start hv2 hv2 tnved
}
all_tsis() {   # trunk-mode VM port: the two VNs by the guest's tags
  jq -n --argjson count "$tsis" '
    def hex($n; $width): [range($width)] | reverse | map(pow(16; .) as $p | (($n / $p) | floor) % 16
      | "0123456789abcdef"[.:. + 1]) | add;
    [range($count) | { vsi: "be000000-0000-4000-8000-\(hex(.; 12))", vn: (70001 + . % 2),
      macs: ["02:00:00:00:\(hex(. / 256 | floor; 2)):\(hex(. % 256; 2))"],
      interface: "trunk0", guest_tag: (1000 + . % 2), state: "activated" }]'
}
active_at() { ctl_json "$1" tsi show | jq '[.[] | select(.vsi | startswith("be00")) | select(.state | ascii_downcase == "activated")] | length'; }
# The second in which the last transition was logged is over and summarized.
log_is_quiet() {
  local last
  last=$(grep TRANSITION "$work/$1.log" | tail -1 | cut -d' ' -f1)
  [ $(($(date +%s%3N) - $(date -d "$last" +%s%3N))) -gt 2500 ]
}
all_active() { [ "$(active_at sw1)" = "$tsis" ] && [ "$(active_at hv1)" = "$tsis" ]; }

converge() {
  step "$tsis TSIs become active while 30 % of the ECP frames are lost each way"
  local begun
  begun=$(now_ms)
  all_tsis >"$work/tsis.json"
  ctl hv1 tsi apply "$work/tsis.json" >"$work/verdict" 2>&1 || fail "apply: $(tail -1 "$work/verdict")"
  wait_for 120 "all are active on both sides" all_active
  convergence_ms=$(($(now_ms) - begun))
  run_vm blue1 hv1
  run_vm blue2 hv2
  wait_for 10 "blue1 reaches blue2" pings blue1 "$(ip_of blue2)" 1
}
# Transitions of TSIs that a daemon has logged; it summarizes above 1,000 a second, and that would be far too many.
tsi_transitions() { grep -cE 'TRANSITION machine=tsi|TRANSITIONS_SUPPRESSED' "$work/$1.log" || true; }

hold() {
  step "For $hold_s s no TSI leaves its state, and no ping is lost"
  local sw_before hv_before
  wait_for 10 "the switch has told all transitions so far" log_is_quiet sw1
  wait_for 10 "the hypervisor has told all transitions so far" log_is_quiet hv1
  sw_before=$(tsi_transitions sw1)
  hv_before=$(tsi_transitions hv1)
  if [ "$sw_before" = 0 ] || [ "$hv_before" = 0 ]; then fail "the logs show no transition of a TSI at all"; fi
  local begun
  begun=$(now_ms)
  ping_start held blue1 "$(ip_of blue2)" $((hold_s * 100))
  wait_for $((2 * hold_s + 60)) "the pings end" ping_over   # on a busy machine they come slower than 100 a second
  ping_end held
  held_s=$((($(now_ms) - begun) / 1000))
  expect "transitions of TSIs at the switch" "$(tsi_transitions sw1)" "$sw_before"
  expect "transitions of TSIs at the hypervisor" "$(tsi_transitions hv1)" "$hv_before"
  all_active || fail "active: $(active_at sw1) at sw1, $(active_at hv1) at hv1"
  expect "pings lost of $sent" "$lost" 0
}
ping_over() { ! kill -0 "$(cat "$work/held.ping.pid")"; }

report() {
  kill "$relay_pid"
  wait "$relay_pid"
  jq -r 'to_entries[] | "    ECP frames \(.key): \(.value.came), dropped \(.value.dropped)"' "$work/relay.report"
  came=$(jq '[.[].came] | add' "$work/relay.report")
  dropped=$(jq '[.[].dropped] | add' "$work/relay.report")
  expect "frames that the relay itself lost" "$(jq '[.[].lost] | add' "$work/relay.report")" 0
  awk -v c="$came" -v d="$dropped" 'BEGIN { exit !(d > c * 0.2 && d < c * 0.4) }' || fail "the relay dropped $dropped of $came"
  say "retransmitted: hv1 $(ctl_json hv1 peer show | jq '[.[].retransmitted] | add'), sw1 $(ctl_json sw1 peer show | jq '[.[].retransmitted] | add')"
}

build_scene
converge
hold
report
step_end
echo "lossy: PASS tsis=$tsis loss=$share convergence_ms=$convergence_ms held_s=$held_s transitions=0 pings=$sent lost=$lost ecp_frames=$came dropped=$dropped"
