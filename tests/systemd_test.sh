#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemd_test.sh FOLDER: the units parse without a word, and stay hardened. `systemd-analyze verify` exits 0 on an unknown
# key, so its stderr counts.
set -euo pipefail
folder=${1:?usage: systemd_test.sh FOLDER}
source=$(cd "$(dirname "$0")/../systemd" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

for daemon in nnved tnved; do
  # An instance of the template, with a program that exists here; the rest stays as installed.
  unit="$scratch/$daemon@check.service"
  sed -E "s#^ExecStart=[^ ]+/$daemon #ExecStart=/bin/true #" "$folder/$daemon@.service" >"$unit"
  grep -q '^ExecStart=/bin/true --config /etc/splitnve/%i.jsonc --instance %i$' "$unit" ||
    { echo "$daemon: ExecStart does not run $daemon with the instance's file"; status=1; }
  words=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) || status=1
  words=$(grep -F "$daemon@" <<<"$words" || true)
  [ -z "$words" ] || { echo "$daemon: $words"; status=1; }
  systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" >"$scratch/security" ||
    { echo "$daemon: less hardened than an exposure of 2.0:"; status=1; }
  tail -1 "$scratch/security" | grep -o 'Overall.*' || cat "$scratch/security"
  # What an exposure does not tell: whose process it is, what ends it for good, what a start waits for, what is hidden.
  for line in Type=notify "User=$daemon" 'RestartPreventExitStatus=2 3' LimitCORE=0 \
    'SystemCallFilter=~@privileged @resources' 'TemporaryFileSystem=/run:ro /sys/fs:ro' \
    ConditionPathExists=/etc/splitnve/%i.jsonc; do
    grep -qxF "$line" "$unit" || { echo "$daemon: no line $line"; status=1; }
  done
  grep -qE "^u $daemon " "$source/splitnve.sysusers" || { echo "$daemon: no such user in splitnve.sysusers"; status=1; }
done

# The check itself must see a wrong key.
sed 's/^Type=/Typo=/' "$folder/nnved@.service" | sed -E 's#^ExecStart=[^ ]+ #ExecStart=/bin/true #' >"$scratch/wrong@check.service"
systemd-analyze verify --man=no "$scratch/wrong@check.service" 2>&1 | grep -q Typo || { echo "a wrong key goes unseen"; status=1; }
exit "$status"
