#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hostile.sh BUILD [full|ci]: an attacker floods one port of the switch with every class of bad input, and in turn with
# as many valid duplicates. A station at another port works on, one at the same port keeps its lease.
#
#   attacker, victim h1 --- p1 sw1 p2 --- g1 a well-behaved station
#
# `full` bounds the ratio of latencies; `ci` is shorter, and holds only what no busy machine can break.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: hostile.sh BUILD [full|ci]}"
attack="$build/tests/hostile/splitnve_attack"
[ -x "$attack" ] || { echo "not built: $attack (tools/dev build)" >&2; exit 1; }

readonly ratio_max=1.25 recovery_ms_max=2000 rss_kib_max=65536 jumbo=9100
case "${2:-full}" in
  full) rate=${RATE:-20000} seconds=3 alternations=5 ;;
  ci) rate=${RATE:-5000} seconds=1 alternations=2 ;;
  *) echo "usage: hostile.sh BUILD [full|ci]" >&2; exit 2 ;;
esac

build_scene() {
  ns_add sw1 outside
  link outside h1 sw1 p1 "$jumbo"
  link outside g1 sw1 p2
  # The keep-alive timeout is 3.7 s, shorter than the flood: a lease that is not renewed under it is lost.
  config sw1 <<JSON
{ "role": "nnved", "instance": "sw1", $(paths_json sw1), "log_level": "warning",
  "ecp": {"retries": 3, "rte": 14}, "vdp": {"rwd": 18, "rka": 17},
  "ports": [{"interface": "p1", "vids": "100-199", "evb": "off"}, {"interface": "p2", "vids": "200-299", "evb": "off"}],
  "vns": [{ "id": 70001, "alias": "blue" }] }
JSON
  daemon_start sw1 sw1 nnved
}
mac_in() { in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].address'; }
rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$(pid_of sw1)/status"; }
# Frames that the other end's interface handed over: what a full queue of the kernel swallowed never was on the wire.
carried() { in_ns outside ip -j -s link show dev "$1" | jq '.[0].stats64.tx.packets'; }

# group NAME: the sum of a group's counters.
group() { ctl_json sw1 stats show | jq --arg g "$1" '[.[] | select(.group == $g) | .value] | add // 0'; }
arrived_at() {
  ctl_json sw1 stats show | jq --arg g "port $1" \
    '[.[] | select(.group == $g and (.counter | IN("rx_frames", "rx_tagged", "rx_oversize", "rx_dropped"))) | .value] | add'
}
delivered() { ctl_json sw1 stats show | jq '[.[] | select(.counter == "rx_frames") | .value] | add'; }
all_counted() { [ "$(group frames)" = "$(delivered)" ]; }
all_arrived() { [ "$(arrived_at "$1")" = "$(carried "$2")" ]; }

# The attacker's valid request has made it a TSI of its own.
victims() {
  ctl_json sw1 tsi show | jq '[.[] | select(.station == "02:00:c0:00:00:02" and .state == "activated")] | length'
}

run_attack() {
  step "Five alternations: $rate duplicates/s, $rate hostile frames/s, $seconds s each"
  rss_before=$(rss_kib)
  in_ns outside "$attack" h1 "$(mac_in sw1 p1)" g1 "$(mac_in sw1 p2)" "$(pid_of sw1)" "$rate" "$seconds" "$alternations" \
    >"$work/attack" 2>"$work/attack.log" || fail "the attack: $(tail -1 "$work/attack.log")"
  rss_growth=$(($(rss_kib) - rss_before))
  grep -E '^(phase|result)' "$work/attack" | sed 's/^/    /'
}
result() { sed -nE "s/^result .*\b$1=([0-9.]+).*/\1/p" "$work/attack"; }

every_drop_is_counted() {
  step "Every frame is in a counter"
  local cause count kernel
  wait_for 5 "frames of p1: carried by the wire = counted at the port" all_arrived p1 h1
  wait_for 5 "frames of p2: carried by the wire = counted at the port" all_arrived p2 g1
  wait_for 5 "frames delivered = taken + dropped by cause" all_counted
  kernel=$(counter sw1 "port p1" rx_dropped)
  say "sent $(sed -n 's/^sent //p' "$work/attack"), carried $(carried h1), lost by a full receive buffer $kernel"
  ctl_json sw1 stats show | jq -r '.[] | select(.group == "frames" and .value > 0) | "    \(.value)\t\(.counter)"'
  # Without loss before the daemon each cause is exact, but for those that the peer's state decides.
  [ "$(sed -n 's/^sent //p' "$work/attack")" -le "$(carried h1)" ] && [ "$kernel" = 0 ] || return 0
  while IFS=$'\t' read -r cause count; do
    expect "drops for: $cause" "$(counter sw1 frames "$cause")" "$count"
  done < <(sed -n 's/^early\t//p' "$work/attack")
  while IFS=$'\t' read -r cause count; do
    expect "frames of p1 counted as $cause" "$(counter sw1 "port p1" "$cause")" "$count"
  done < <(sed -n 's/^port\t//p' "$work/attack")
}

judge() {
  step "The victim kept its lease, memory is bounded"
  expect "activated TSIs of the victim" "$(victims)" 10
  expect "activations that failed" "$(result failures)" 0
  [ "$(ctl_json sw1 peer show | jq length)" -le 257 ] || fail "more peers than allowed"
  awk -v r="$(result recovery_ms)" -v m="$recovery_ms_max" 'BEGIN { exit !(r <= m) }' || fail "the victim took $(result recovery_ms) ms"
  [ "$rss_growth" -le "$rss_kib_max" ] || fail "resident memory grew by $rss_growth KiB"
  [ "${mode:-full}" = ci ] ||
    awk -v r="$(result ratio)" -v m="$ratio_max" 'BEGIN { exit !(r <= m) }' || fail "ratio of medians $(result ratio), at most $ratio_max"
}

mode=${2:-full}
build_scene
run_attack
every_drop_is_counted
judge
step_end
echo "hostile: PASS ratio=$(result ratio) cpu_us_per_drop=$(result cpu_us_per_drop) recovery_ms=$(result recovery_ms) rss_kib_growth=$rss_growth"
