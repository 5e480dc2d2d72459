# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Topologies, daemons and waiting for tests in network namespaces. Source it inside tests/netns/isolate.sh:
#   . lib.sh; netns_begin BUILD_DIR
# Every name is a namespace, an interface in one, or a daemon instance. Nothing here sleeps instead of a condition:
# wait_for polls a state until a deadline.
# shellcheck disable=SC2034  # some results are for the script that sourced us
set -euo pipefail

: "${SPLITNVE_ISOLATED:?run this through tests/netns/isolate.sh}"
netns_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)       # logs and configurations
failed_in="start"       # what fail() and the error trap say was going on
step_started=0

now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

netns_begin() {
  build=$(cd "${1:?netns_begin wants the build folder}" && pwd)
  vdpctl="$build/tools/vdpctl/vdpctl"
  local program
  for program in "$build/src/nnved/nnved" "$build/src/tnved/tnved" "$vdpctl"; do
    [ -x "$program" ] || { echo "not built: $program (tools/dev build)" >&2; exit 1; }
  done
  trap 'fail "${failed_in}: line $LINENO: $BASH_COMMAND"' ERR
  set -E
}

# --- verdicts ---

fail() {
  trap - ERR
  echo
  echo "FAIL: $*"
  local log
  for log in "$work"/*.log; do
    [ -s "$log" ] || continue
    echo "--- the last lines of ${log##*/}"
    tail -n "${LOG_LINES:-15}" "$log"
  done
  on_fail "$*"
  exit 1
}
on_fail() { :; }   # a test may say more

step_end() {
  [ "$step_started" = 0 ] || printf '    (%d ms)\n' $(($(now_ms) - step_started))
  step_started=0
}
# step TEXT: what happens now; the time of the step before is printed.
step() {
  step_end
  failed_in=$1
  echo "==> $1"
  step_started=$(now_ms)
}
say() { echo "    $*"; }

# expect WHAT GOT WANTED
expect() { [ "$2" = "$3" ] || fail "$failed_in: $1 is '$2', wanted '$3'"; }

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds; otherwise the test fails, saying WHAT did not come.
wait_for() {
  local seconds=$1 what=$2 deadline
  shift 2
  deadline=$(($(now_ms) + seconds * 1000))
  until "$@" >/dev/null 2>&1; do
    [ "$(now_ms)" -lt "$deadline" ] || fail "$failed_in: $what: not within $seconds s"
    sleep 0.02   # between two looks; what counts is the condition
  done
}

# --- topology ---

# ip netns exec would remount /sys and hide the pins: enter the network namespace only.
in_ns() { local ns=$1; shift; nsenter --net="/run/netns/$ns" "$@"; }

ns_add() {
  local ns
  for ns in "$@"; do
    ip netns add "$ns"
    # Neighbour discovery of its own would disturb exact counters; tests that want IPv6 switch it on.
    in_ns "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
    in_ns "$ns" ip link set lo up
  done
}

# link NS1 IF1 NS2 IF2 [MTU]
link() {
  ip link add "$2" netns "$1" mtu "${5:-1500}" type veth peer name "$4" netns "$3" mtu "${5:-1500}"
  in_ns "$1" ip link set "$2" up
  in_ns "$3" ip link set "$4" up
}

# underlay NS1 IP1 NS2 IP2: joins two switches by interface u0; room for the VXLAN header around 1500 octets.
underlay() {
  link "$1" u0 "$3" u0 1600
  in_ns "$1" ip addr add "$2/24" dev u0
  in_ns "$3" ip addr add "$4/24" dev u0
}

# vm_add VM HYPERVISOR TAP MAC IP: a guest is a namespace whose eth0 ends in the hypervisor as TAP.
vm_add() {
  ns_add "$1"
  link "$1" eth0 "$2" "$3"
  in_ns "$1" ip link set eth0 address "$4"
  in_ns "$1" ip addr add "$5/24" dev eth0
}

# --- daemons ---

socket_of() { echo "/run/splitnve/$1.sock"; }
# ctl INSTANCE ARGUMENTS...
ctl() { local instance=$1; shift; "$vdpctl" -s "$(socket_of "$instance")" "$@"; }
ctl_json() { local instance=$1; shift; "$vdpctl" -j -s "$(socket_of "$instance")" "$@"; }

# paths_json INSTANCE: everything a daemon writes is inside the private /run.
paths_json() {
  printf '"paths":{"socket":"%s","store":"/run/splitnve/%s.db","pins":"/sys/fs/bpf/splitnve/%s/"}' \
    "$(socket_of "$1")" "$1" "$1"
}

# config INSTANCE: the configuration from standard input.
config() { cat >"$work/$1.json"; }

# daemon_start INSTANCE NAMESPACE nnved|tnved: ready when it answers on its socket.
daemon_start() {
  local instance=$1 ns=$2 program=$3
  # exec: the process id is the daemon's own, a signal hits it and not a shell around it.
  (trap - ERR; exec nsenter --net="/run/netns/$ns" "$build/src/$program/$program" --config "$work/$instance.json") \
    >>"$work/$instance.log" 2>&1 &
  echo $! >"$work/$instance.pid"
  disown "$!"   # bash shall not report its death
  wait_for 10 "$instance answers on its control socket" answers_or_dead "$instance"
  alive "$instance" || fail "$failed_in: $program of $instance ended at its start"
}
answers_or_dead() { ! alive "$1" || ctl "$1" stats show; }
pid_of() { cat "$work/$1.pid"; }
alive() { local state; state=$(ps -o stat= -p "$(pid_of "$1")" 2>/dev/null) && [[ $state != Z* ]]; }
dead() { ! alive "$1"; }

