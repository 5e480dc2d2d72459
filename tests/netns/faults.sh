#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# faults.sh BUILD [STEP]: system calls of the daemons fail, one after the other (tests/faults): at the start, and while a TSI
# lives. Each daemon refuses with a reason or goes on; it never crashes, and what it says is so. STEP 1 leaves out none.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
netns_begin "${1:?usage: faults.sh BUILD [STEP]}"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
# shellcheck source=tests/netns/small.sh
. "$netns_folder/small.sh"
step_of=${2:-1}
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":17}'
library=$build/tests/faults/splitnve_faults.so
sweep() { python3 "$netns_folder/../faults/sweep.py" "$@" || fail "$failed_in"; }
# with_faults INSTANCE DAEMON: started with the library and its own plan, which is empty.
with_faults() {
  head -c 20 /dev/zero >"/run/faults.$1"
  daemon_kill "$1"
  (trap - ERR; export LD_PRELOAD=$library SPLITNVE_FAULTS=/run/faults.$1
   exec nsenter --net="/run/netns/$1" "$build/src/$2/$2" --config "$work/$1.json") >>"$work/$1.log" 2>&1 &
  echo $! >"$work/$1.pid"
  disown "$!"
  wait_for 10 "$1 answers" ctl "$1" stats show
}

step "A switch and a hypervisor with a TSI"
ns_add sw1 hv1
link hv1 up0 sw1 p1
hypervisor_config hv1
switch sw1 "$(port p1 100-199)"
daemon_start sw1 sw1 nnved
daemon_start hv1 hv1 tnved
run_vm blue1 hv1
vm_add blue4 hv1 tap-blue4 "$(mac_of blue4)" "$(ip_of blue4)"
blue4=("$(vsi_of blue4)" --vn blue --mac "$(mac_of blue4)" --interface tap-blue4)

step "Faults in the hypervisor while a TSI lives"
with_faults hv1 tnved
sweep life "$(socket_of hv1)" "$vdpctl" /run/faults.hv1 "$(pid_of hv1)" "$step_of" -- "${blue4[@]}"

step "Faults in the switch while a TSI lives"
with_faults sw1 nnved
sweep life "$(socket_of hv1)" "$vdpctl" /run/faults.sw1 "$(pid_of sw1)" "$step_of" -- "${blue4[@]}"
wait_for 10 "sw1 agrees with itself" ctl sw1 audit

step "Faults at the start of tnved"
daemon_kill hv1
sweep start hv1 "$build/src/tnved/tnved" "$work/hv1.json" "$(socket_of hv1)" "$vdpctl" "$library" "$((step_of * 3))"

step "Faults at the start of nnved"
daemon_kill sw1
sweep start sw1 "$build/src/nnved/nnved" "$work/sw1.json" "$(socket_of sw1)" "$vdpctl" "$library" "$((step_of * 3))"
step_end
echo "PASS: no fault crashes a daemon or makes it lie"
