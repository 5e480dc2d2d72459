#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# boot: systemd
# systemd.sh BUILD: the units under a real systemd: installed, started, seen to fail, restarted, killed, drained and
# removed, as the users nnved and tnved. Runs in the guest of `tools/dev vm`, where systemd is PID 1 and everything that is
# written is gone with the guest. One line a step.
#
#   vm1 -- tap1 [hv1] up1 == p1 [sw1] p2 == up2 [hv2] tap2 -- vm2        all but vm1 and vm2 in one namespace
export SPLITNVE_ISOLATED=1   # this machine is ours
tests=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=tests/netns/lib.sh
. "$tests/netns/lib.sh"
# shellcheck source=tests/vm/units.sh
. "$tests/vm/units.sh"
netns_begin "${1:?usage: systemd.sh BUILD}"

programs_at() { tc filter show dev "$1" ingress 2>/dev/null | grep -c switch_ || true; }

# --- installing ---

install_it() {
  cmake --install "$build" >"$work/install.log"
  vdpctl=$(command -v vdpctl)   # what is installed, from here on
  systemd-sysusers
  expect "users" "$(id -un nnved) $(id -un tnved)" "nnved tnved"
  id -Gn nnved | grep -qw splitnve || fail "nnved is not in the group splitnve"
  expect "mode of bpffs, closed to our users" "$(stat -c %a /sys/fs/bpf)" 1700
}

links() {
  sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
  local n
  for n in 1 2; do
    ip link add "p$n" type veth peer name "up$n"
    ip netns add "vm$n"
    ip link add "tap$n" type veth peer name eth0 netns "vm$n"
    in_ns "vm$n" ip link set lo up
    in_ns "vm$n" ip link set eth0 address "02:aa:00:00:00:0$n" up
    in_ns "vm$n" ip addr add "10.0.0.$n/24" dev eth0
    ip link set "p$n" up
    ip link set "up$n" up
    ip link set "tap$n" up
  done
  ip link add q1 type veth peer name q2
  ip link set q1 up
  ip link set q2 up
}

# --- what stops a start ---

without_configuration() {
  systemctl start nnved@absent
  expect "state" "$(property nnved@absent ActiveState) $(property nnved@absent ConditionResult)" "inactive no"
}

wrong_configuration() {
  switch_file wrong '{"interface":"q1"}' '"colour": 7'
  ! systemctl start nnved@wrong 2>/dev/null || fail "a wrong configuration starts"
  stays_down nnved@wrong 2
  cause nnved@wrong '/etc/splitnve/wrong.jsonc:.*colour'
}

other_name() {
  sed 's/"instance": "sw1"/"instance": "another"/' /etc/splitnve/sw1.jsonc >/etc/splitnve/misnamed.jsonc
  ! systemctl start nnved@misnamed 2>/dev/null || fail "a file of another instance starts"
  stays_down nnved@misnamed 2
  cause nnved@misnamed 'names the instance "another"'
}

# --- running ---

keys() {
  install -d -m 0755 /etc/splitnve/keys
  (umask 077; openssl rand -hex 32 >/etc/splitnve/keys/switch)
  cp /etc/splitnve/keys/switch /etc/splitnve/keys/hypervisor
  # One key of root's that the daemon's group may read, one of the daemon's own.
  chown root:nnved /etc/splitnve/keys/switch
  chmod 0640 /etc/splitnve/keys/switch
  chown tnved /etc/splitnve/keys/hypervisor
  chmod 0600 /etc/splitnve/keys/hypervisor
}

