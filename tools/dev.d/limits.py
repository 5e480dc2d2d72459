#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/limits.md from the sources: every documented numeric constant, and the timers that follow from the exponents.

limits.py          writes the document
limits.py --check  exits 1 and says what differs when the document is stale
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/limits.md"

# Glob -> title, in the order of the document. A constant counts when a `///` comment gives its reason; a following
# constant without a blank line between shares the reason. Bit patterns and layout versions are no limits. Headers say
# what others may rely on; of the sources only those whose limits an operator meets.
GROUPS = [
    ("include/splitnve/**/*.hpp", "Protocol, tables and edge"),
    ("src/nnved/*.hpp", "nnved"),
    ("src/tnved/*.hpp", "tnved"),
    ("src/libhost/log.cpp", "Log"),
    ("src/libhost/paths.cpp", "Names"),
]
CONSTANT = re.compile(
    r"^(?:inline )?constexpr (?:std::)?(?P<type>Duration|size_t|int|unsigned|uint(?:8|16|32|64)_t) (?P<name>k\w+) = (?P<value>[^;]+);")
NO_LIMIT = re.compile(r"Version$|Schema$|Id$|Handle$|PortFirst$|IdMax$|IndexMax$")
UNITS = {"nanoseconds": 1e-9, "microseconds": 1e-6, "milliseconds": 1e-3, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0}


