#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verb: mutate [--list] [NAME...]                          take features out one by one: the named test must fail
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 tools/dev.d/mutate.py "$@"
