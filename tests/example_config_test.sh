#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# example_config_test.sh BUILD: the examples in conf/ are accepted by `vdpctl config check`; a spoiled copy is refused with
# its file, line and key, and exit 2.
set -euo pipefail
cd "$(dirname "$0")/.."
vdpctl="${1:?usage: example_config_test.sh BUILD}/tools/vdpctl/vdpctl"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

status=0
for example in conf/*.jsonc; do
  # The file must be well; that this machine lacks its interfaces is another matter, and exit 1.
  code=0
  complaint=$("$vdpctl" config check "$example" 2>&1) || code=$?
  { [ "$code" -le 1 ] && grep -qF "$example: well" <<<"$complaint"; } ||
    { echo "refused with exit $code: $example: $complaint"; status=1; }
  spoiled="$scratch/${example##*/}"
  sed 's/"instance"/"instants"/' "$example" >"$spoiled"
  code=0
  complaint=$("$vdpctl" config check "$spoiled" 2>&1) || code=$?
  [ "$code" = 2 ] || { echo "$example with a wrong key: exit $code, wanted 2"; status=1; }
  line=$(grep -n '"instants"' "$spoiled" | cut -d: -f1)
  grep -q "${spoiled##*/}:$line.*instants" <<<"$complaint" ||
    { echo "$example with a wrong key: the complaint does not name line $line and the key: $complaint"; status=1; }
done
exit "$status"
