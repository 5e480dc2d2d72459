#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The protocol libraries and the two agents are pure: no Asio, socket, JSON, logger or clock, and no layer above them.
# Looks at the includes themselves and at what they pull in from our own headers.
set -euo pipefail
cd "$(dirname "$0")/.."

# The edge of a daemon: the files that may touch the operating system.
edge='/(main|config(_[a-z]+)?|control(_[a-z]+)?|embedded_authority)\.cpp$|/(config_file|control(_[a-z]+)?|embedded_authority)\.hpp$'
pure() {
  find include/splitnve/{auth,base,ecp,vdp,evb,agent,datapath} src/{base,libauth,libecp,libvdp,libevb,agent,nnved,tnved} \
    -name '*.[ch]pp' | grep -Ev "$edge" | sort
}

forbidden='boost/asio|nlohmann|spdlog|fmt/|CLI/|sqlite3|bpf/|pcap|systemd/'            # libraries of the edge
forbidden+='|sys/|net/|netinet/|linux/|arpa/|unistd\.h|fcntl\.h|poll\.h|signal\.h'      # the operating system
forbidden+='|iostream|fstream|filesystem|thread|mutex|condition_variable|future' # I/O, threads
forbidden+='|splitnve/host/|daemon/|config_file\.hpp|control\.hpp'                      # layers above

status=0
complain() { echo "layering: $1"; status=1; }

# The text of addresses (inet_pton, inet_ntop) is no socket.
allowed='^src/base/.*<arpa/inet\.h>'

count=0
while read -r file; do
  count=$((count + 1))
  while read -r hit; do
    [[ $file:$hit =~ $allowed ]] || complain "$file:$hit"
  done < <(grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($forbidden)" "$file")
  while read -r hit; do complain "$file:$hit (time is an argument)"; done < <(
    grep -nE '(system_clock|steady_clock|high_resolution_clock)::now|clock_gettime|gettimeofday|[^_a-z]time\(' "$file")
  while read -r hit; do complain "$file:$hit (octets are read by a bounded reader)"; done < <(
    grep -n 'reinterpret_cast' "$file")
  while read -r hit; do complain "$file:$hit (a seed is an argument)"; done < <(grep -n 'random_device' "$file")
  case "$file" in
    src/lib* | src/base/* | include/*)
      while read -r hit; do complain "$file:$hit (an agent is above a library)"; done < <(
        grep -nE '#[[:space:]]*include[[:space:]]*"(nnved|tnved)/' "$file") ;;
  esac
  case "$file" in
    src/base/* | src/libecp/* | src/libevb/* | include/splitnve/base/* | include/splitnve/ecp/* | include/splitnve/evb/*)
      while read -r hit; do complain "$file:$hit (below VDP)"; done < <(
        grep -nE '#[[:space:]]*include[[:space:]]*"splitnve/(vdp|agent)/' "$file") ;;
  esac
done < <(pure)

[ "$count" -ge 20 ] || complain "only $count pure files found: is this the right folder?"
[ "$status" = 0 ] && echo "layering: $count files of libecp, libvdp, libevb and the agents are pure"
exit "$status"
