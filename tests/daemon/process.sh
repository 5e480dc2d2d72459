#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# process.sh BUILD, inside tests/netns/isolate.sh: the daemons as processes. What signals do, exit statuses, what the
# journal and systemd are told, without systemd: its sockets are played.
netns_folder=$(cd "$(dirname "$0")/../netns" && pwd)
# shellcheck source=tests/netns/lib.sh
. "$netns_folder/lib.sh"
netns_begin "${1:?usage: process.sh BUILD}"
link_here() { ip link add "$1" type veth peer name "$2"; ip link set "$1" up; ip link set "$2" up; }
program_of() { echo "$build/src/$1/$1"; }
file_of() {   # DAEMON INSTANCE INTERFACE
  local ports='"ports":[{"interface":"'$3'","vids":"100-199"}]'
  [ "$1" = nnved ] || ports='"uplinks":[{"interface":"'$3'"}]'
  config "$2" <<<"{\"role\":\"$1\",\"instance\":\"$2\",$(paths_json "$2"),\"vns\":[{\"id\":70001}],$ports}"
}
start_here() {   # DAEMON INSTANCE
  (trap - ERR; exec "$(program_of "$1")" --config "$work/$2.json") >>"$work/$2.log" 2>&1 &
  echo $! >"$work/$2.pid"
  wait_for 10 "$2 answers" answers_or_dead "$2"
  alive "$2" || fail "$1 ended at its start"
}
# ends_with STATUS COMMAND...: its stderr is in $work/said.
ends_with() {
  local wanted=$1 status=0
  shift
  timeout 20 "$@" >/dev/null 2>"$work/said" || status=$?
  expect "exit status of ${*##*/}" "$status" "$wanted"
}

signals() {
  step "$1: SIGHUP, SIGUSR1, SIGUSR2 and SIGPIPE end nothing, and are told"
  local signal pid
  pid=$(pid_of "$2")
  for signal in PIPE USR1 USR2 HUP; do kill "-$signal" "$pid"; done
  wait_for 5 "SIGHUP is in the log" grep -q 'daemon.signal signal=SIGHUP nothing was reloaded' "$work/$2.log"
  for signal in USR1 USR2; do
    wait_for 5 "SIG$signal is in the log" grep -q "daemon.signal signal=SIG$signal" "$work/$2.log"
  done
  ctl "$2" stats show >/dev/null || fail "$1 does not answer"
  expect "core dumps" "$(awk '/^Max core/ { print $5, $6 }' "/proc/$pid/limits")" "0 0"
}

removed() {
  step "$1: drain --remove ends it with status 3, undrain takes the removal back"
  local status=0 pid
  pid=$(pid_of "$2")
  ctl "$2" drain >/dev/null
  ctl "$2" undrain >/dev/null
  ctl "$2" stats show >/dev/null || fail "$1 has ended by a plain drain"
  ctl "$2" drain --remove >/dev/null
  wait "$pid" || status=$?
  expect "exit status" "$status" 3
  [ ! -e "/sys/fs/bpf/splitnve/$2" ] || fail "pins are left"
  grep -q 'daemon.removed' "$work/$2.log" || fail "no word of it in the log"
}

other_instance() {
  step "$1: a file of another instance is a wrong configuration"
  ends_with 2 "$(program_of "$1")" --config "$work/$2.json" --instance other
  grep -q "names the instance \"$2\"" "$work/said" || fail "$(cat "$work/said")"
}

# In the journal each line has its priority; a terminal or file gets none.
priorities() {
  step "$1: what stops a start is at error priority in the journal"
  local at
  : >"$work/said"
  at=$(stat -c %d:%i "$work/said")
  ends_with 2 env JOURNAL_STREAM="$at" "$(program_of "$1")" --config "$work/none.json"
  expect "lines without <3>" "$(grep -vc '^<3>' "$work/said" || true)" 0
  ends_with 2 env JOURNAL_STREAM="$at" "$(program_of "$1")" --no-such-option
  expect "lines without <3>" "$(grep -vc '^<3>' "$work/said" || true)" 0
  ends_with 2 "$(program_of "$1")" --config "$work/none.json"
  ! grep -q '^<3>' "$work/said" || fail "a priority outside of the journal"
}

# A store below a file can never be opened. The manager is a socket nobody reads.
backs_off() {
  step "$1: starts that fail wait longer each time where a service manager repeats them"
  local began took=()
  touch "$work/file"
  sed -i "s#\"store\":\"[^\"]*\"#\"store\":\"$work/file/x.db\"#" "$work/$2.json"
  for _ in 1 2 3; do
    began=$(now_ms)
    ends_with 1 env NOTIFY_SOCKET="$work/nobody" "$(program_of "$1")" --config "$work/$2.json"
    took+=($(($(now_ms) - began)))
  done
  say "ended after ${took[*]} ms"
  [ "${took[1]}" -ge 250 ] || fail "the second ended after ${took[1]} ms"
  [ "${took[2]}" -ge 500 ] || fail "the third ended after ${took[2]} ms"
  began=$(now_ms)
  ends_with 1 "$(program_of "$1")" --config "$work/$2.json"
  [ $(($(now_ms) - began)) -lt 1000 ] || fail "by hand it waits, too"
  file_of "$1" "$2" "$3"
  start_here "$1" "$2"
  [ ! -e "/run/splitnve/$2.failures" ] || fail "a good start does not end the count"
  daemon_kill "$2"
}

for daemon in nnved tnved; do
  link_here "a-$daemon" "b-$daemon"
  file_of "$daemon" "$daemon" "a-$daemon"
  start_here "$daemon" "$daemon"
  signals "$daemon" "$daemon"
  removed "$daemon" "$daemon"
  other_instance "$daemon" "$daemon"
  priorities "$daemon"
  backs_off "$daemon" "$daemon" "a-$daemon"
done
step_end
echo "process: PASS"
