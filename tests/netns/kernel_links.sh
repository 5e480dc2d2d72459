#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kernel_links.sh BUILD: what other tools do to interfaces and the underlay (S38): the VXLAN device deleted, remade,
# renamed, set down; the underlay's MTU and address; ports renamed, lent to other namespaces, made anew with the same and
# another number, absent at the start; MAC addresses and alternative names. Each is made right or told; the others talk on.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/kernel.sh
. "$netns_folder/kernel.sh"
netns_begin "${1:?usage: kernel_links.sh BUILD}"

step "six VMs run; two taps stand in one bridge"
start_kernel_test

gone_lines() { grep -c "PORT_GONE interface=$2" "$work/$1.log" || true; }
gone_again() { [ "$(gone_lines "$1" "$2")" -gt "$3" ]; }
# missed INSTANCE INTERFACE COMMAND...: after COMMAND the daemon says that the interface is gone.
missed() {
  local lines
  lines=$(gone_lines "$1" "$2")
  "${@:3}"
  wait_for 3 "$1 misses $2" gone_again "$1" "$2" "$lines"
}
index_of() { in_ns "$1" cat "/sys/class/net/$2/ifindex" 2>/dev/null || in_ns "$1" ip -o link show dev "$2" | cut -d: -f1; }
# knows_index INSTANCE INDEX: the programs take an interface with that number for a port.
knows_index() {
  bpftool -j map dump pinned "$(echo "/sys/fs/bpf/splitnve/$1"/v*/ports)" |
    jq -e --argjson index "$2" 'any(.[]; .formatted.key == $index)' >/dev/null
}
forgets_index() { ! knows_index "$@"; }
# make_tap VM [INDEX]: its eth0 and tap, as a start of the VM makes them; the bridge gets the tap as libvirt does.
make_tap() {
  in_ns "$(host_of "$1")" ip link add "tap-$1" ${2:+index "$2"} type veth peer name eth0 netns "$1"
  in_ns "$1" ip link set eth0 address "$(mac_of "$1")" up
  in_ns "$1" ip addr add "$(ip_of "$1")/24" dev eth0
  case "$1" in blue1 | red1) in_ns hv1 ip link set "tap-$1" master br0 ;; esac
  in_ns "$(host_of "$1")" ip link set "tap-$1" up
}
delete_tap() { in_ns "$(host_of "$1")" ip link del "tap-$1"; }

step "the VXLAN device: set down, MTU lowered, deleted, renamed, and remade by another tool"
others_start vxlan blue1 10.0.0.2
device() { in_ns sw1 ip link "$@"; }
lost sw1 tunnel_changed device set vx-sw1 down
reached blue1 10.0.0.3
lost sw1 tunnel_changed device set vx-sw1 mtu 1400
reached blue1 10.0.0.3
lost sw1 tunnel_changed device del vx-sw1
reached blue1 10.0.0.3
must_fail in_ns sw1 "$vdpctl" config check "$work/sw1.json"
grep -q "vx-sw1: another tool on this machine changed what the running daemon needs" "$work/check"
daemon_kill sw1
daemon_start sw1 sw1 nnved   # a restart gives the repairs of a minute back
lost sw1 tunnel_changed device set vx-sw1 name vx-other
reached blue1 10.0.0.3
# While the daemon cannot look: it would be quicker than another tool's second step.
asleep() { kill -STOP "$(pid_of sw1)"; "$@"; kill -CONT "$(pid_of sw1)"; }
remake() {
  device del vx-sw1
  device add vx-sw1 type vxlan external dstport 4789 local 192.0.2.1 learning
  device set vx-sw1 up
}
lost sw1 tunnel_changed asleep remake
reached blue1 10.0.0.3
remake_id() {
  device del vx-sw1
  device add vx-sw1 type vxlan id 5 dstport 4789 local 192.0.2.1 remote 192.0.2.9
}
lost sw1 tunnel_changed asleep remake_id
reached blue1 10.0.0.3
expect "VXLAN devices" "$(in_ns sw1 ip -o link show type vxlan | wc -l)" 1
others_end vxlan
wait_for 3 "audit is clean" audit_is_clean sw1

