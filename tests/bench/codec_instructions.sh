#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# codec_instructions.sh PROGRAM [ENCODE_MAX DECODE_MAX]: instructions per TLV of the VDP codec, counted by callgrind, which
# no other load of the machine changes. With bounds it fails beyond them; without it only prints.
set -euo pipefail
program=${1:?usage: codec_instructions.sh PROGRAM [ENCODE_MAX DECODE_MAX]}
readonly few=10 many=110 tlvs=37

command -v valgrind >/dev/null || { echo "codec_instructions: valgrind is missing (apt-get install valgrind)" >&2; exit 1; }

count() {   # WHAT ROUNDS
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 >/dev/null |
    sed -nE 's/.*Collected : ([0-9]+).*/\1/p'
}

status=0
check() {   # WHAT MAX
  local base more each
  base=$(count "$1" "$few")
  more=$(count "$1" "$many")
  each=$(((more - base) / ((many - few) * tlvs)))
  echo "$1_instructions_per_tlv=$each${2:+ max=$2}"
  [ "$each" -gt 0 ] || { echo "codec_instructions: nothing was counted" >&2; status=1; }
  if [ -n "$2" ] && [ "$each" -gt "$2" ]; then
    echo "codec_instructions: $1 takes $each instructions per TLV, more than $2" >&2
    status=1
  fi
}
check encode "${2:-}"
check decode "${3:-}"
exit "$status"
