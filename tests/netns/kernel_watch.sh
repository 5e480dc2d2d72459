#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kernel_watch.sh BUILD: what other tools do to the programs at our interfaces (S38): qdiscs removed, filters deleted,
# replaced and put before ours, XDP, TCX and shared blocks, pins removed, a second instance. Each is made right or closed,
# said once, and the others never notice. kernel_links.sh does the same for interfaces and the underlay.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/kernel.sh
. "$netns_folder/kernel.sh"
netns_begin "${1:?usage: kernel_watch.sh BUILD}"

step "six VMs run; two taps stand in one bridge"
start_kernel_test
foreign hv1 pin tc /sys/fs/bpf/foreign_tc
foreign hv1 pin xdp /sys/fs/bpf/foreign_xdp
leaks_none

remove_qdisc() { in_ns "$1" tc qdisc del dev "$2" clsact; }
delete_filter() { in_ns "$1" tc filter del dev "$2" ingress; }
# The filter at our handle and priority, with somebody else's program in it.
replace_filter() {
  local pref handle
  read -r pref handle < <(in_ns "$1" tc filter show dev "$2" ingress |
    sed -nE 's/.*pref ([0-9]+) bpf.*handle (0x[0-9a-f]+).*/\1 \2/p')
  in_ns "$1" tc filter replace dev "$2" ingress prio "$pref" handle "$handle" bpf da object-pinned /sys/fs/bpf/foreign_tc
}
put_before() { in_ns "$1" tc filter add dev "$2" ingress prio "${3:-1}" handle 1 bpf da object-pinned /sys/fs/bpf/foreign_tc; }

step "how long frames pass unguarded while nobody has looked yet"
foreign blue1 throw eth0 1000 02:de:ad:00:00:01 "$work/exposed" red1 eth0 &
thrower=$!
wait_for 5 "frames are thrown" test -e "$work/exposed"
remove_qdisc hv1 tap-blue1
wait "$thrower"
exposed=$(cat "$work/exposed")
say "$exposed of 1000 frames, one each millisecond, passed before it was mended"
[ "$exposed" -lt 500 ] || fail "$exposed frames passed"
leaks_none
daemon_kill hv1
daemon_start hv1 hv1 tnved   # a restart gives the repairs of a minute back

step "the qdisc that bears our program is removed"
others_start qdisc blue2 10.0.0.3
for at in hv1/tap-blue1 sw1/p1 hv1/up0; do
  lost "${at%/*}" program_lost remove_qdisc "${at%/*}" "${at#*/}"
  reached blue1 10.0.0.2
  leaks_none
done
others_end qdisc
lost sw1 program_lost remove_qdisc sw1 vx-sw1
reached blue1 10.0.0.3

step "the filter is deleted, or another program is put into it"
others_start filter blue2 10.0.0.3
for at in hv1/tap-red1 hv1/tap-blue4 sw1/p2; do
  [ "$at" != sw1/p2 ] || others_end filter
  lost "${at%/*}" program_lost delete_filter "${at%/*}" "${at#*/}"
  lost "${at%/*}" program_replaced replace_filter "${at%/*}" "${at#*/}"
  reached blue4 10.0.0.2
done

step "a filter that ends the classification is put before ours"
others_start before blue4 10.0.0.2
lost hv1 foreign_before put_before hv1 tap-blue1
leaks_none
reached blue1 10.0.0.2
others_end before
lost sw1 foreign_before put_before sw1 p1 7
reached blue1 10.0.0.2

step "a program of TCX, which runs before every filter"
if foreign hv1 tcx /sys/fs/bpf/foreign_tc lo; then
  for tap in blue1 red1; do   # blue1 has ours there since a filter stood before it
    lost hv1 foreign_before foreign hv1 tcx-first /sys/fs/bpf/foreign_tc "tap-$tap"
    reached "$tap" 10.0.0.3
  done
  leaks_none
else
  say "this kernel has no TCX"
fi

step "an XDP program at a VM port is taken off, one at an uplink is told"
lost hv1 foreign_xdp in_ns hv1 ip link set dev tap-blue4 xdpgeneric pinned /sys/fs/bpf/foreign_xdp
expect "what is left at tap-blue4" "$(in_ns hv1 ip link show tap-blue4 | grep -c xdp || true)" 0
in_ns hv1 ip link set dev up0 xdpgeneric pinned /sys/fs/bpf/foreign_xdp
wait_for 5 "it is told" kernel_log hv1 differs foreign_xdp
in_ns hv1 ip link set dev up0 xdpgeneric off
wait_for 5 "and that it is over" grep "kernel.over part=foreign_xdp" "$work/hv1.log"
reached blue4 10.0.0.2

step "the interface joins a block of filters that others share"
share_block() {
  kill -STOP "$(pid_of hv2)"   # it would be quicker than the other tool's second step
  remove_qdisc hv2 tap-blue2
  in_ns hv2 tc qdisc add dev tap-blue2 ingress_block 22 clsact
  [ "$1" = empty ] || in_ns hv2 tc filter add block 22 prio 1 handle 1 bpf da object-pinned /sys/fs/bpf/foreign_tc
  kill -CONT "$(pid_of hv2)"
}
for content in empty filter; do
  lost hv2 program_lost share_block "$content"
  reached blue2 10.0.0.1
  expect "blocks at tap-blue2" "$(in_ns hv2 tc qdisc show dev tap-blue2 | grep -c ingress_block || true)" 0
done

step "pins are removed, replaced by others, and all at once"
for instance in sw1 hv1; do
  for pin in guard fdb; do
    lost "$instance" pins_lost rm "$(echo "/sys/fs/bpf/splitnve/$instance"/v*/"$pin")"
  done
  lost "$instance" pins_lost rm -r "/sys/fs/bpf/splitnve/$instance/programs"
  lost "$instance" pins_lost eval "rm -r /sys/fs/bpf/splitnve/$instance"
