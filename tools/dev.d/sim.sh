#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: sim [--hosts H] [--loss P] [--seed S] ...          many hypervisors on a virtual clock
set -euo pipefail
cd "$(dirname "$0")/../.."
tools/dev build splitnve-sim
exec build/release/tests/sim/splitnve-sim "$@"
