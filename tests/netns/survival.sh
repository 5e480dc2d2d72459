#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# survival.sh BUILD [ci|full]: pings of established TSIs while a daemon is away, a link flaps, and the store is lost.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: survival.sh BUILD [ci|full]}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# Seconds that nnved and tnved are away; the dead-peer time has its default, 30 s, so 20 s of silence end nothing.
case "${2:-ci}" in
  ci) nnved_away=8 tnved_away=5 flaps=3 ;;
  full) nnved_away=120 tnved_away=20 flaps=20 ;;
  *) echo "ci or full" >&2; exit 2 ;;
esac
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":17}'   # keep-alives each 1.3 s, timeout 2.1 s

vids() { local vm; for vm in $(vms); do printf '%s=%s ' "$vm" "$(vid_of "$vm")"; done; }
all_say() { local vm; for vm in $(vms); do both_say "$vm" activated || return 1; done; }
audits() { local one; for one in sw1 sw2 hv1 hv2 hv3; do ctl "$one" audit >/dev/null || return 1; done; }
# Time passing is what is tested here.
away() { sleep "$1"; }
pairs() { echo near:blue1:blue2 far:blue1:blue3 same:blue4:blue1 red:red1:red3; }
begin() {
  local pair name from to
  for pair in $(pairs); do
    IFS=: read -r name from to <<<"$pair"
    ping_start "$name" "$from" "$(ip_of "$to")"
    wait_for 5 "ping $name runs" ping_reached "$name" 5
  done
}
# Stops the pings; `gaps` is how many requests had no reply, `lost_of` the same of each pair.
declare -A lost_of
end() {
  local pair name
  gaps=0
  for pair in $(pairs); do
    name=${pair%%:*}
    ping_stop "$name"
    lost_of[$name]=$lost
    gaps=$((gaps + lost))
  done
}
# settled TAGS: both sides agree again, tags are the same, and all planes hold what they shall.
settled() {
  wait_for 40 "both sides agree" all_say
  expect "the tags" "$(vids)" "$1"
  wait_for 40 "audit finds nothing" audits
}
lost_none() { end; expect "lost pings" "$gaps" 0; say "no ping lost, tags unchanged"; }

step "Three hypervisors, two switches, six VMs"
build_datacentre
start_datacentre
for vm in $(vms); do tsi "$(host_of "$vm")" create "$vm"; done
for vm in $(vms); do tsi "$(host_of "$vm")" start "$vm"; done
wait_for 10 "both sides agree" all_say
tags=$(vids)

step "nnved of both switches away for $nnved_away s"
begin
for one in sw1 sw2; do daemon_kill "$one"; done
away "$nnved_away"
for one in sw1 sw2; do daemon_start "$one" "$one" nnved; done
settled "$tags"
lost_none

step "tnved of all hypervisors away for $tnved_away s"
begin
for one in hv1 hv2 hv3; do daemon_kill "$one" KILL; done
away "$tnved_away"
for one in hv1 hv2 hv3; do daemon_start "$one" "$one" tnved; done
settled "$tags"
lost_none

step "The access link of hv2 flaps $flaps times; what does not use it loses nothing"
begin
for _ in $(seq "$flaps"); do
  in_ns hv2 ip link set up0 down
  away 0.2
  in_ns hv2 ip link set up0 up
  away 0.2
done
settled "$tags"
end
lost_near=${lost_of[near]}
expect "pings lost by pairs that do not use the link" "$((gaps - lost_near))" 0
# 20 requests fit into 0.2 s of a link that is down, and a few more into its coming up.
[ "$lost_near" -le $((flaps * 40)) ] || fail "$failed_in: $lost_near pings lost in $flaps flaps of 0.2 s"
say "$lost_near lost over the link itself, none elsewhere"

step "The underlay flaps; pairs on one switch lose nothing"
begin
in_ns sw1 ip link set u0 down
away 0.3
in_ns sw1 ip link set u0 up
settled "$tags"
end
expect "pings lost by pairs on one switch" "$((lost_of[near] + lost_of[same]))" 0
say "$gaps lost over the underlay"
# 30 requests of each of two pairs fit into 0.3 s of a link that is down, and some into its coming up.
[ "$gaps" -le 120 ] || fail "$failed_in: $gaps pings lost"

step "The store of sw1 is destroyed: nnved refuses to start, and recovers from its peers"
begin
daemon_kill sw1 KILL
rm -f /run/splitnve/sw1.db-wal
head -c 8192 /dev/urandom >/run/splitnve/sw1.db
status=0
in_ns sw1 timeout 10 "$build/src/nnved/nnved" --config "$work/sw1.json" >"$work/refusal" 2>&1 || status=$?
expect "exit status of a start with a damaged store" "$status" 1
grep -q "the state store is damaged" "$work/refusal" || fail "$failed_in: it says: $(cat "$work/refusal")"
jq '.recover_from_peers = true' "$work/sw1.json" >"$work/recover.json" && mv "$work/recover.json" "$work/sw1.json"
daemon_start sw1 sw1 nnved
test -e /run/splitnve/sw1.db.corrupt-1 || fail "$failed_in: the damaged store was not moved aside"
settled "$tags"
lost_none

step "The store of sw1 is deleted: an ordinary start recovers too"
begin
daemon_kill sw1 KILL
rm -f /run/splitnve/sw1.db*
jq 'del(.recover_from_peers)' "$work/sw1.json" >"$work/recover.json" && mv "$work/recover.json" "$work/sw1.json"
daemon_start sw1 sw1 nnved
settled "$tags"
lost_none

step "vn disconnect ends the VN's TSIs on a port and keeps them out across a restart, until vn release"
ctl sw1 vn disconnect --port p2 --vn blue --reason "moving" >/dev/null
wait_for 5 "no TSI on p2" eval '[ "$(ctl_json sw1 tsi show | jq "[.[] | select(.port == \"p2\")] | length")" = 0 ]'
no_ping blue2 "$(ip_of blue1)" || fail "$failed_in: blue2 still forwards"
daemon_kill sw1 KILL
daemon_start sw1 sw1 nnved
expect "the VN's reason" "$(ctl_json sw1 vn show | jq -r '[.[] | select(.latched)][0].reason')" \
  "taken out of service by the operator: moving"
ctl hv2 tsi create "$(vsi_of blue2)" --vn blue --mac "$(mac_of blue2)" --interface tap-blue2 >/dev/null 2>&1 &&
  fail "$failed_in: blue2 was let in"
ctl sw1 vn release --port p2 --vn blue >/dev/null
tsi hv2 create blue2
tsi hv2 start blue2
wait_for 10 "both sides agree" all_say
pings blue2 "$(ip_of blue1)" || fail "$failed_in: blue2 does not forward"

step "drain leaves nothing, and refuses until undrain"
ctl hv1 drain >/dev/null
expect "TSIs of hv1" "$(tsi_count hv1)" 0
expect "TSIs of sw1 at p1" "$(ctl_json sw1 tsi show | jq '[.[] | select(.port == "p1")] | length')" 0
ctl hv1 tsi create "$(vsi_of blue1)" --vn blue --mac "$(mac_of blue1)" >/dev/null 2>&1 && fail "$failed_in: hv1 took one"
ctl hv1 undrain >/dev/null
tsi hv1 create blue1
ctl sw1 drain --remove >/dev/null
wait_for 5 "nnved ends" dead sw1
[ -z "$(find /sys/fs/bpf/splitnve/sw1 -type f 2>/dev/null)" ] || fail "$failed_in: pins are left"
step_end
echo "survival: PASS"
