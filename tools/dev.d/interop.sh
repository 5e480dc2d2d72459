#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: interop [--only WORDS]                             our daemons against lldpad, case by case, every frame captured
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "tools/dev interop: network namespaces need root" >&2; exit 2; }
tools/dev build nnved tnved vdpctl
exec tests/netns/isolate.sh python3 tests/interop/interop.py "$PWD/build/release" "$@"
