#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# require.sh BUILD: where signatures are required, nothing that anybody can send changes anything, and it costs little.
#
#   hv1 up0 --- p1 sw1 p2 --- up0 hv2
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
netns_begin "${1:?usage: require.sh BUILD}"

timing='"ecp":{"retries":3,"rte":12},"vdp":{"rwd":18,"rka":17},"lldp":{"interval_ms":1000}'   # keep-alives each 1.3 s
(umask 077; openssl rand -hex 32 >"$work/key")
keys='"authentication":"require","keys":[{"id":1,"file":"'$work/key'"}]'

hypervisor_with_key() {
  config "$1" <<JSON
{ "role": "tnved", "instance": "$1", $(paths_json "$1"), $timing, "uplinks": [{ "interface": "up0", $keys${2:+, $2} }],
  "vns": [{ "id": 70001, "alias": "blue" }, { "id": 70002, "alias": "red" }], "start_deadline_ms": 5000 }
JSON
}
mac_of_link() { in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].address'; }
forge() { in_ns hv1 python3 "$netns_folder/forge.py" "$@"; }
sent_by_p1() { in_ns sw1 ip -j -s link show dev p1 | jq '.[0].stats64.tx.packets'; }
stations() { ctl_json sw1 peer show | jq length; }
neighbour() { [ "$(ctl_json sw1 evb show | jq -r '.[] | select(.interface == "p1") | .mac')" = "$1" ]; }
usurped() {   # hv1 announces itself again each second: whoever is first is the neighbour
  forge usurp up0 "$(mac_of_link hv1 up0)" 02:66:66:66:66:66 3600 000fffbfff
  neighbour 02:66:66:66:66:66
}
renewals() { ctl_json hv1 peer show | jq '.[0].keepalives'; }
renewed() { [ "$(renewals)" -ge $((renewals_before + 3)) ]; }
refused_since() { [ "$(counter sw1 frames "authentication: missing")" -ge "$1" ]; }

ns_add sw1 hv1 hv2
link hv1 up0 sw1 p1
link hv2 up0 sw1 p2
switch sw1 "$(port p1 100-199 "$keys"),$(port p2 200-299 "$keys")"
hypervisor_with_key hv1 "\"nnve\": \"$(mac_of_link sw1 p1)\""
hypervisor_with_key hv2

step "Hellos of 1000 stations that do not exist: each is answered once, none is remembered, and hv1 gets in"
daemon_start sw1 sw1 nnved
before=$(sent_by_p1)
forge hellos up0 1000
wait_for 5 "they are refused" refused_since 900
expect "stations that sw1 remembers" "$(stations)" 0
sent=$(($(sent_by_p1) - before))
[ "$sent" -le 1100 ] || fail "1000 frames cost $sent"
say "1000 frames in, $sent out"
daemon_start hv1 hv1 tnved
daemon_start hv2 hv2 tnved
run_vm blue1 hv1
run_vm blue2 hv2
pings blue1 "$(ip_of blue2)" || fail "blue1 does not reach blue2"
tag=$(at blue1 p1 vid)

step "LLDP that says goodbye in hv1's name, then timers beyond every bound: shown, and nothing more"
ping_start lldp blue1 "$(ip_of blue2)"
wait_for 5 "the ping runs" ping_reached lldp 20
wait_for 10 "the neighbour is shown" usurped
ping_stop lldp
expect "pings lost of $sent" "$lost" 0
expect "blue1" "$(at blue1 p1 state)" activated
run_vm red1 hv1

step "Frames in hv1's name to the group do not turn where it is answered: it hears us at its own address only"
forge deassociate up0 "$(mac_of_link hv1 up0)" "$(vsi_of blue1)" 500
wait_for 5 "they are refused" refused_since 1400
renewals_before=$(renewals)
wait_for 10 "blue1 is renewed" renewed
expect "blue1" "$(at blue1 p1 state)" activated
expect "tag of blue1" "$(at blue1 p1 vid)" "$tag"
expect "unconfirmed at hv1" "$(ctl_json hv1 peer show | jq '.[0].unconfirmed')" 0
step_end
echo "require: PASS"
