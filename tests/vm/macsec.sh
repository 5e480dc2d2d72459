#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# macsec.sh BUILD: both daemons on MACsec interfaces (F3, D11): VMs run and talk, and nothing of VDP or of a tenant is on
# the link in clear. Runs in the guest of `tools/dev vm`: not every kernel has MACsec.
#
#   blue1 hv1 ms0 == up0 --- p1 == ms1 sw1 ms2 == p2 --- up0 == ms0 hv2 blue2
netns_folder=$(cd "$(dirname "$0")/../netns" && pwd)
# shellcheck source=tests/netns/lib.sh
. "$netns_folder/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: macsec.sh BUILD}"
# An emulated processor is slow: keep-alives every 2.6 s.
timing='"ecp":{"retries":5,"rte":13},"vdp":{"rwd":20,"rka":18}'

mac_in() { in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].address'; }
# secure NS LINK NAME PEER_NS PEER_LINK OWN_KEY PEER_KEY: a MACsec interface over a link, with keys given by hand.
secure() {
  in_ns "$1" ip link add link "$2" "$3" type macsec port 1 encrypt on
  in_ns "$1" ip macsec add "$3" tx sa 0 pn 1 on key 00 "$6"
  in_ns "$1" ip macsec add "$3" rx port 1 address "$(mac_in "$4" "$5")"
  in_ns "$1" ip macsec add "$3" rx port 1 address "$(mac_in "$4" "$5")" sa 0 pn 1 on key 01 "$7"
  in_ns "$1" ip link set "$3" up
}
key() { printf '%032x' "$1"; }

build_scene() {
  step "Two hypervisors behind MACsec links"
  local n
  ns_add sw1
  for n in 1 2; do
    ns_add "hv$n"
    link "hv$n" up0 sw1 "p$n"
    secure "hv$n" up0 ms0 sw1 "p$n" "$(key "1$n")" "$(key "2$n")"
    secure sw1 "p$n" "ms$n" "hv$n" up0 "$(key "2$n")" "$(key "1$n")"
    config "hv$n" <<JSON
{ "role": "tnved", "instance": "hv$n", $(paths_json "hv$n"), $timing, "uplinks": [{ "interface": "ms0" }],
  "vns": [{ "id": 70001, "alias": "blue" }], "start_deadline_ms": 20000 }
JSON
  done
  switch sw1 "$(port ms1 100-199),$(port ms2 200-299)"
  watch_link
  daemon_start sw1 sw1 nnved
  for n in 1 2; do daemon_start "hv$n" "hv$n" tnved; done
}

# What stands on p1 under the MACsec interface, as EtherTypes.
watch_link() {
  (trap - ERR; exec nsenter --net=/run/netns/sw1 tcpdump -i p1 -e -n -q -l --immediate-mode -Z root) \
    >"$work/link" 2>"$work/tcpdump.log" &
  watcher=$!
  wait_for 20 "tcpdump listens" grep -q listening "$work/tcpdump.log"
}

talk() {
  step "VMs run by VDP over MACsec, and reach each other"
  run_vm blue1 hv1
  run_vm blue2 hv2
  wait_for 20 "the switch has both" eval '[ "$(at blue1 ms1 state)" = activated ] && [ "$(at blue2 ms2 state)" = activated ]'
  wait_for 20 "blue1 reaches blue2" pings blue1 "$(ip_of blue2)" 3
  tsi hv1 suspend blue1
  no_ping blue1 "$(ip_of blue2)" || fail "a suspended VM still talks"
  tsi hv1 resume blue1
  wait_for 20 "blue1 reaches blue2 again" pings blue1 "$(ip_of blue2)" 3
}

nothing_in_clear() {
  step "On the link there is MACsec alone"
  kill "$watcher"
  wait "$watcher" 2>/dev/null || true
  # IPv6 of the link's own interface may stand beside it.
  local other
  other=$(grep -vcE '0x88e5|MACSEC|MACsec|ethertype IPv6|, IPv6|^$' "$work/link" || true)
  say "$(grep -ciE '0x88e5|macsec' "$work/link") MACsec frames, $other others"
  [ "$other" = 0 ] ||
    fail "in clear: $(grep -vE '0x88e5|MACSEC|MACsec|ethertype IPv6|, IPv6|^$' "$work/link" | head -3)"
  [ "$(grep -ciE '0x88e5|macsec' "$work/link")" -gt 20 ] || fail "nothing was seen"
}

build_scene
talk
nothing_in_clear
step_end
echo "macsec: PASS"