# daemon_kill INSTANCE [SIGNAL]
daemon_kill() {
  kill "-${2:-TERM}" "$(pid_of "$1")"
  wait_for 10 "$1 ends" dead "$1"
  ! ctl "$1" stats show >/dev/null 2>&1 || fail "$failed_in: $1 answers after its end"
}

# --- what the daemons say ---

# tsi_field INSTANCE VSI FIELD [FILTER]: a member of the TSI's row; FILTER narrows if there are several.
tsi_field() {
  ctl_json "$1" tsi show | jq -r --arg vsi "$2" "[.[] | select(.vsi == \$vsi) ${4:+| select($4)}][0].$3 | if . == null then empty else . end"
}
tsi_is() { [ "$(tsi_field "$1" "$2" state | tr '[:upper:]' '[:lower:]')" = "$3" ]; }
tsi_count() { ctl_json "$1" tsi show | jq length; }
has_no_tsi() { [ "$(tsi_count "$1")" = 0 ]; }

# counter INSTANCE GROUP NAME: one figure of `stats show`; 0 if it never counted.
counter() {
  ctl_json "$1" stats show | jq --arg group "$2" --arg name "$3" \
    '[.[] | select(.group == $group and .counter == $name) | .value] | add // 0'
}
# dropped INSTANCE REASON: frames that the datapath of a daemon dropped for that reason.
dropped() { counter "$1" datapath "$2"; }
dropped_is() { [ "$(dropped "$1" "$2")" = "$3" ]; }

# --- traffic ---

# pings VM IP [COUNT]: all of them answered.
pings() { in_ns "$1" ping -q -n -c "${3:-3}" -i 0.01 -W 1 "$2" >"$work/ping" 2>&1; }
# no_ping VM IP: none of three answered.
no_ping() { ! in_ns "$1" ping -q -n -c 3 -i 0.05 -W 0.3 "$2" >"$work/ping" 2>&1; }

# ping_start NAME VM IP [COUNT]: in the background, 100 a second, until ping_stop unless there is a COUNT.
ping_start() {
  (trap - ERR; exec nsenter --net="/run/netns/$2" ping -n -D -i 0.01 -c "${4:-1000000}" -W 1 "$3") >"$work/$1.ping" 2>&1 &
  echo $! >"$work/$1.ping.pid"
}
ping_seen() { grep -c 'bytes from' "$work/$1.ping" || true; }
ping_reached() { [ "$(ping_seen "$1")" -ge "$2" ]; }
# ping_end NAME: waits for its end; `lost` is how many got no answer, `sent` how many there were.
ping_end() {
  local received
  wait "$(cat "$work/$1.ping.pid")" || true
  sent=$(sed -nE 's/^([0-9]+) packets transmitted.*/\1/p' "$work/$1.ping")
  received=$(sed -nE 's/.* ([0-9]+) received.*/\1/p' "$work/$1.ping")
  if [ -z "$sent" ] || [ -z "$received" ]; then fail "$failed_in: ping $1 said nothing at its end"; fi
  lost=$((sent - received))
}

# ping_stop NAME: ends it, but not before it has had 20 more answers: a ping outlasts what it watches. `lost` and `sent` are
# those up to the last answer; what was on its way at the end counts for nothing.
ping_stop() {
  wait_for 10 "ping $1 goes on" ping_reached "$1" $(($(ping_seen "$1") + 20))
  kill -INT "$(cat "$work/$1.ping.pid")"
  wait "$(cat "$work/$1.ping.pid")" 2>/dev/null || true
  local answered
  answered=$(sed -nE 's/.*icmp_seq=([0-9]+) ttl.*/\1/p' "$work/$1.ping" | sort -nu)
  sent=$(tail -n 1 <<<"$answered")
  lost=$((sent - $(wc -l <<<"$answered")))
}

# frames NS send IF COUNT SRC DST [TAG]: exactly COUNT raw frames of an experimental EtherType.
frames() { in_ns "$1" python3 "$netns_folder/frames.py" "${@:2}"; }

# listen NAME NS IF SECONDS [WANT]: counts such frames in the background, until there are WANT. With WANT 1 a listener
# that is_silent has heard none. listen_end waits for its end: `heard` is the count.
listen() {
  rm -f "$work/$1.ready"
  frames "$2" count "$3" "$4" "$work/$1.ready" "${@:5}" >"$work/$1.heard" &
  echo $! >"$work/$1.listener"
  wait_for 5 "a listener in $2" test -e "$work/$1.ready"
}
is_silent() { kill -0 "$(cat "$work/$1.listener")" 2>/dev/null; }
listen_end() { wait "$(cat "$work/$1.listener")"; heard=$(cat "$work/$1.heard"); }