step "the underlay's MTU shrinks, its address goes: told, counted, and over when it is given back"
drops() { counter sw1 datapath "$1"; }
before=$(drops redirect)
in_ns sw1 ip link set u0 mtu 1500
wait_for 3 "it is told" kernel_log sw1 differs underlay_mtu
in_ns blue1 ping -q -n -c 3 -i 0.05 -W 0.3 -M 'do' -s 1472 10.0.0.3 >/dev/null || true
[ "$(drops redirect)" -gt "$before" ] || fail "large frames are dropped, but not counted"
reached blue1 10.0.0.3
in_ns sw1 ip link set u0 mtu 1600
wait_for 5 "it is over" grep "kernel.over part=underlay_mtu" "$work/sw1.log"
in_ns blue1 ping -q -n -c 3 -i 0.05 -W 1 -M 'do' -s 1472 10.0.0.3 >/dev/null
in_ns sw1 ip addr del 192.0.2.1/24 dev u0
wait_for 3 "the address is missed" kernel_log sw1 differs underlay_address
must_fail ctl sw1 audit
reached blue1 10.0.0.2
in_ns sw1 ip addr add 192.0.2.1/24 dev u0
wait_for 5 "it is back" grep "kernel.over part=underlay_address" "$work/sw1.log"
reached blue1 10.0.0.3
in_ns sw1 tc qdisc add dev u0 clsact   # not ours: it may come and go as it likes
in_ns sw1 tc qdisc del dev u0 clsact
wait_for 3 "audit is clean" audit_is_clean sw1

step "interfaces that go to another namespace and come back, with their number and with another"
ip netns add aside
lend() { in_ns "$1" ip link set "$2" netns aside; }
give_back() { in_ns aside ip link set "$2" netns "$1"; in_ns "$1" ip link set "$2" up; }
others_start lent blue2 10.0.0.3
for at in sw1/p1 hv1/up0 hv1/tap-blue1; do
  where=${at%/*} name=${at#*/}
  index=$(index_of "$where" "$name")
  missed "$where" "$name" lend "$where" "$name"
  no_ping blue1 10.0.0.2
  give_back "$where" "$name"
  [ "$name" != tap-blue1 ] || in_ns hv1 ip link set tap-blue1 master br0
  reached blue1 10.0.0.2
  lend "$where" "$name"
  in_ns "$where" ip link add holder index "$index" type veth peer name holder2   # has its number now
  give_back "$where" "$name"
  [ "$name" != tap-blue1 ] || in_ns hv1 ip link set tap-blue1 master br0
  [ "$(index_of "$where" "$name")" != "$index" ] || fail "$name has its number again"
  reached blue1 10.0.0.2
  expect "filters at the one that has the number" "$(in_ns "$where" tc filter show dev holder ingress | wc -l)" 0
  in_ns "$where" ip link del holder
  leaks_none
done
others_end lent
for instance in sw1 hv1; do
  ctl "$instance" audit >/dev/null || true
  wait_for 3 "audit of $instance is clean" audit_is_clean "$instance"
done

step "lent while its daemon is stopped, and with pins removed meanwhile"
for how in restart pins; do
  lend hv1 tap-blue4
  [ "$how" = restart ] || rm -r /sys/fs/bpf/splitnve/hv1
  daemon_kill hv1
  give_back hv1 tap-blue4
  daemon_start hv1 hv1 tnved
  reached blue4 10.0.0.2
done

step "an uplink, the underlay's address and its interface come later than their daemons"
daemon_kill hv1
lend hv1 up0
daemon_start hv1 hv1 tnved
grep -q "port.absent interface=up0" "$work/hv1.log"
give_back hv1 up0
reached blue1 10.0.0.2
for how in address interface; do
  daemon_kill sw1
  if [ "$how" = address ]; then in_ns sw1 ip addr del 192.0.2.1/24 dev u0; else lend sw1 u0; fi
  daemon_start sw1 sw1 nnved
  reached blue1 10.0.0.2
  [ "$how" = address ] || give_back sw1 u0
  in_ns sw1 ip addr add 192.0.2.1/24 dev u0
  reached blue1 10.0.0.3