done
swap() {
  local pin
  pin=$(echo /sys/fs/bpf/splitnve/sw1/v*/fdb)
  rm "$pin"
  bpftool map create "$pin" type hash key 4 value 4 entries 10 name foreign
}
lost sw1 pins_lost swap
daemon_kill sw1 KILL
daemon_start sw1 sw1 nnved
reached blue1 10.0.0.2
reached blue1 10.0.0.3

step "another agent does it again and again: the VM's port is closed, and stays closed"
others_start war blue4 10.0.0.2
war() {
  local times=0
  until is_closed red1 || [ $((times++)) = 8 ]; do
    remove_qdisc hv1 tap-red1 2>/dev/null || true
    wait_for 3 "it is mended, or closed" mended_or_closed tap-red1
  done
}
is_closed() { grep -q "port.closed interface=tap-$1" "$work/hv1.log"; }
is_up() { in_ns hv1 ip -o link show "$1" | grep -q '[<,]UP[,>]'; }
has_ours() { in_ns "$1" tc filter show dev "$2" ingress | grep -q switch_; }
mended_or_closed() { is_closed "${1#tap-}" || has_ours hv1 "$1"; }
war
wait_for 2 "the port is closed" is_closed red1
must_fail is_up tap-red1
expect "closed ports" "$(kernel_count hv1 ports_closed)" 1
grep -q "kernel.contested where=tap-red1" "$work/hv1.log"
must_fail ctl hv1 audit
grep -q "tap-red1: closed" "$work/check"
daemon_kill hv1   # who starts anew knows it, too
daemon_start hv1 hv1 tnved
grep -q "port.closed interface=tap-red1 since before the start" "$work/hv1.log"
must_fail is_up tap-red1
must_fail ctl hv1 audit
grep -q "tap-red1: closed" "$work/check"
ctl hv1 audit --fix >/dev/null || true
wait_for 2 "an operator opens it" grep "port.opened interface=tap-red1" "$work/hv1.log"
wait_for 2 "it is up" is_up tap-red1
reached red1 10.0.0.3
others_end war
wait_for 3 "audit is clean" audit_is_clean hv1

step "several at once"
daemon_kill hv1
daemon_start hv1 hv1 tnved   # a restart gives the repairs of a minute back
others_start many blue2 10.0.0.3
many() {
  in_ns hv1 bash -c 'tc qdisc del dev tap-blue1 clsact; tc qdisc del dev up0 clsact; tc qdisc del dev tap-blue4 clsact'
  rm -r /sys/fs/bpf/splitnve/hv1
  remove_qdisc sw1 p1
  put_before hv1 tap-red1
}
many
for at in hv1/tap-blue1 hv1/tap-blue4 hv1/up0 sw1/p1; do
  wait_for 5 "our program at $at" has_ours "${at%/*}" "${at#*/}"
done
reached blue1 10.0.0.2
reached blue4 10.0.0.2
leaks_none
others_end many
for instance in sw1 hv1; do wait_for 5 "audit of $instance is clean" audit_is_clean "$instance"; done

step "a second instance on a port that is served is refused by name, and the first one says so"
others_start two blue1 10.0.0.2
jq '.instance="two" | .ports=[.ports[0]] | .vxlan.interface="vx-two" | .vxlan.port=4790 |
  .paths={socket:"/run/splitnve/two.sock", store:"/run/splitnve/two.db", pins:"/sys/fs/bpf/splitnve/two/"}' \
  "$work/sw1.json" >"$work/two.json"
must_fail in_ns sw1 "$vdpctl" config check "$work/two.json"
grep -q "/sys/fs/bpf/splitnve/sw1" "$work/check"
refuse_second() {
  must_fail in_ns sw1 "$build/src/nnved/nnved" --config "$work/two.json"
  grep -q "another instance serves it, /sys/fs/bpf/splitnve/sw1" "$work/check"
}
lost sw1 port_claimed refuse_second
jq '.instance="two" | .paths={socket:"/run/splitnve/two.sock", store:"/run/splitnve/two.db", pins:"/sys/fs/bpf/splitnve/two/"}' \
  "$work/hv1.json" >"$work/two.json"
must_fail in_ns hv1 "$build/src/tnved/tnved" --config "$work/two.json"
grep -q "another instance serves it, /sys/fs/bpf/splitnve/hv1" "$work/check"
others_end two
reached blue1 10.0.0.2

step "config check tells what other tools did lately"
must_fail in_ns sw1 "$vdpctl" config check "$work/sw1.json"
grep -q "another tool on this machine changed what the running daemon needs" "$work/check"
step "rows that all ports share are taken out of the maps, or changed"
table() { echo /sys/fs/bpf/splitnve/sw1/v*/"$1"; }
empty_table() {
  local map key
  map=$(table "$1")
  bpftool -j map dump pinned "$map" | jq -r '.[].key | join(" ")' | while read -r key; do
    # shellcheck disable=SC2086  # an octet each
    bpftool map delete pinned "$map" key $key
  done
}
zero_settings() {
  local map size
  map=$(table settings)
  size=$(bpftool -j map dump pinned "$map" | jq ".[0].value | length")
  # shellcheck disable=SC2046
  bpftool map update pinned "$map" key 0 0 0 0 value $(printf "0 %.0s" $(seq "$size"))
}
lost sw1 table_changed empty_table vnis
lost sw1 table_changed empty_table own_addresses
lost sw1 table_changed zero_settings
reached blue1 10.0.0.3
step_end
echo "kernel_watch: PASS"