def human_time(seconds):
    for unit, size in (("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{round(seconds / size, 2):g} {unit}"
    return f"{round(seconds * 1e6, 2):g} us"


def evaluate(text, known):
    """The value of a constant's initializer as (number, is_time)."""
    is_time = "chrono::" in text
    text = re.sub(r"std::chrono::(\w+)\(([^()]*)\)", lambda m: f"(({m[2]}) * {UNITS[m[1]]})", text)

    def name(match):
        value, time = known[match[1]]
        nonlocal is_time
        is_time = is_time or time
        return repr(value)

    text = re.sub(r"(?:\w+::)*(k[A-Z]\w*)", name, text)
    text = re.sub(r"\b(\d+)[uUlL]+\b", r"\1", text)
    if not re.fullmatch(r"[\d\s.()+*/e-]+", text):
        raise ValueError(text)
    return eval(text, {"__builtins__": {}}), is_time  # digits and operators only, checked above


def constants_of(path):
    """(name, initializer, reason) of each documented constant of a file."""
    reason, collecting = "", False
    for line in path.read_text().splitlines():
        comment = re.match(r"^/// ?(.*)", line)
        if comment:
            reason = f"{reason} {comment[1]}".strip() if collecting else comment[1]
            collecting = True
            continue
        collecting = False
        found = CONSTANT.match(line)
        if not found:
            reason = ""
            continue
        if NO_LIMIT.search(found["name"]) or re.search(r"^0.|<<", found["value"]):
            reason = ""
        if reason:
            yield found["name"], found["value"], reason


def configuration_keys():
    """Constant -> the keys that set it, with the file's role, from the readers of the configurations."""
    keys = {}
    for role in ("nnved", "tnved"):
        text = (ROOT / f"src/{role}/config.cpp").read_text()
        for call in re.finditer(r"\b(?:u32|milliseconds|text|boolean)\(\s*\"(\w+)\"([^;]*);", text):
            names = re.findall(r"limits::(k\w+)", call[2])
            if names:  # the last argument is the default
                keys.setdefault(names[-1], []).append(f"{role} `{call[1]}`")
    return keys


def limits_section():
    keys = configuration_keys()
    known, found = {}, []
    for glob, title in GROUPS:
        rows = []
        for path in sorted(ROOT.glob(glob), key=lambda p: (p.name != "limits.hpp", p)):
            for name, value, reason in constants_of(path):
                number, is_time = evaluate(value, known)
                known[name] = (number, is_time)
                rows.append((name, human_time(number) if is_time else f"{number:g}" if number % 1 else str(int(number)),
                             ", ".join(keys.get(name, [])), reason, path.relative_to(ROOT)))
        if rows:
            found.append((title, rows))
    if sum(len(rows) for _, rows in found) < 20:
        raise SystemExit("limits.py: fewer than 20 constants found: did their form change?")
    lines = []
    for title, rows in found:
        lines += [f"### {title}", "", "| limit | default | configured by | reason | where |", "|---|---|---|---|---|"]
        lines += [f"| `{n}` | {v} | {k or '-'} | {r.replace('|', chr(92) + '|')} | {w.as_posix()} |" for n, v, k, r, w in rows]
        lines.append("")
    return lines


# --- timers ---

def field(text, name):
    found = re.search(rf"unsigned {name} = (\d+);", text)
    if not found:
        raise SystemExit(f"limits.py: no default of {name}")
    return int(found[1])


def units(exponent):
    return 10e-6 * 2**exponent


# The formula as it stands in the code, so that a changed one is noticed -> (text, value).
FORMULAS = {
    "std::chrono::microseconds(10) * (1LL << retransmission_exponent)":
        ("10 us x 2^RTE", lambda r, rte, rwd, rka: units(rte)),
    "std::max<Duration>(std::chrono::seconds(1), 2 * (1 + static_cast<int>(retries_max)) * ack_timer())":
        ("max(1 s, 2 (1 + R) ack timers)", lambda r, rte, rwd, rka: max(1.0, 2 * (1 + r) * units(rte))),
    "(units(retransmission_exponent) * (1 + 2 * static_cast<int>(retries_max)) + units(resource_wait_exponent)) * 3 / 2":
        ("1.5 x 10 us x [(1 + 2R) 2^RTE + 2^RWD]",
         lambda r, rte, rwd, rka: 1.5 * ((1 + 2 * r) * units(rte) + units(rwd))),
    "units(keepalive_exponent)":
        ("10 us x 2^RKA", lambda r, rte, rwd, rka: units(rka)),
    "(units(retransmission_exponent) * (1 + 2 * static_cast<int>(retries_max)) + units(keepalive_exponent)) * 3 / 2":
        ("1.5 x 10 us x [(1 + 2R) 2^RTE + 2^RKA]",
         lambda r, rte, rwd, rka: 1.5 * ((1 + 2 * r) * units(rte) + units(rka))),
}
TIMERS = [
    ("ecp/session.hpp", "ack_timer", "ECP: wait for the acknowledgement"),
    ("ecp/session.hpp", "duplicate_window", "ECP: an identical ECPDU is a duplicate (S11)"),
    ("vdp/timers.hpp", "response_wait", "station: wait for the answer, from the first sending on"),
    ("vdp/timers.hpp", "keepalive_interval", "station: repeat a settled association"),
    ("vdp/timers.hpp", "keepalive_timeout", "bridge: an entry lives without being renewed (S2)"),
]


def timers_section():
    headers = {name: (ROOT / "include/splitnve" / name).read_text() for name in ("ecp/session.hpp", "vdp/timers.hpp")}
    vdp = headers["vdp/timers.hpp"]
    exponents = [field(vdp, n) for n in ("retries_max", "retransmission_exponent", "resource_wait_exponent", "keepalive_exponent")]
    settings = (ROOT / "src/daemon/settings.cpp").read_text()
    lines = ["| exponent | key | range | default | meaning |", "|---|---|---|---|---|"]
    meanings = [("R", "retries", "ecp", "retransmissions of one ECPDU"), ("RTE", "rte", "ecp", "ECP ack timer"),
                ("RWD", "rwd", "vdp", "how long the bridge may take for resources"), ("RKA", "rka", "vdp", "keep-alive")]
    for (symbol, key, section, meaning), default in zip(meanings, exponents):
        found = re.search(rf"u32\(\"{key}\", (\d+), (\d+), (\d+)\)", settings)
        if not found:
            raise SystemExit(f"limits.py: settings.cpp does not read {key}")
        if int(found[3]) != default:
            raise SystemExit(f"limits.py: {key} defaults to {found[3]} in settings.cpp and to {default} in timers.hpp")
        lines.append(f"| {symbol} | `{section}.{key}` | {found[1]}..{found[2]} | {default} | {meaning} |")
    lines += ["", "| timer | value | with the defaults | where |", "|---|---|---|---|"]
    for header, function, meaning in TIMERS:
        body = re.search(rf"Duration {function}\(\) const \{{\s*return (.*?);\s*\}}", headers[header], re.S)
        formula = FORMULAS.get(" ".join(body[1].split())) if body else None
        if formula is None:
            raise SystemExit(f"limits.py: {function}() in {header} is not the formula that this script knows")
        lines.append(f"| {meaning} | {formula[0]} | {human_time(formula[1](*exponents))} | `{function}()`, include/splitnve/{header} |")
    ack = [f"RTE {rte}: {human_time(units(rte))}" for rte in (4, 8, 14, 20)]
    return lines + ["", "The ack timer by exponent: " + "; ".join(ack) + ".", ""]


def document():
    head = ["<!-- Generated by tools/dev.d/limits.py from the sources; do not edit. -->", "# Limits and timers", "",
            "Every bound of the daemons with its default and its reason. A key in \"configured by\" stands in the daemon's",
            "configuration file (conf/*.jsonc); a limit without one is fixed at compile time.", "", "## Timers", ""]
    return "\n".join(head + timers_section() + ["## Limits", ""] + limits_section()).rstrip() + "\n"


def main():
    wanted = document()
    if sys.argv[1:] == ["--check"]:
        present = DOCUMENT.read_text() if DOCUMENT.exists() else ""
        if present == wanted:
            print(f"limits: {wanted.count('| `k')} limits, the document is fresh")
            return 0
        before, after = present.splitlines(), wanted.splitlines()
        for sign, line in [("-", x) for x in before if x not in after] + [("+", x) for x in after if x not in before]:
            print(sign + line)
        print("limits: docs/limits.md is stale: run tools/dev.d/limits.py")
        return 1
    if sys.argv[1:]:
        print(__doc__)
        return 2
    DOCUMENT.write_text(wanted)
    return 0


sys.exit(main())
