#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# trespass.sh BUILD: what a hostile station at each kind of port may say by VDP and LLDP about VMs and addresses that are not its
# own, and what became of it. No running VM may end, no address may be taken but where both ports are `direct`.
#
#   hv1 up0 --- p1 sw1    plain            blue1, red1       hv3 up0 --- p3    requires signatures    blue3
#   hv2 up0 --- p2        direct           blue2             hv4 up0 --- p4    direct                 blue4
# shellcheck disable=SC2154,SC2034  # work and netns_folder are of lib.sh, timing is for small.sh
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/datacentre.sh"
. "$(dirname "$0")/small.sh"
netns_begin "${1:-}"
timing='"ecp":{"retries":3,"rte":12},"vdp":{"rwd":18,"rka":17},"lldp":{"interval_ms":1000}'

step "four hypervisors at three kinds of ports"
ns_add sw1
(umask 077; openssl rand -hex 32 >"$work/key")
keys='"authentication":"require","keys":[{"id":1,"file":"'$work/key'"}]'
for n in 1 2 3 4; do
  ns_add "hv$n"
  link "hv$n" up0 sw1 "p$n"
  hypervisor_config "hv$n"
done
sed -i 's|"interface": "up0"|"interface": "up0", '"$keys"'|' "$work/hv3.json"
ports="$(port p1 100-199 '"direct":false'),$(port p2 200-299),$(port p3 300-399 "$keys"),$(port p4 400-499)"
switch sw1 "$ports" '"remotes":[{"vn":"red","mac":"02:bb:00:00:00:09","nnve":"192.0.2.9"}]'
jq '.vns[0].reserved_ips = ["10.0.0.254", "2001:db8:fe::/64"]' "$work/sw1.json" >"$work/with" && mv "$work/with" "$work/sw1.json"
daemon_start sw1 sw1 nnved
for n in 1 2 3 4; do daemon_start "hv$n" "hv$n" tnved; done

step "five VMs run"
host() { case $1 in *1) echo hv1;; *) echo "hv${1: -1}";; esac; }
mac() { case $1 in red*) echo "02:bb:00:00:00:0${1: -1}";; *) echo "02:aa:00:00:00:0${1: -1}";; esac; }
for vm in blue1 red1 blue2 blue3 blue4; do
  vm_add "$vm" "$(host "$vm")" "tap-$vm" "$(mac "$vm")" "10.0.0.${vm: -1}"
  ctl "$(host "$vm")" tsi create "$(vsi_of "$vm")" --vn "${vm%?}" --mac "$(mac "$vm")" --interface "tap-$vm" \
    --ip "10.0.0.${vm: -1}" --ip "2001:db8::${vm: -1}" >/dev/null
  ctl "$(host "$vm")" tsi start "$(vsi_of "$vm")" >/dev/null
done
reach() { pings blue1 10.0.0.2 && pings blue1 10.0.0.3 && pings blue2 10.0.0.4; }
reach

step "the catalogue"
python3 "$netns_folder/trespass.py" "$vdpctl" "$(socket_of sw1)" >"$work/catalogue" || { cat "$work/catalogue"; fail "somebody got what is not theirs"; }
cat "$work/catalogue"

step "those that nobody may take run on"
reach_others() { pings blue1 10.0.0.2 && pings blue1 10.0.0.3 && pings blue2 10.0.0.3; }
wait_for 5 "they reach each other" reach_others
step_end
