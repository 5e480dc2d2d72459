#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cycles.py PLAN: create, start and shut TSIs down, and compare what is left with what was there before.

PLAN is JSON: {cycles, warm, hypervisor, switch (control sockets), pids: {name: pid}, pins: [folder], vns}. A first round
of `warm` cycles lets tables and allocators reach their size. Prints every figure before and after; exit 1 if one
differs, or if a daemon's memory grew by more than 2 MiB.
"""
import glob
import json
import subprocess
import sys

from chaos import ask, Client, wait_until

RSS_GROWTH_KIB_MAX = 2048


def entries(folder):
    count = 0
    for pin in sorted(glob.glob(folder + "/**/*", recursive=True)):
        shown = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", pin], capture_output=True, text=True)
        rows = json.loads(shown.stdout) if shown.returncode == 0 and shown.stdout.startswith("[") else []
        # Arrays, such as the drop counters, have all their entries always.
        count += len(rows)
    return count


def rss_kib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def figures(plan):
    found = {}
    for folder in plan["pins"]:
        found["map entries " + folder.rstrip("/").rsplit("/", 1)[1]] = entries(folder)
    for side in ("hypervisor", "switch"):
        rows, audit = ask(plan[side], "audit")
        found[side + " differences in " + ", ".join(audit["compared"])] = len(rows)
        found[side + " TSIs"] = len(ask(plan[side], "tsi.show")[0])
        found[side + " VNs"] = len(ask(plan[side], "vn.show")[0])
    found["VIDs free"] = sum(row["vids_free"] for row in ask(plan["switch"], "port.show")[0])
    return found


def cycle(client, plan, n):
    vn = plan["vns"][n % len(plan["vns"])]
    vsi = f"c7c1e000-0000-4000-8000-{n:012x}"
    client.call("tsi.create", vsi=vsi, vn=vn, macs=[f"02:cc:01:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"],
                interface="trunk0", guest_tag=100 + n % len(plan["vns"]))
    client.call("tsi.start", vsi=vsi)
    client.call("tsi.shutdown", vsi=vsi)


def main():
    plan = json.load(open(sys.argv[1]))
    client = Client(plan["hypervisor"])
    for n in range(plan["warm"]):
        cycle(client, plan, n)
    before = None

    def rested():  # released VIDs rest for a while
        nonlocal before
        now = figures(plan)
        same, before = now == before, now
        return same and now["switch TSIs"] == plan["tsis"]

    wait_until(60, "nothing changes any longer", rested)
    memory = {name: rss_kib(pid) for name, pid in plan["pids"].items()}
    for n in range(plan["cycles"]):
        cycle(client, plan, plan["warm"] + n)
    try:
        wait_until(60, "all is as before", lambda: figures(plan) == before)
    except SystemExit:
        pass  # said below, figure by figure
    after = figures(plan)
    bad = 0
    for name in before:
        print(f"{name}: {before[name]} before, {after[name]} after")
        bad += before[name] != after[name]
    for name, pid in plan["pids"].items():
        grown = rss_kib(pid) - memory[name]
        print(f"memory of {name}: {memory[name]} KiB before, {memory[name] + grown} KiB after")
        bad += grown > RSS_GROWTH_KIB_MAX
    print(f"cycles: cycles={plan['cycles']} figures_changed={bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
