#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# isolation.sh BUILD: a catalogue of hostile frames from every seat, thrown at one switch, and where each of them arrived. No frame may
# reach another VN, no unicast anybody but its receiver, no address may be taken, and no running VM may end.
#
#   hv1 up0 --- p1 sw1 u0 === underlay: a peer that is no nNVE of ours
#   hv2 up0 --- p2 '           hv1: blue1 (addresses signalled), blue4 (MAC only), red1     hv2: blue2, red2
#   hv3 up0 --- p3 '           hv3, at a port that requires signatures: blue3
# Seats: a tenant (blue1, blue4), a station (on the wire of p1, p2 and p3), a peer on the underlay.
# shellcheck disable=SC2154  # work and netns_folder are of lib.sh
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/datacentre.sh"
. "$(dirname "$0")/small.sh"
. "$(dirname "$0")/isolation_vms.sh"
netns_begin "${1:-}"
timing='"ecp":{"retries":3,"rte":12},"vdp":{"rwd":18,"rka":17}'

step "one switch, three hypervisors, a peer on the underlay"
ns_add sw1 peer hv1 hv2 hv3
underlay sw1 192.0.2.1 peer 192.0.2.66
in_ns sw1 ip addr add 192.0.2.2/32 dev lo   # the switch forwards, and has more than one address
in_ns sw1 sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
for n in 1 2 3; do
  link "hv$n" up0 sw1 "p$n"
  in_ns sw1 sysctl -qw "net.ipv4.conf.p$n.rp_filter=0"
  hypervisor_config "hv$n"
done
(umask 077; openssl rand -hex 32 >"$work/key")
keys='"authentication":"require","keys":[{"id":1,"file":"'$work/key'"}]'
sed -i 's|"interface": "up0"|"interface": "up0", '"$keys"'|' "$work/hv3.json"
# What VMs of other hypervisors signalled is unknown to this one, which switches between its own: it wants to be strict.
sed -i 's|"alias": "blue"|"alias": "blue", "link_local": "strict"|' "$work/hv1.json"
vns='"vns":[{"id":70001,"alias":"blue","vni":70001,"remote_nnves":["192.0.2.9"]},{"id":70002,"alias":"red","vni":70002,"remote_nnves":["192.0.2.9"]}]'
config sw1 <<JSON
{ "role": "nnved", "instance": "sw1", $(paths_json sw1), $timing, $vns,
  "ports": [$(port p1 100-199), $(port p2 200-299 '"host_traffic":true'), $(port p3 300-399 "$keys")],
  "remotes": [{ "vn": "red", "mac": "02:aa:00:00:00:09", "nnve": "192.0.2.9" }],
  "vxlan": { "interface": "vx-sw1", "local": "192.0.2.1", "port": 4789 } }
JSON
daemon_start sw1 sw1 nnved
for n in 1 2 3; do daemon_start "hv$n" "hv$n" tnved; done

step "six VMs run"
six_vms_run --ip fe80::2

step "the catalogue"
macs=()
for where in sw1/p1 sw1/p2 hv1/up0; do macs+=("$(in_ns "${where%/*}" ip -j link show dev "${where#*/}" | jq -r '.[0].address')"); done
in_ns sw1 python3 "$netns_folder/isolation.py" "${macs[@]}" "$(vid_of blue1 hv1)" "$(vid_of red1 hv1)" "$(vid_of blue2 hv2)" \
  >"$work/catalogue" || { cat "$work/catalogue"; fail "frames arrived where they may not"; }
cat "$work/catalogue"

step "nothing was taken and nobody ended"
nobody_ended
ctl sw1 audit >/dev/null
step_end
echo "isolation: passed"
