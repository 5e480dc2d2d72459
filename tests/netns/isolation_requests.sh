#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# isolation_requests.sh BUILD: everything that a station may ask for without a right to it -- others' VSIs, MACs, IPs, VIDs, our own
# addresses, ends of others, frames in others' names, signed frames again -- from a direct, a plain and a signing port, and what
# became of each. Nothing is taken except where declared trust lets it, by name, and no running VM ends.
#
#   hv1 up0 --- p1 sw1 p4 --- up0 bad       p1, p4 direct: a station is believed
#   hv2 up0 --- p2 '  '                     p2 plain: the hostile station shares hv2's wire
#   hv3 up0 --- p3 '                        p3 requires signatures: it shares hv3's wire, and has no key
# shellcheck disable=SC2154  # work and netns_folder are of lib.sh
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/datacentre.sh"
. "$(dirname "$0")/small.sh"
. "$(dirname "$0")/isolation_vms.sh"
netns_begin "${1:-}"
timing='"ecp":{"retries":3,"rte":12},"vdp":{"rwd":18,"rka":17}'

step "one switch, three hypervisors, and a station that is nobody's"
ns_add sw1 hv1 hv2 hv3 bad
for n in 1 2 3; do
  link "hv$n" up0 sw1 "p$n"
  hypervisor_config "hv$n"
done
link bad up0 sw1 p4
(umask 077; openssl rand -hex 32 >"$work/key")
keys='"authentication":"require","keys":[{"id":1,"file":"'$work/key'"}]'
sed -i 's|"interface": "up0"|"interface": "up0", '"$keys"'|' "$work/hv3.json"
config sw1 <<JSON
{ "role": "nnved", "instance": "sw1", $(paths_json sw1), $timing,
  "ports": [$(port p1 100-199), $(port p2 200-299 '"direct":false'), $(port p3 300-399 "$keys"), $(port p4 400-499)],
  "vns": [{"id":70001,"alias":"blue"}, {"id":70002,"alias":"red","vni":70002,"remote_nnves":["192.0.2.9"]}],
  "remotes": [{ "vn": "red", "mac": "02:aa:00:00:00:09", "nnve": "192.0.2.9" }] }
JSON
daemon_start sw1 sw1 nnved
for n in 1 2 3; do daemon_start "hv$n" "hv$n" tnved; done

step "six VMs run"
six_vms_run

step "the catalogue"
mac_at() { in_ns "$1" ip -j link show dev "$2" | jq -r '.[0].address'; }
facts=$(
  for vm in blue1 blue4 red1 blue2 red2 blue3; do
    printf '{"vms":{"%s":{"vsi":"%s","mac":"%s","vid":"%s"}}}' "$vm" "$(vsi_of "$vm")" "$(mac_of "$vm")" "$(tsi_field sw1 "$(vsi_of "$vm")" vid)"
  done
  for n in 1 2 3; do printf '{"stations":{"hv%s":"%s"}}' "$n" "$(mac_at "hv$n" up0)"; done
  printf '{"hv2":"%s"}' "$(socket_of hv2)"
  for n in 1 2 3 4; do printf '{"macs":{"p%s":"%s"}}' "$n" "$(mac_at sw1 "p$n")"; done
)
facts=$(jq -cs 'reduce .[] as $one ({}; . * $one)' <<<"$facts")
python3 "$netns_folder/isolation_requests.py" "$vdpctl" "$(socket_of sw1)" "$facts" >"$work/catalogue" || {
  grep -e WRONG -e cases "$work/catalogue" >&2
  fail "something was taken, or answered otherwise than it may"
}
cat "$work/catalogue"

step "nobody ended, and everybody reaches who it reached"
nobody_ended
step_end
echo "isolation_requests: passed"