done
wait_for 3 "audit is clean" audit_is_clean sw1

step "the VXLAN device is lent to another namespace: told while it is away, right when it is back"
others_start tunnel blue1 10.0.0.2
told=$(kernel_lines sw1 differs tunnel_changed)
lend sw1 vx-sw1
wait_for 3 "it is told" said_again sw1 differs tunnel_changed "$told"
give_back sw1 vx-sw1
reached blue1 10.0.0.3
others_end tunnel

step "several at once, in two orders"
undo() {
  case "$1" in
    device) in_ns sw1 ip link del vx-sw1 ;;
    port) lend sw1 p1; give_back sw1 p1 ;;
    pins) rm -r /sys/fs/bpf/splitnve/sw1 ;;
    address) in_ns sw1 ip addr del 192.0.2.1/24 dev u0; in_ns sw1 ip addr add 192.0.2.1/24 dev u0 ;;
    tap) lend hv1 tap-blue4; give_back hv1 tap-blue4 ;;
    uplink) lend hv1 up0; give_back hv1 up0 ;;
  esac
}
for order in "device port pins address tap uplink" "uplink tap address pins port device"; do
  daemon_kill sw1
  daemon_start sw1 sw1 nnved   # a restart gives the repairs of a minute back
  for what in $order; do undo "$what"; done
  reached blue4 10.0.0.2
  reached blue4 10.0.0.3
  for instance in sw1 hv1; do
    wait_for 5 "audit of $instance is clean" audit_is_clean "$instance"
  done
done

step "a port is renamed, and gets its name back"
for at in sw1/p1 hv1/tap-blue1; do
  where=${at%/*} name=${at#*/}
  missed "$where" "$name" in_ns "$where" ip link set "$name" name elsewhere
  no_ping blue1 10.0.0.2
  leaks_none
  in_ns "$where" ip link set elsewhere name "$name"
  reached blue1 10.0.0.2
  leaks_none
done

step "no descriptor is free while interfaces change: nothing is believed lost, and later all is looked at"
# Two ticks of the watch: a daemon that cannot accept cannot be asked.
two_ticks() { sleep 1.2; }
lines_before=$(wc -l <"$work/sw1.log")
failed_before=$(kernel_count sw1 looks_failed)
prlimit --pid "$(pid_of sw1)" --nofile=3:4096
others_start descriptors blue2 10.0.0.3
lend sw1 p1
give_back sw1 p1
in_ns sw1 ip addr add 192.0.2.9/32 dev u0   # an event of addresses
two_ticks
others_end descriptors
expect "what is said of it" "$(tail -n +$((lines_before + 1)) "$work/sw1.log" | grep -cE 'kernel\.|PORT_GONE' || true)" 0
prlimit --pid "$(pid_of sw1)" --nofile=4096:4096
reached blue1 10.0.0.2
reached blue1 10.0.0.3
rose sw1 looks_failed "$failed_before" || fail "no look failed"
tsi hv1 suspend blue1   # ECP passes again as well
tsi hv1 resume blue1
reached blue1 10.0.0.2
expect "pins and addresses believed lost" "$(tail -n +$((lines_before + 1)) "$work/sw1.log" |
  grep -cE 'kernel\.(differs|mended) part=(pins_lost|underlay_address|tunnel_changed)' || true)" 0
in_ns sw1 ip addr del 192.0.2.9/32 dev u0

