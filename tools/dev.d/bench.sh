#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: bench NAME [--tsis N ...]                        measure the release daemons: one JSON object (docs/performance.md)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly names="associate activate-latency restart memory codec"

case " $names " in
  *" ${1:-none} "*) ;;
  *) echo "usage: tools/dev bench NAME [--tsis N] [--samples N] [--connections N]; NAME is one of: $names" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "tools/dev bench: network namespaces and BPF need root" >&2; exit 1; }

# Only the report goes to stdout.
tools/dev build --preset release nnved tnved vdpctl splitnve_bench >&2
exec tests/netns/isolate.sh tests/bench/bench.sh build/release "$@"
