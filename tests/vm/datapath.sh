#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# datapath.sh BUILD: the eBPF programs under Debian's own kernel, which is older than most: it takes them, and the tests that depend
# on how helpers behave there pass. Runs in the guest of `tools/dev vm`.
set -euo pipefail
build=${1:?usage: datapath.sh BUILD}
echo "kernel $(uname -r)"
modprobe -a tun veth vxlan cls_bpf sch_ingress bridge 2>/dev/null || true
for test in bpf_checksum_test bpf_closed_test bpf_switch_programs_test; do
  [ -x "$build/tests/libhost/$test" ] || { echo "not built: $test (tools/dev build $test)"; exit 1; }
  "$build/tests/libhost/$test" --gtest_brief=1
done
echo "datapath: passed"
