#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bad_start.sh BUILD, inside tests/netns/isolate.sh: each thing that is wrong with configuration or machine gives ONE
# clear line on stderr and the right exit status: 2 for a wrong configuration, 1 for what else stops a start; the same
# daemon then starts when it is put right. Runs both daemons.
set -euo pipefail
: "${SPLITNVE_ISOLATED:?run this through tests/netns/isolate.sh}"
build=$(cd "${1:?usage: bad_start.sh BUILD}" && pwd)
work=$(mktemp -d)
failures=0 checks=0
complain() { echo "FAIL: $*"; failures=$((failures + 1)); }

ip link add ac1 type veth peer name far1
ip link set ac1 up
ip link set far1 up

# config DAEMON NAME [INTERFACE] [EXTRA MEMBERS]: a configuration whose every path is in the private /run.
config() {
  local members
  case "$1" in
    nnved) members='"ports":[{"interface":"'"${3:-ac1}"'","direct":true}]' ;;
    tnved) members='"uplinks":[{"interface":"'"${3:-ac1}"'"}]' ;;
  esac
  cat >"$work/$2.json" <<JSON
{
  "role": "$1",
  "instance": "$2",
  "paths": {"socket": "/run/splitnve/$2.sock", "store": "/run/splitnve/$2.db", "pins": "/sys/fs/bpf/splitnve/$2/"},
  "vns": [{"id": 70001, "alias": "blue"}],
  ${4:+$4,}
  $members
}
JSON
}

# refused WHAT STATUS PATTERN COMMAND...: COMMAND ends by itself with STATUS and one line on stderr that has PATTERN.
# Lines of the log (a time and a level) may stand beside it.
refused() {
  local what=$1 wanted=$2 pattern=$3 status=0 complaint
  shift 3
  checks=$((checks + 1))
  timeout 10 "$@" >"$work/out" 2>"$work/err" || status=$?
  grep -vE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T' "$work/err" >"$work/complaint" || true
  complaint=$(cat "$work/complaint")
  if [ "$status" != "$wanted" ]; then complain "$what: exit $status, wanted $wanted: $complaint"; return; fi
  if [ "$(wc -l <"$work/complaint")" != 1 ]; then complain "$what: not one line: $complaint"; return; fi
  if ! grep -qE -- "$pattern" "$work/complaint"; then complain "$what: no '$pattern' in: $complaint"; return; fi
  printf '  %-46s exit %s  %s\n' "$what" "$status" "$complaint"
}

# starts WHAT PROGRAM NAME: it comes up on its control socket; `pid` is left running.
starts() {
  local what=$1 program=$2 name=$3 deadline=$((SECONDS + 10))
  checks=$((checks + 1))
  "$program" --config "$work/$name.json" >"$work/$name.log" 2>&1 &
  pid=$!
  until "$build/tools/vdpctl/vdpctl" -s "/run/splitnve/$name.sock" stats show >/dev/null 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
      complain "$what: $(tail -1 "$work/$name.log")"
      return 1
    fi
    sleep 0.02   # between two looks; what counts is the condition
  done
}
stops() { kill -TERM "$1"; wait "$1" || complain "exit $? after SIGTERM"; }

wrong_configuration() {
  local daemon=$1 program=$2 what
  for what in --config --check; do
    config "$daemon" bad
    sed -i 's/"instance"/"instants": 1, "instance"/' "$work/bad.json"
    refused "$daemon $what: unknown key" 2 'bad\.json:3: .*instants' "$program" "$what" "$work/bad.json"
    config "$daemon" bad ac1 '"log_level": 7'
    refused "$daemon $what: wrong type" 2 'bad\.json:6: .*/log_level' "$program" "$what" "$work/bad.json"
    printf '{\n  "role": "%s",\n  "instance": \n}\n' "$daemon" >"$work/bad.json"
    refused "$daemon $what: no JSON" 2 'bad\.json:4' "$program" "$what" "$work/bad.json"
    refused "$daemon $what: no such file" 2 'absent\.json' "$program" "$what" "$work/absent.json"
  done
  config "$daemon" bad
  sed -i "s/\"role\": \"$daemon\"/\"role\": \"vdpctl\"/" "$work/bad.json"
  refused "$daemon: the other daemon's role" 2 'bad\.json:2: .*/role' "$program" --config "$work/bad.json"
}

