# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154,SC2034  # work and failed_in are of lib.sh; timing is for who sources us
# One switch with a port for each of its hypervisors, timers short enough to wait for; source it after datacentre.sh, whose names
# of VMs it shares.
#
#   hv1 up0 --- p1 sw1 p2 --- up0 hv2 ...

# Keep-alives every 164 ms, an entry that is not renewed lives for 350 ms.
timing='"ecp":{"retries":3,"rte":10},"vdp":{"rwd":18,"rka":15}'

# port INTERFACE VIDS [MORE]: an access port with one hypervisor at its cable; MORE are further members, `direct` among
# them if it is to be otherwise.
port() {
  local direct=',"direct":true'
  case "${3:-}" in *'"direct"'*) direct= ;; esac
  printf '{"interface":"%s","vids":"%s"%s%s}' "$1" "$2" "$direct" "${3:+,$3}"
}

# switch INSTANCE PORTS [MORE]: VNs blue and red.
switch() {
  config "$1" <<JSON
{ "role": "nnved", "instance": "$1", $(paths_json "$1"), $timing, "ports": [$2],
  "vns": [{ "id": 70001, "alias": "blue", "name": "0b1ce000-0000-4000-8000-000000000001" },
          { "id": 70002, "alias": "red", "name": "04ed0000-0000-4000-8000-000000000002" }]${3:+, $3} }
JSON
}

# hypervisors COUNT [PORT_MORE [SWITCH_MORE]]: builds and starts sw1 and hv1 to hvCOUNT.
hypervisors() {
  local n ports=""
  ns_add sw1
  for ((n = 1; n <= $1; n++)); do
    ns_add "hv$n"
    link "hv$n" up0 sw1 "p$n"
    ports+="${ports:+,}$(port "p$n" "${n}00-${n}99" "${2:-}")"
    hypervisor_config "hv$n"
  done
  switch sw1 "$ports" "${3:-}"
  daemon_start sw1 sw1 nnved
  for ((n = 1; n <= $1; n++)); do daemon_start "hv$n" "hv$n" tnved; done
}

# run_vm VM [HYPERVISOR]: its namespace, its TSI, and it runs.
run_vm() {
  local hv=${2:-$(host_of "$1")}
  vm_add "$1" "$hv" "tap-$1" "$(mac_of "$1")" "$(ip_of "$1")"
  tsi "$hv" create "$1"
  tsi "$hv" start "$1"
}
# twin VM HYPERVISOR: the place where a migrating VM arrives, with the same addresses.
twin() {
  ns_add "$1-twin"
  link "$1-twin" eth0 "$2" "tap-$1"
  in_ns "$1-twin" ip link set eth0 address "$(mac_of "$1")"
  in_ns "$1-twin" ip addr add "$(ip_of "$1")/24" dev eth0
}

# at VM PORT FIELD: a member of the VM's row at that port of sw1.
at() { tsi_field sw1 "$(vsi_of "$1")" "$3" ".port == \"$2\""; }
at_is() { [ "$(at "$1" "$2" "$3")" = "$4" ]; }
# state_at VM PORT: empty if the switch does not know it there.
not_at() { [ -z "$(at "$1" "$2" state)" ]; }
at_for() { at_is "$1" "$2" state activated; }

# holds MS COMMAND...: COMMAND is true at every look for so long.
holds() {
  local until=$(($(now_ms) + $1))
  shift
  while [ "$(now_ms)" -lt "$until" ]; do
    "$@" >/dev/null 2>&1 || fail "$failed_in: did not hold: $*"
    sleep 0.1   # between two looks
  done
}
# refused HYPERVISOR VERB VM [MORE]: the verdict must be no; `verdict` is what the operator reads.
refused() {
  local hv=$1 verb=$2 vm=$3
  shift 3
  case "$verb" in
    create) set -- --vn "$(vn_of "$vm")" --mac "$(mac_of "$vm")" --interface "tap-$vm" "$@" ;;
  esac
  ! ctl "$hv" tsi "$verb" "$(vsi_of "$vm")" "$@" >"$work/verdict" 2>&1 ||
    fail "$failed_in: tsi $verb of $vm at $hv was accepted"
  verdict=$(cat "$work/verdict")
}
# last_refusal FIELD: of the newest refusal of sw1.
last_refusal() { ctl_json sw1 refusal show | jq -r ".[-1].$1"; }
