# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The six VMs that the isolation tests attack, at hv1 to hv3 of sw1; source it after small.sh.

mac_of() { case $1 in red*) echo "02:bb:00:00:00:0${1: -1}" ;; *) echo "02:aa:00:00:00:0${1: -1}" ;; esac; }
run_with() {   # VM HYPERVISOR ADDRESSES...
  vm_add "$1" "$2" "tap-$1" "$(mac_of "$1")" "$(ip_of "$1")"
  tsi "$2" create "$1" "${@:3}"
  tsi "$2" start "$1"
}
# six_vms_run [ADDRESSES...]: further addresses of blue2
six_vms_run() {
  run_with blue1 hv1 --ip 10.0.0.1 --ip 2001:db8::1
  run_with blue4 hv1
  run_with red1 hv1
  run_with blue2 hv2 --ip 10.0.0.2 --ip 2001:db8::2 "$@"
  run_with red2 hv2
  run_with blue3 hv3 --ip 10.0.0.3
  everybody_reached
}
everybody_reached() { pings blue1 10.0.0.2 && pings blue1 10.0.0.3 && pings blue2 10.0.0.3 && pings red1 10.0.0.2; }
# They and nobody else are there, Activated, and reach whom they reached.
nobody_ended() {
  local vm
  for vm in blue1 blue4 red1 blue2 red2 blue3; do
    expect "$vm" "$(tsi_field sw1 "$(vsi_of "$vm")" state | tr '[:upper:]' '[:lower:]')" activated
  done
  expect "the number of TSIs" "$(tsi_count sw1)" 6
  everybody_reached
}
