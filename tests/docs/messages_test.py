#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/messages.md and the sources name the same ids: events, notices, machines of transitions, reasons of refusals.

Reasons also agree in VDP code and HARD. A call whose id this script cannot read is a failure, not silence.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/messages.md").read_text()
complaints = []


def sources():
    for path in sorted((ROOT / "src").rglob("*.[ch]pp")):
        text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.M)
        yield path.relative_to(ROOT).as_posix(), text


def after(text, start):
    """What stands in the bracket that opens right before `start`, without what is nested in braces."""
    depth, braces, out = 1, 0, []
    quoted = False
    for i in range(start, len(text)):
        c = text[i]
        if c == '"' and text[i - 1] != "\\":
            quoted = not quoted
        if not quoted:
            depth += c in "({" and 1 or (c in ")}" and -1 or 0)
            braces += c == "{"
        if depth == 0:
            break
        if depth == 1 and not (c in ")}"):
            out.append(c)
    return "".join(out)


def arguments(text):
    """Top-level arguments; a comma within a string does not part them."""
    parts, quoted = [""], False
    for i, c in enumerate(text):
        if c == '"' and (i == 0 or text[i - 1] != "\\"):
            quoted = not quoted
        if c == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]


# Where an id is passed through, not chosen.
PASSED_ON = {("src/libhost/log.cpp", "notice.id"), ("src/nnved/journal.hpp", "id"), ("src/tnved/agent_impl.hpp", "id"),
             ("src/nnved/journal.hpp", "machine")}


def collect(pattern, position):
    """Literals in the argument `position` of every call that `pattern` finds (it ends with the opening bracket)."""
    ids = {}
    for name, text in sources():
        for call in re.finditer(pattern, text):
            parts = arguments(after(text, call.end()))
            if len(parts) <= position:
                continue
            literals = re.findall(r'(?<!== )"([^"]+)"', parts[position])
            for literal in literals:
                ids.setdefault(literal, name)
            declared = re.match(r"(const )?(char|std::string|agent::Notice|host::|LogLevel |LogLevel$)", parts[0])
            if not literals and not declared and (name, parts[position]) not in PASSED_ON:
                line = text[:call.start()].count("\n") + 1
                complaints.append(f"{name}: the id of this call cannot be read, near line {line}: {parts[position]}")
    return ids


def section(title):
    found = re.search(rf"^## {title}.*?\n(.*?)(?=^## |\Z)", DOCUMENT, re.M | re.S)
    if not found:
        complaints.append(f"docs/messages.md has no section '{title}'")
        return []
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines() if line.startswith("| `")]
    names = [row[0].strip("`") for row in rows]
    for name in {n for n in names if names.count(n) > 1}:
        complaints.append(f"docs/messages.md: '{name}' stands twice in '{title}'")
    for row in rows:
        if not row[-1]:
            complaints.append(f"docs/messages.md: {row[0]} does not say what to do")
    return [(row[0].strip("`"), row[1:]) for row in rows]


def compare(what, in_code, in_document):
    for name in sorted(set(in_code) - set(in_document)):
        complaints.append(f"{what} '{name}' ({in_code[name]}) does not stand in docs/messages.md")
    for name in sorted(set(in_document) - set(in_code)):
        complaints.append(f"{what} '{name}' of docs/messages.md does not stand in the code")


def reasons_of_code():
    text = (ROOT / "src/nnved/reason.cpp").read_text()
    codec = (ROOT / "include/splitnve/vdp/codec.hpp").read_text()
    codes = dict(re.findall(r"(k\w+) = (\d+)", re.search(r"enum class Code[^{]*\{(.*?)\}", codec, re.S)[1]))
    found = re.findall(r'constexpr ReasonInfo k\w+\{\s*Code::(k\w+),\s*(kHard|kSoft),\s*"([^"]+)"', text)
    if len(found) != len(re.findall(r"constexpr ReasonInfo", text)):
        complaints.append("src/nnved/reason.cpp: not every ReasonInfo could be read")
    return {name: (codes[code], "yes" if hard == "kHard" else "no") for code, hard, name in found}


def main():
    events = collect(r"(?<!::)\b(?:log_?|this)?(?:\.|->)?event\((?=\s*(?:host::)?(?:LogLevel|level_of))", 1)
    notices = collect(r"\bnotice\((?!const (?:char|agent))", 0)
    notices.update(collect(r"\bNotice\{", 0))
    machines = collect(r"\btransition\((?!const )", 0)
    machines.update(collect(r"\bTransition\{", 0))
    reasons = reasons_of_code()
    machines = {name: where for name, where in machines.items() if name}

    documented = dict(section("Events of both daemons"))
    for daemon in ("nnved", "tnved"):
        documented.update(section(f"Notices of {daemon}"))
    compare("the message", {**events, **notices}, documented)
    compare("the machine", machines, dict(section("Transitions")))
    in_document = dict(section("Reasons of a refusal"))
    compare("the reason", {name: "src/nnved/reason.cpp" for name in reasons}, in_document)
    for name in sorted(set(reasons) & set(in_document)):
        if tuple(in_document[name][:2]) != reasons[name]:
            complaints.append(f"the reason '{name}' has code and HARD {reasons[name]}, documented as {tuple(in_document[name][:2])}")

    for minimum, what, found in ((8, "events", events), (10, "notices", notices), (5, "machines", machines), (20, "reasons", reasons)):
        if len(found) < minimum:
            complaints.append(f"only {len(found)} {what} found in the sources: has their form changed?")
    for complaint in complaints:
        print(f"messages: {complaint}")
    if not complaints:
        print(f"messages: {len(events)} events, {len(notices)} notices, {len(machines)} machines, {len(reasons)} reasons agree")
    return 1 if complaints else 0


sys.exit(main())