start_all() {
  groupadd lookers
  groupadd changers
  useradd -G lookers looker
  useradd -G changers changer
  useradd -G splitnve stranger
  keys
  local key='"authentication":"require","keys":[{"id":1,"file":"/etc/splitnve/keys/'
  switch_file sw1 "{\"interface\":\"p1\",\"vids\":\"100-199\",${key}switch\"}]},{\"interface\":\"p2\",\"vids\":\"200-299\"}" \
    '"vxlan":{"interface":"vx0","local":"127.0.0.1","allow_small_mtu":true}, "control":{"group":"lookers","admin_group":"changers"}'
  hypervisor_file hv1 "{\"interface\":\"up1\",${key}hypervisor\"}]}"
  hypervisor_file hv2 '{"interface":"up2"}'
  systemctl start nnved@sw1 tnved@hv1 tnved@hv2
  for unit in nnved@sw1 tnved@hv1 tnved@hv2; do
    expect "state of $unit" "$(property "$unit" ActiveState)" active
  done
}

# Users, capabilities and limits are the processes' own, not the unit file's.
as_their_users() {
  local unit pid
  for unit in nnved@sw1 tnved@hv1 tnved@hv2; do
    pid=$(property "$unit" MainPID)
    expect "user of $unit" "$(ps -o user= -p "$pid")" "${unit%@*}"
    # NET_ADMIN 12, NET_RAW 13, PERFMON 38, BPF 39: what it has, and what it can ever get.
    expect "capabilities of $unit" "$(status_of "$pid" CapEff) $(status_of "$pid" CapBnd)" "000000c000003000 000000c000003000"
    expect "seccomp of $unit" "$(status_of "$pid" Seccomp) $(status_of "$pid" NoNewPrivs)" "2 1"
    expect "core dumps of $unit" "$(awk '/^Max core/ { print $5, $6 }' "/proc/$pid/limits")" "0 0"
    # What may not be dumped belongs to root.
    expect "owner of /proc/PID of $unit" "$(stat -c %U "/proc/$pid/mem")" root
  done
  expect "pins of sw1" "$(find /sys/fs/bpf/splitnve/sw1 ! -user nnved | wc -l)" 0
  expect "stores" "$(stat -c '%U %a' /var/lib/splitnve/nnved /var/lib/splitnve/tnved | xargs)" "nnved 750 tnved 750"
  expect "folder of the sockets" "$(stat -c '%U:%G %a' /run/splitnve)" "root:splitnve 1775"
}

vms_talk() {
  local n
  for n in 1 2; do
    ctl "hv$n" tsi create "$(vsi "$n")" --vn blue --mac "02:aa:00:00:00:0$n" --interface "tap$n"
    ctl "hv$n" tsi start "$(vsi "$n")"
  done >"$work/verdicts.log" 2>&1
  wait_for 90 "vm1 reaches vm2" pings vm1 10.0.0.2 3
}

who_may_what() {
  runuser -u looker -- "$vdpctl" -s sw1 tsi show >/dev/null || fail "a member of control.group cannot look"
  ! runuser -u looker -- "$vdpctl" -s sw1 undrain 2>/dev/null || fail "a member of control.group changes things"
  runuser -u changer -- "$vdpctl" -s sw1 undrain >/dev/null || fail "a member of control.admin_group cannot change things"
  ! runuser -u stranger -- "$vdpctl" -s sw1 tsi show 2>/dev/null || fail "a stranger looks"
  ! runuser -u changer -- "$vdpctl" -s hv1 tsi show 2>/dev/null || fail "hv1 names no group and is open to one"
  # A member of the group that makes sockets cannot take one away.
  ! runuser -u stranger -- rm -f /run/splitnve/sw1.sock 2>/dev/null || fail "a socket can be removed"
}

signals() {
  local unit signal pid
  for unit in nnved@sw1 tnved@hv1; do
    pid=$(property "$unit" MainPID)
    for signal in HUP USR1 USR2 PIPE; do kill "-$signal" "$pid"; done
    wait_for 60 "SIGUSR2 is logged" logged "$unit" 'daemon.signal signal=SIGUSR2'
    logged "$unit" 'daemon.signal signal=SIGHUP nothing was reloaded' || fail "SIGHUP is not logged"
    answers "${unit#*@}" || fail "$unit does not answer after signals"
    expect "process of $unit" "$(property "$unit" MainPID)" "$pid"
  done
}

# --- forwarding goes on ---

