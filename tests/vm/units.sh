# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # work and failed_in are of lib.sh
# Units, their configurations, and what systemd says of them; source it after tests/netns/lib.sh.

# An emulated processor is slow: keep-alives every 2.6 s.
timing='"ecp":{"retries":5,"rte":13},"vdp":{"rwd":20,"rka":18}'
vsi() { echo "b1000000-0000-4000-8000-00000000000$1"; }

# show TEXT FUNCTION: a step and its verdict.
show() {
  failed_in=$1
  local begun
  begun=$(now_ms)
  "$2"
  echo "ok   $1 ($(($(now_ms) - begun)) ms)"
}
on_fail() { journalctl --no-pager -o short-precise -n 60 -u 'nnved@*' -u 'tnved@*' || true; }

# switch_file INSTANCE PORTS [MORE] and hypervisor_file INSTANCE UPLINKS: configurations with default paths.
switch_file() {
  mkdir -p /etc/splitnve
  cat >"/etc/splitnve/$1.jsonc" <<JSON
{ "role": "nnved", "instance": "$1", $timing, "ports": [$2], "limits": { "instances": 1000 },
  "vns": [{ "id": 70001, "alias": "blue" }]${3:+, $3} }
JSON
}
hypervisor_file() {
  mkdir -p /etc/splitnve
  cat >"/etc/splitnve/$1.jsonc" <<JSON
{ "role": "tnved", "instance": "$1", $timing, "uplinks": [$2], "limits": { "instances": 1000 },
  "vns": [{ "id": 70001, "alias": "blue" }], "start_deadline_ms": 20000 }
JSON
}

property() { systemctl show -P "$2" "$1"; }
status_of() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"; }
answers() { ctl "$1" stats show >/dev/null 2>&1; }
logged() { journalctl -o cat -u "$1" | grep -qE -- "$2"; }

# cause UNIT PATTERN: what `journalctl -p err` tells of it.
cause() {
  local i
  for ((i = 0; i < 50; i++)); do
    ! journalctl -p err -o cat -u "$1" | grep -qE -- "$2" || return 0
    sleep 0.1   # the journal takes lines in its own time
  done
  fail "$failed_in: no '$2' in: $(journalctl -p err -o cat -u "$1")"
}

# stays_down UNIT STATUS: failed with that exit status, and not started again.
stays_down() {
  wait_for 60 "$1 has failed" eval "[ \"\$(property $1 ActiveState)\" = failed ]"
  expect "exit status of $1" "$(property "$1" ExecMainStatus)" "$2"
  sleep 0.5   # longer than RestartSec=
  expect "restarts of $1" "$(property "$1" ActiveState) $(property "$1" NRestarts)" "failed 0"
}

# runs_again UNIT OLD_PID
runs_again() {
  local pid
  pid=$(property "$1" MainPID)
  [ "$(property "$1" ActiveState)" = active ] && [ "$pid" != "$2" ] && [ "$pid" != 0 ] && answers "${1#*@}"
}

# drop_in UNIT LINES, drop_out UNIT
drop_in() {
  mkdir -p "/run/systemd/system/$1.service.d"
  printf '[Service]\n%s\n' "$2" >"/run/systemd/system/$1.service.d/test.conf"
  systemctl daemon-reload
}
drop_out() {
  rm -r "/run/systemd/system/$1.service.d"
  systemctl daemon-reload
}
# others_than CAPABILITY: what the units have but that.
others_than() { echo CAP_NET_ADMIN CAP_NET_RAW CAP_BPF CAP_PERFMON | xargs -n 1 | grep -vx "$1" | xargs; }

# The TSIs of the switch with their tags and states, in a fixed order.
tags() { ctl_json sw1 tsi show 2>/dev/null | jq -c '[.[] | [.vsi, .port, .vid, .state]] | sort'; }
