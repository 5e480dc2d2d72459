#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# leak_victim.sh BUILD REPORT: a netns test that stops half-way, with everything a test can leave behind in place. Writes
# what it has (one `kind id` per line) to REPORT and waits to be killed; leak.sh does that.
# shellcheck source=tests/netns/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/netns/datacentre.sh
. "$netns_folder/datacentre.sh"
netns_begin "$1"
report=$2
failed_in="building the victim"

build_datacentre
start_datacentre
for vm in $(vms); do
  tsi "$(host_of "$vm")" create "$vm"
  tsi "$(host_of "$vm")" start "$vm"
done
ping_start endless blue1 "$(ip_of blue3)" 1000000
wait_for 5 "traffic" ping_reached endless 10
touch "$work/splitnve-leak-file" /run/splitnve/splitnve-leak-file

maps=$(find /sys/fs/bpf/splitnve -type f | while read -r pin; do
  bpftool -j map show pinned "$pin" 2>/dev/null | jq -r '.id // empty' || true   # a program's pin is no map
done)
{
  for ns in /run/netns/*; do echo "netns $(stat -Lc %i "$ns")"; done
  for map in $maps; do echo "map $map"; done
  bpftool -j prog show | jq -r --arg maps "$maps" \
    '($maps | split("\n") | map(tonumber)) as $ours
     | .[] | select((.map_ids // []) | any(. as $id | $ours | index($id))) | "program \(.id)"'
  echo "pidns $(stat -Lc %i /proc/self/ns/pid)"
  echo ready
} >"$report"
wait_for 600 "SIGKILL" false