# without_loss COMMAND...: no frame of vm1 is lost and no tag changes while COMMAND runs and all is well again after it.
without_loss() {
  tags_before=$(tags)
  ping_start loss vm1 10.0.0.2 100000
  wait_for 60 "the ping runs" ping_reached loss 10
  "$@"
  wait_for 60 "all TSIs are there again" tags_are_as_before
  local seen
  seen=$(ping_seen loss)
  wait_for 60 "the ping goes on" ping_reached loss $((seen + 10))
  kill -INT "$(cat "$work/loss.ping.pid")"
  ping_end loss
  [ "$lost" -le 1 ] || fail "$lost of $sent pings were lost: $*"   # one may be on its way at the end
}
tags_are_as_before() { [ "$(tags)" = "$tags_before" ]; }
restart() {
  systemctl restart "$1"
  expect "state of $1" "$(property "$1" ActiveState)" active
}
stop_and_start() {
  systemctl stop "$1"
  local seen
  seen=$(ping_seen loss)
  wait_for 60 "the ping goes on without $1" ping_reached loss $((seen + 100))
  systemctl start "$1"
}
kill_9() {
  local pid
  pid=$(property "$1" MainPID)
  kill -9 "$pid"
  wait_for 90 "$1 is started again" runs_again "$1" "$pid"
}
hang() {
  local pid
  pid=$(property "$1" MainPID)
  kill -STOP "$pid"
  wait_for 120 "$1 is started again" runs_again "$1" "$pid"
  logged "$1" 'Watchdog timeout' || fail "no word of the watchdog"
  [ -z "$(find / -xdev -maxdepth 1 -name 'core*')" ] || fail "a core dump"
}
survive() {
  without_loss restart nnved@sw1
  without_loss restart tnved@hv1
  without_loss stop_and_start nnved@sw1
  without_loss kill_9 nnved@sw1
  without_loss kill_9 tnved@hv2
}
watchdog() {
  drop_in nnved@sw1 $'WatchdogSec=2s'
  without_loss restart nnved@sw1
  without_loss hang nnved@sw1
  drop_in tnved@hv2 $'WatchdogSec=2s'
  without_loss restart tnved@hv2
  without_loss hang tnved@hv2
  drop_out nnved@sw1
  drop_out tnved@hv2
  without_loss restart nnved@sw1
  without_loss restart tnved@hv2
}
# Every process is frozen for five seconds, longer than a keep-alive interval, as by a suspend: nobody was silent meanwhile.
# Only the devices stay awake: the guest's file system is one, and would not come back.
suspend() {
  echo freezer >/sys/power/pm_test
  echo freeze >/sys/power/state || fail "the machine does not sleep"
  echo none >/sys/power/pm_test
}
machine_sleeps() {
  local pids begun
  pids=$(property nnved@sw1 MainPID)$(property tnved@hv1 MainPID)
  begun=$(date +%s)
  without_loss suspend
  [ $(($(date +%s) - begun)) -ge 5 ] || fail "it slept for less than 5 s"
  expect "processes" "$(property nnved@sw1 MainPID)$(property tnved@hv1 MainPID)" "$pids"
  expect "VAPs and TSIs that left meanwhile" "$(journalctl -o cat --since "@$begun" -u nnved@sw1 | grep -cE 'machine=(tsi|vap)' || true)" 0
}
clock_steps() {
  local now
  now=$(date +%s)
  without_loss date -s "@$((now + 864000))" >/dev/null
  without_loss date -s "@$((now - 864000))" >/dev/null
  date -s "@$now" >/dev/null
}

# A port that is not there yet keeps nobody waiting but itself.
late_interface() {
  switch_file late '{"interface":"late0","direct":true}'
  systemctl start nnved@late || fail "nnved waits for an interface"
  expect "state" "$(property nnved@late ActiveState)" active
  logged nnved@late port.absent || fail "no word of the absent interface"
  ip link add late0 type veth peer name late1
  ip link set late1 up
  ip link set late0 up
  wait_for 60 "the port has its program" eval '[ "$(programs_at late0)" -gt 0 ]'
  ctl late drain --remove >/dev/null
  ip link del late0
}