missing_machine() {
  local daemon=$1 program=$2 what
  config "$daemon" gone no-such-if
  # A start waits for it; the check says that it is absent.
  refused "$daemon --check: no interface" 1 'no-such-if: no such network interface' "$program" --check "$work/gone.json"
  config "$daemon" loop lo
  refused "$daemon: no Ethernet interface" 1 'lo: .*Ethernet' "$program" --config "$work/loop.json"

  config "$daemon" nofs
  for what in --config --check; do
    # shellcheck disable=SC2016  # expands in the inner shell
    refused "$daemon $what: no bpffs" 1 'no bpffs is mounted here .*mount -t bpf' \
      unshare -m -- sh -c 'umount /sys/fs/bpf && exec "$@"' sh "$program" "$what" "$work/nofs.json"
  done
  # The folder's own rights must not be what stops it.
  config "$daemon" nobody
  chmod 0755 "$work" /run/tmp
  install -d -m 0777 /run/splitnve
  refused "$daemon: no permission" 1 'ermission|ermitted' \
    setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=-all \
    "$program" --config "$work/nobody.json"
  config "$daemon" folder
  sed -i "s#\"store\": \"[^\"]*\"#\"store\": \"$work/file/x.db\"#" "$work/folder.json"
  touch "$work/file"
  for what in --config --check; do
    refused "$daemon $what: a file where a folder should be" 1 "$work/file/x.db: cannot (be created|open)" \
      "$program" "$what" "$work/folder.json"
  done
  mkdir -p "$work/readonly"
  mount -t tmpfs -o ro readonly "$work/readonly"
  sed -i "s#$work/file/#$work/readonly/state/#" "$work/folder.json"
  for what in --config --check; do
    refused "$daemon $what: a read-only file system" 1 'Read-only file system' "$program" "$what" "$work/folder.json"
  done
  umount "$work/readonly"
}

# The check names every capability that a user without rights lacks.
missing_capabilities() {
  local daemon=$1 program=$2 status=0 name
  checks=$((checks + 1))
  config "$daemon" nobody
  setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=-all \
    "$program" --check "$work/nobody.json" >"$work/out" 2>"$work/err" || status=$?
  [ "$status" = 1 ] || complain "$daemon --check without rights: exit $status"
  for name in CAP_NET_ADMIN CAP_NET_RAW CAP_BPF CAP_PERFMON; do
    [ "$(grep -c "^$name: " "$work/err")" = 1 ] || complain "$daemon --check without rights does not name $name once"
  done
}

bad_state() {
  local daemon=$1 program=$2
  config "$daemon" state
  starts "$daemon: a good start" "$program" state || return 0
  checks=$((checks + 1))
  "$program" --check "$work/state.json" >"$work/out" 2>"$work/err" ||
    complain "$daemon --check beside a running one: $(cat "$work/err")"
  refused "$daemon: a second one of the instance" 1 'another daemon' "$program" --config "$work/state.json"
  stops "$pid"

  mkdir /sys/fs/bpf/splitnve/state/v99
  refused "$daemon: pins of a newer layout" 1 'newer layout, 99' "$program" --config "$work/state.json"
  rmdir /sys/fs/bpf/splitnve/state/v99

  # user_version stands big-endian at octet 60 of an SQLite file.
  printf '\0\0\0\143' | dd of=/run/splitnve/state.db bs=1 seek=60 conv=notrunc status=none
  refused "$daemon: a store of a newer schema" 1 'schema 99, newer' "$program" --config "$work/state.json"
  rm -f /run/splitnve/state.db*
  head -c 8192 /dev/zero | tr '\0' 'x' >/run/splitnve/state.db
  refused "$daemon: a corrupt store" 1 'state store is damaged.*move' "$program" --config "$work/state.json"
  rm -f /run/splitnve/state.db
  starts "$daemon: starts when all is put right" "$program" state && stops "$pid"
}

for daemon in ${DAEMONS:-tnved nnved}; do
  program="$build/src/$daemon/$daemon"
  if [ ! -x "$program" ]; then complain "not built: $program (tools/dev build)"; continue; fi
  wrong_configuration "$daemon" "$program"
  missing_machine "$daemon" "$program"
  missing_capabilities "$daemon" "$program"
  bad_state "$daemon" "$program"
  rm -rf /run/splitnve/* /sys/fs/bpf/splitnve
  tc qdisc del dev ac1 clsact 2>/dev/null || true   # else the next daemon is told that another one serves the port
done
echo "bad_start: $checks checks, $failures failed"
[ "$failures" = 0 ]
