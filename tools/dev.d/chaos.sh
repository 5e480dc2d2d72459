#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: chaos [--kills N] [--seed S]                       kill -9 of the daemons under load; nothing may be lost
set -euo pipefail
cd "$(dirname "$0")/../.."
kills=100 seed=$RANDOM
while [ $# -gt 0 ]; do
  case "$1" in
    --kills) kills=${2:?--kills wants a number}; shift 2 ;;
    --seed) seed=${2:?--seed wants a number}; shift 2 ;;
    *) echo "usage: tools/dev chaos [--kills N] [--seed S]" >&2; exit 2 ;;
  esac
done
tools/dev build nnved tnved vdpctl
exec tests/netns/isolate.sh tests/netns/chaos.sh "$PWD/build/release" "$kills" "$seed"