# --- what else may be tried on a running one ---

other_daemons_file() {
  local pid
  pid=$(property nnved@sw1 MainPID)
  ! systemctl start tnved@sw1 2>/dev/null || fail "tnved runs with nnved's file"
  stays_down tnved@sw1 2
  cause tnved@sw1 'sw1.jsonc:.*/role'
  expect "process of nnved@sw1" "$(property nnved@sw1 MainPID)" "$pid"
  expect "pins that changed hands" "$(find /sys/fs/bpf/splitnve/sw1 ! -user nnved | wc -l)" 0
}

twice() {
  local status=0
  runuser -u nnved -- nnved --config /etc/splitnve/sw1.jsonc >"$work/twice.log" 2>&1 || status=$?
  expect "exit status of a second one" "$status" 1
  nnved --config /etc/splitnve/sw1.jsonc >"$work/twice.log" 2>&1 || status=$?
  expect "exit status of a second one by root" "$status" 1
  grep -q 'another daemon' "$work/twice.log" || fail "no word of the other: $(cat "$work/twice.log")"
  pings vm1 10.0.0.2 3 || fail "the first one is disturbed"
}

without_rights() {
  local right
  for right in CAP_BPF CAP_NET_RAW; do
    switch_file bare '{"interface":"q1","direct":true}'
    drop_in nnved@bare "AmbientCapabilities="$'\n'"AmbientCapabilities=$(others_than "$right")"
    ! systemctl start nnved@bare 2>/dev/null || fail "nnved starts without $right"
    cause nnved@bare 'ermi(ssion|tted)'
    systemctl stop nnved@bare
  done
}

# Code in the sandbox is under the unit's own properties; only what runs is another program.
sandbox() {
  switch_file caged '{"interface":"q1","direct":true}'
  local python=/usr/bin/python3 places=(/run/systemd/private /run/dbus/system_bus_socket /run/systemd/journal/socket
    /run/systemd/journal/dev-log /run/udev/control /run/systemd/io.system.ManagedOOM)
  # It can see: the same probe outside reaches them.
  "$python" "$tests/vm/reach.py" "${places[@]}" >"$work/outside.log" || true
  grep -q 'reached /run/systemd/private' "$work/outside.log" && grep -q 'reached /run/dbus' "$work/outside.log" ||
    fail "the probe reaches nothing outside: $(cat "$work/outside.log")"
  local unit
  for unit in nnved@caged tnved@caged; do
    drop_in "$unit" "ExecStart="$'\n'"ExecStart=$python $tests/vm/reach.py --notify ${places[*]}"
    systemctl start "$unit" || fail "$unit: READY=1 does not get out of the sandbox"
    expect "state of $unit" "$(property "$unit" ActiveState)" active
    journalctl -o cat -u "$unit" >"$work/inside.log"
    grep -q 'all tried' "$work/inside.log" || fail "the probe of $unit did not end: $(cat "$work/inside.log")"
    ! grep -E '^(reached|did)' "$work/inside.log" || fail "code in the sandbox of $unit gets out"
    systemctl stop "$unit"
    drop_out "$unit"
  done
}

# --- ends ---

drain_it() {
  ctl hv1 drain >/dev/null || fail "drain of hv1"
  expect "TSIs of hv1" "$(tsi_count hv1)" 0
  ! ctl hv1 tsi create "$(vsi 1)" --vn blue --mac 02:aa:00:00:00:01 --interface tap1 2>/dev/null || fail "a TSI on a drained one"
  ctl hv1 undrain >/dev/null
  ctl hv1 tsi create "$(vsi 1)" --vn blue --mac 02:aa:00:00:00:01 --interface tap1 >/dev/null
  ctl hv1 tsi start "$(vsi 1)" >/dev/null
  wait_for 90 "vm1 reaches vm2" pings vm1 10.0.0.2 3
}

