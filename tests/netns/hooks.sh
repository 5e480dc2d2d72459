#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hooks.sh BUILD: hooks of 300 VMs wait while the switch is away; none is refused for want of a connection, an operator gets
# in, and no other user takes the places of root.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: hooks.sh BUILD}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":17}'
hooks=300

step "One hypervisor, its switch does not run yet"
ns_add sw1 hv1
link hv1 up0 sw1 p1
hypervisor_config hv1
# Several VNs: one has fewer ports.
jq '.vns += [range(1; 9) | {id: (80000 + .), alias: "v\(.)"}] | .start_deadline_ms = 20000' "$work/hv1.json" >"$work/more.json"
mv "$work/more.json" "$work/hv1.json"
switch sw1 "$(port p1 100-199)"
jq '.vns += [range(1; 9) | {id: (80000 + .), alias: "v\(.)", name: "0b1ce000-0000-4000-8000-00000000010\(.)"}]' "$work/sw1.json" >"$work/more.json"
mv "$work/more.json" "$work/sw1.json"
daemon_start hv1 hv1 tnved
for ((i = 1; i <= hooks; i++)); do echo "link add t$i type veth peer name x$i"; echo "link set t$i up"; done >"$work/links"
in_ns hv1 ip -batch "$work/links"

step "Another user holds all it can, and $hooks hooks begin"
chmod 755 /run/splitnve "$work" && chmod 666 "$(socket_of hv1)"
python3 "$netns_folder/stalled_clients.py" "$(socket_of hv1)" 200 65534 &
stranger=$!
wait_for 10 "its connections stand" test -e "/proc/$stranger/fd/202"
for ((i = 1; i <= hooks; i++)); do
  "$vdpctl" -s "$(socket_of hv1)" tsi create "$(printf 'd1000000-0000-4000-8000-%012d' "$i")" --vn "v$((i % 8 + 1))" \
    --mac "$(printf '02:dd:00:00:%02x:%02x' $((i / 256)) $((i % 256)))" --interface "t$i" --timeout 60 >"$work/hook.$i" 2>&1 &
  echo $! >>"$work/hooks"
done
known() { [ "$(ctl_json hv1 tsi show | jq length)" -ge "$1" ]; }
wait_for 30 "all hooks wait" known $hooks
ctl hv1 --timeout 5 peer show >/dev/null || fail "an operator cannot look"

step "The switch comes: every hook ends well"
daemon_start sw1 sw1 nnved
while read -r hook; do wait "$hook" || true; done <"$work/hooks"
expect "hooks that ended well" "$(cat "$work"/hook.[0-9]* | grep -c '^ok$')" $hooks
kill "$stranger"
step_end
echo "PASS: $hooks hooks waited, none was refused"
