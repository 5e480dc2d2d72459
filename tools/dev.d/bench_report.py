#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_report.py [--check]: the figures of docs/performance.md, and its plots, from docs/performance/history.jsonl.

Writes what stands between the two markers of the document and one SVG per plot. --check writes nothing and fails if
something would change.
"""
import json
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDER = os.path.join(ROOT, "docs", "performance")
DOCUMENT = os.path.join(ROOT, "docs", "performance.md")
BEGIN, END = "<!-- begin: tools/dev bench report -->", "<!-- end: tools/dev bench report -->"
RUNS_SHOWN = 20

# bench, figure, caption of the plot; a bound is taken from the run itself
PLOTS = [("associate", "activates_per_second", "TSIs brought to Activated per second"),
         ("activate-latency", "p99_us", "one activation, 99th percentile, us"),
         ("storm", "recovery_seconds", "1,000 stations come back, seconds"),
         ("memory", "nnved_bytes_per_tsi", "nnved, octets per TSI"),
         ("keepalive", "cpu_percent", "keep-alives, % of a core"),
         ("datapath", "ratio_to_plain_udp64", "64-octet UDP, ratio to plain bridges")]


def runs():
    path = os.path.join(FOLDER, "history.jsonl")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def bound(run, key):
    """(least or None, most or None)"""
    return run["parameters"].get(key + "_min"), run["parameters"].get(key + "_max")


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def verdict(run, key):
    value = {**run["figures"], **run["ratios"]}[key]
    least, most = bound(run, key)
    if least is not None:
        return f"at least {number(least)}", "met" if value >= least else f"missed: {value / least:.0%} of it"
    return f"at most {number(most)}", "met" if value <= most else f"missed: {value / most:.1f} times as much"


def table(history):
    """The latest run of each bench, its figures with a bound; with the range of all its runs."""
    lines = ["| bench | figure | latest | range of the runs | target | |", "|---|---|---|---|---|---|"]
    for bench in dict.fromkeys(run["bench"] for run in history):
        of_bench = [run for run in history if run["bench"] == bench]
        latest = of_bench[-1]
        # only runs that were asked the same
        alike = [run for run in of_bench if run["parameters"] == latest["parameters"]]
        for key, value in {**latest["figures"], **latest["ratios"]}.items():
            if bound(latest, key) == (None, None):
                continue
            values = [v for run in alike if (v := {**run["figures"], **run["ratios"]}.get(key)) is not None]
            target, met = verdict(latest, key)
            spread = f"{number(min(values))} to {number(max(values))} ({len(values)})" if len(values) > 1 else "one run"
            lines.append(f"| `{bench}` | `{key}` | {number(value)} | {spread} | {target} | {met} |")
    return lines


def machine_line(history):
    latest = history[-1]
    machine = latest["machine"]
    loads = sorted(run["machine"]["load"] for run in history)
    return (f"{len(history)} runs, the latest of {latest['at']} at commit {latest['commit']}; {machine['processors']} processors, "
            f"kernel {machine['kernel']}; load of the machine when a run began: {loads[0]:.1f} to {loads[-1]:.1f}, "
            f"median {loads[len(loads) // 2]:.1f}. What else runs on it disturbs the figures.")


def svg(values, limits, caption):
    """A dot per run on a linear scale from zero, and a line at the target."""
    width, height, left, top, bottom = 520, 160, 70, 28, 18
    ceiling = 1.1 * max(values + [limit for limit in limits if limit is not None]) or 1.0

    def y(value):
        return top + (height - top - bottom) * (1 - value / ceiling)

    def x(index):
        return left + (width - left - 20) * (index + 0.5) / len(values)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             f'<text x="{left}" y="16" font-weight="bold">{caption}</text>',
             f'<line x1="{left}" y1="{y(0):.1f}" x2="{width - 10}" y2="{y(0):.1f}" stroke="black"/>',
             f'<text x="{left - 6}" y="{y(0):.1f}" text-anchor="end">0</text>',
             f'<text x="{left - 6}" y="{y(ceiling / 1.1) + 4:.1f}" text-anchor="end">{number(ceiling / 1.1)}</text>']
    for limit, word in zip(limits, ("least", "most")):
        if limit is not None:
            parts += [f'<line x1="{left}" y1="{y(limit):.1f}" x2="{width - 10}" y2="{y(limit):.1f}" stroke="#c00" stroke-dasharray="4 3"/>',
                      f'<text x="{width - 10}" y="{y(limit) - 4:.1f}" text-anchor="end" fill="#c00">at {word} {number(limit)}</text>']
    parts += [f'<circle cx="{x(i):.1f}" cy="{y(value):.1f}" r="4" fill="#246"><title>{number(value)}</title></circle>'
              for i, value in enumerate(values)]
    return "\n".join(parts + ["</svg>", ""])


def plots(history):
    """{file name: text} and the lines that show them."""
    files, lines = {}, []
    for bench, key, caption in PLOTS:
        of_bench = [run for run in history if run["bench"] == bench]
        alike = [run for run in of_bench if run["parameters"] == of_bench[-1]["parameters"]][-RUNS_SHOWN:]
        values = [{**run["figures"], **run["ratios"]}[key] for run in alike]
        if not values:
            continue
        name = f"{bench}.svg"
        files[name] = svg(values, bound(alike[-1], key), f"{caption} ({key})")
        lines.append(f"![{caption}](performance/{name})")
    return files, lines


def main():
    history = runs()
    files, shown = plots(history)
    lines = [machine_line(history), "", *table(history), "", *shown] if history else ["Nothing is recorded yet."]
    with open(DOCUMENT, encoding="utf-8") as file:
        before = file.read()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    if not pattern.search(before):
        sys.exit(f"bench_report: {DOCUMENT} lacks its markers: {BEGIN} and {END}")
    after = pattern.sub(lambda _: "\n".join([BEGIN, *lines, END]), before)
    outputs = {DOCUMENT: after, **{os.path.join(FOLDER, name): text for name, text in files.items()}}
    stale = [path for path, text in outputs.items() if not os.path.exists(path) or open(path, encoding="utf-8").read() != text]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit("bench_report: not as the history says: " + ", ".join(os.path.relpath(path, ROOT) for path in stale))
        return
    for path in stale:
        with open(path, "w", encoding="utf-8") as file:
            file.write(outputs[path])
    print(f"bench_report: {len(history)} runs, {len(stale)} files written")


if __name__ == "__main__":
    main()