step "a tap is deleted and made anew: at once, with its old number, and while tnved is stopped"
others_start taps blue2 10.0.0.3
delete_tap blue1
make_tap blue1
reached blue1 10.0.0.2
leaks_none
index=$(index_of hv1 tap-blue1)
delete_tap blue1
make_tap blue1 "$index"
reached blue1 10.0.0.2
leaks_none
# Another interface gets the number between two looks of tnved; then the tap comes with another one.
index=$(index_of hv1 tap-blue1)
take_number() {
  kill -STOP "$(pid_of hv1)"
  delete_tap blue1
  in_ns hv1 ip link add other index "$index" type veth peer name other2
  kill -CONT "$(pid_of hv1)"
}
missed hv1 tap-blue1 take_number
wait_for 2 "the number is forgotten" forgets_index hv1 "$index"
make_tap blue1
reached blue1 10.0.0.2
knows_index hv1 "$(index_of hv1 tap-blue1)"
expect "filters at the other interface" "$(in_ns hv1 tc filter show dev other ingress | wc -l)" 0
in_ns hv1 ip link del other
daemon_kill hv1 KILL
delete_tap blue4
make_tap blue4
daemon_start hv1 hv1 tnved
reached blue4 10.0.0.2
daemon_kill hv1
delete_tap blue4
daemon_start hv1 hv1 tnved
make_tap blue4   # later than the daemon
reached blue4 10.0.0.2
delete_tap blue4
make_tap blue4   # once more, of a TSI that came from the store
reached blue4 10.0.0.2
others_end taps

step "a TSI whose interface is gone blocks nobody, also after a restart"
delete_tap blue4
for n in 5 6; do
  vm_add "blue$n" hv1 "tap-blue$n" "$(mac_of "blue$n")" "$(ip_of "blue$n")"
  tsi hv1 create "blue$n"
  tsi hv1 start "blue$n"
  reached "blue$n" 10.0.0.2
  [ "$n" = 6 ] && break
  daemon_kill hv1 KILL
  daemon_start hv1 hv1 tnved
done
make_tap blue4
reached blue4 10.0.0.2

step "a port absent at the start is waited for, and found by its alternative name"
daemon_kill sw1
jq '.ports += [{"interface": "enp9s0f0np0", "vns": ["blue"], "vids": "400-499"}]' "$work/sw1.json" >"$work/x"
mv "$work/x" "$work/sw1.json"
daemon_start sw1 sw1 nnved
grep -q "port.absent interface=enp9s0f0np0" "$work/sw1.log"
reached blue1 10.0.0.2
reached blue2 10.0.0.3
others_start absent blue1 10.0.0.2
ns_add hv9
hypervisor_config hv9
altname() { in_ns sw1 ip link property "$1" dev "$2" altname enp9s0f0np0; }
link hv9 up0 sw1 p9
altname add p9
daemon_start hv9 hv9 tnved
vm_add blue9 hv9 tap-blue9 "$(mac_of blue9)" "$(ip_of blue9)"
tsi hv9 create blue9
tsi hv9 start blue9
reached blue9 10.0.0.2
jq '.ports[1].interface="p9"' "$work/sw1.json" >"$work/two.json"
must_fail in_ns sw1 "$vdpctl" config check "$work/two.json"
grep -q "another name of the same interface" "$work/check"
missed sw1 enp9s0f0np0 altname del p9
no_ping blue9 10.0.0.2
altname add p9
reached blue9 10.0.0.2
missed sw1 enp9s0f0np0 in_ns sw1 ip link del p9
link hv9 up0 sw1 p10   # made anew, under a name of its own
altname add p10
wait_for 8 "blue9 reaches blue2" pings blue9 10.0.0.2
in_ns sw1 ip link set p10 name p11
reached blue9 10.0.0.2
others_end absent

step "a port's MAC address changes: no tenant may have the new one"
lost sw1 port_row_changed in_ns sw1 ip link set p2 address 02:99:00:00:00:01
wait_for 3 "the table of own addresses has it" eval \
  "bpftool map dump pinned \$(echo /sys/fs/bpf/splitnve/sw1/v*/own_addresses) | grep -q 'key: 02 99 00 00 00 01'"
must_fail ctl hv1 tsi create c1000000-0000-4000-8000-000000000001 --vn blue --mac 02:99:00:00:00:01 --interface tap-blue4 \
  --guest-tag 7
reached blue2 10.0.0.1

for instance in sw1 hv1; do
  ctl "$instance" audit >/dev/null || true
  wait_for 3 "audit of $instance is clean" audit_is_clean "$instance"
done
step_end
echo "kernel_links: PASS"
