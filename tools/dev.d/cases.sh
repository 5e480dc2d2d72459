#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cases.sh FOLDER [NAME...]: runs reproducers that are kept outside of this repository against the release build, and says of
# each whether what it printed is right. FOLDER/faults print ok and FAULT; those of attacks and mission print what they saw.
# They use tests/netns of this checkout. Output: build/cases/NAME.txt; one verdict a line, exit 1 if one is not right.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(cd "${1:?usage: cases.sh FOLDER [NAME...]}" && pwd)
shift
readonly seconds_max=300 out=build/cases
export P=$PWD NETNS=$PWD/tests/netns
mkdir -p "$out"

# What a reproducer of these names prints when all is right: lines that must be there (+), and that must not (-).
rules() {
  case "$1" in
    faults/*) echo '+^ok '; echo '-^FAULT' ;;
    attacks/auth) echo '+ping after: ok'; echo '+authenticated again after'; echo "-blue1 \['(associated|init)?'?\]" ;;
    attacks/csum) echo '+no trick'; echo '-arrives at .* with 0a00000[2-9]' ;;
    attacks/disk) echo '+with room again: .*activated'; echo '+full .*code 2|code 2 .*store' ;;
    attacks/evb) echo '+ping after: ok'; echo "-^t~.*at sw1: '(associated|init|)'" ;;
    attacks/fill) echo "+legit VM at p2: \(0, 'ok'\)"; echo '-ECP ack .* max [0-9]{3}' ;;
    attacks/flip) echo '+sw1: activated'; echo '+attack, ' ;;
    attacks/flips) echo '+dropped and said so'; echo '-OTHER STATE|CRASH|no answer' ;;
    attacks/ipdup) echo '+another VSI has this IP' ;;
    attacks/local) echo '+drain. while a reader holds .*: 0 ok'; echo '+sw1 alive' ;;
    attacks/memory) echo '+^after .*ECP ack'; echo '-ECP ack .* max [0-9]{3}' ;;
    attacks/peers) echo '+^ok$'; echo '-after 1 s: .*frames: ([2-9]|1[1-9])[0-9]{2,}' ;;
    attacks/peers-require) echo '+^ok$'; echo '+hv1: authenticated' ;;
    attacks/pins) echo '+ping ok after audit --fix'; echo '-ping FAILS' ;;
    attacks/storm) echo '+under the storm: lost 0 of' ;;
    attacks/takeover) echo '+^7\. .*0x55'; echo "-^(1|3|4b|6|7|10)\. .*answers \[\([23], '0x40'\)\]" ;;
    # A link-local address that nobody signalled is free ("link_local": "strict" refuses it).
    attacks/tenant) echo '+deviations: [01]$'; echo '-^([^N]|N[^A]|NA [^f]|NA f[^o]|NA for [^f]).*<<<<<<' ;;
    attacks/text) echo '+verdict:'; printf -- '-[\x01-\x08\x0b-\x1f\x7f]\n' ;;
    attacks/vxlan) echo '+-> \[\]$'; echo '--> \[[^]]' ;;
    mission/dupip) echo '+another VSI has this IP'; echo '+audit rc 1' ;;
    mission/s12d) echo '+heard by red2.*: 0 of 100'; echo '-heard .*: [1-9][0-9]* of 100' ;;
    mission/vanished_tap) echo '+^start 5: ok'; echo '-^start [0-9]: [^o]' ;;
    *) return 1 ;;   # of another capability
  esac
}

judge() {   # NAME FILE: prints what is wrong
  local rule pattern
  while IFS= read -r rule; do
    pattern=${rule:1}
    case "$rule" in
      +*) grep -qE -e "$pattern" "$2" || echo "no line with: $pattern" ;;
      -*) grep -m1 -E -e "$pattern" "$2" || true ;;
    esac
  done < <(rules "$1")
}

run() {   # NAME: in namespaces of its own
  HERE=$folder/${1%/*} timeout "$seconds_max" tests/netns/isolate.sh bash "$folder/$1.sh" "$PWD/build/release"
}

tried=0 wrong=0
for script in "$folder"/{faults,attacks,mission}/*.sh; do
  name=${script#"$folder"/} name=${name%.sh} file=$out/$(tr / - <<<"${name}").txt
  rules "$name" >/dev/null || continue
  case "$name" in */run | */common | faults/05-*) continue ;; esac
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  tried=$((tried + 1)) status=0
  run "$name" >"$file" 2>&1 || status=$?
  said=$(judge "$name" "$file")
  [ "$status" != 124 ] || said="not done within $seconds_max s"
  [ -z "$said" ] || wrong=$((wrong + 1))
  printf '%-7s %s%s\n' "$([ -z "$said" ] && echo right || echo WRONG)" "$name" "${said:+: $(head -1 <<<"$said" | cut -c1-160)}"
done
echo "cases: tried=$tried wrong=$wrong"
[ "$tried" -gt 0 ] && [ "$wrong" = 0 ]