remove_it() {
  local n
  [ "$(programs_at p1)" -gt 0 ] || fail "no program to be removed"
  for n in 1 2; do ctl "hv$n" drain --remove >/dev/null || fail "drain --remove of hv$n"; done
  ctl sw1 drain --remove >/dev/null || fail "drain --remove of sw1"
  for unit in tnved@hv1 tnved@hv2 nnved@sw1; do
    wait_for 60 "$unit has ended" eval '[ "$(property "'"$unit"'" ActiveState)" = inactive ]'
    expect "result of $unit" "$(property "$unit" Result)" success
    logged "$unit" daemon.removed || fail "no word of the removal of $unit"
  done
  for n in 1 2; do
    expect "programs at p$n, up$n, tap$n" "$(programs_at "p$n") $(programs_at "up$n") $(programs_at "tap$n")" "0 0 0"
  done
  for n in sw1 hv1 hv2; do
    [ ! -e "/sys/fs/bpf/splitnve/$n" ] || fail "pins of $n are left"
  done
  ! ip link show vx0 >/dev/null 2>&1 || fail "the VXLAN device is left"
  expect "sockets" "$(find /run/splitnve -name '*.sock' | wc -l)" 0
  # Restart= does not bring it back.
  sleep 1
  expect "state a second later" "$(property nnved@sw1 ActiveState)" inactive
  systemctl start nnved@sw1
  expect "state after another start" "$(property nnved@sw1 ActiveState)" active
  ctl sw1 drain --remove >/dev/null
}

# Without bpffs it says why, waits longer each time, and comes up by itself when it is there.
without_bpffs() {
  switch_file nofs '{"interface":"q2","direct":true}'
  umount -l /sys/fs/bpf
  ! systemctl start nnved@nofs 2>/dev/null || fail "nnved starts without bpffs"
  cause nnved@nofs 'no bpffs is mounted here'
  wait_for 90 "it is tried again" eval '[ "$(property nnved@nofs NRestarts)" -ge 3 ]'
  local tries since=$SECONDS
  tries=$(property nnved@nofs NRestarts)
  wait_for 90 "pauses of more than a second" eval 'systemctl show -P StatusText nnved@nofs | grep -q bpffs && [ "$(property nnved@nofs NRestarts)" -ge '$((tries + 2))' ]'
  [ $((SECONDS - since)) -ge 2 ] || fail "two more starts within $((SECONDS - since)) s"
  mount -t bpf -o mode=700 bpf /sys/fs/bpf
  wait_for 120 "it comes up by itself" eval '[ "$(property nnved@nofs ActiveState)" = active ]'
  systemctl stop nnved@nofs
}

started=$(now_ms)
show "installed: units and users" install_it
show "the links of this machine" links
show "no configuration: not started, not failed" without_configuration
show "a wrong configuration: exit 2, its cause at error priority, not tried again" wrong_configuration
show "all three start" start_all
show "a file of another instance: exit 2" other_name
show "they run as nnved and tnved, with four capabilities" as_their_users
show "VMs talk by keys that only the daemons' users may read" vms_talk
show "control groups: looking, changing, strangers" who_may_what
show "SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE end nothing" signals
show "restart, stop, kill -9: no frame lost" survive
show "a daemon that hangs is restarted by the watchdog: no frame lost" watchdog
show "clock steps of ten days: nothing ages" clock_steps
show "the machine sleeps and wakes: nothing ages" machine_sleeps
show "an interface that comes later" late_interface
show "the other daemon's file: exit 2, the running one undisturbed" other_daemons_file
show "the same instance twice: refused" twice
show "without capabilities: the cause is logged" without_rights
show "code in the sandbox reaches neither systemd nor D-Bus" sandbox
show "drain and undrain" drain_it
show "drain --remove ends the daemons, nothing is left" remove_it
show "without bpffs: the cause, growing pauses, recovery" without_bpffs
echo "vm systemd: PASS in $((($(now_ms) - started) / 1000)) s"
