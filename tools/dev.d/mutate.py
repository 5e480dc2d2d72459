#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mutation testing: each file tests/mutations/NAME.mutation takes one feature out of the code; its test must then fail.

A mutation that no longer applies, does not build, or leaves its test passing is a failure of this program. The work
tree is not touched: mutations are made in a clone beside the build, which shares the compiler cache.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "mutations"
CLONE = ROOT / "build" / "mutate"
TEST_SECONDS_MAX = 900


GROUPS = "ABCDEFGH"


class Mutation:
    """One file of tests/mutations. Raises ValueError, naming the file, if it is malformed.

    A line `# ids: C5 C10` names the rows of docs/conformance.md whose feature it takes out; `# group: C` counts it for a
    group of requirements without proving a row of it.
    """

    def __init__(self, path):
        self.name = path.stem
        text = path.read_text()
        head, *parts = re.split(r"^--- (find|put|build|test)$\n", text, flags=re.M)
        sections = dict(zip(parts[::2], parts[1::2]))
        comments = [line[1:].strip() for line in head.splitlines() if line.startswith("#")]
        self.ids = [word for line in comments if line.startswith("ids:") for word in line[4:].split()]
        groups = [word for line in comments if line.startswith("group:") for word in line[6:].split()]
        self.groups = {word[0] for word in self.ids} | set(groups)
        self.what = " ".join(line for line in comments if not line.startswith(("ids:", "group:")))
        files = [line[5:].strip() for line in head.splitlines() if line.startswith("file:")]
        missing = [name for name in ("find", "put", "build", "test") if name not in sections]
        if missing or len(files) != 1 or not self.what:
            raise ValueError(f"{path.name}: wants one line '# what', one 'file:', and sections find, put, build, test")
        if not self.groups <= set(GROUPS):
            raise ValueError(f"{path.name}: groups are {GROUPS}")
        self.file = files[0]
        self.find, self.put = sections["find"], sections["put"]
        self.targets = sections["build"].split()
        self.test = sections["test"].strip()

    def apply(self, tree):
        """Changes the file below `tree`. Raises ValueError if the text is not there exactly once."""
        path = tree / self.file
        text = path.read_text()
        found = text.count(self.find)
        if found != 1:
            raise ValueError(f"its text occurs {found} times in {self.file}; correct the mutation")
        path.write_text(text.replace(self.find, self.put))


def run(command, log, seconds=None):
    """Runs a shell command in the clone, output to `log`. Returns its status; 124 when it took too long."""
    with open(log, "ab") as out:
        out.write(f"$ {command}\n".encode())
        out.flush()
        try:
            return subprocess.run(command, shell=True, cwd=CLONE, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                  timeout=seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            return 124


def refresh_clone():
    """The clone holds what the work tree holds, uncommitted changes too; its build folder stays."""
    CLONE.mkdir(parents=True, exist_ok=True)
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                           capture_output=True, check=True).stdout.decode().split("\0")
    wanted = {name for name in names if name and (ROOT / name).is_file()}
    for name in wanted:
        source, target = ROOT / name, CLONE / name
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue  # keeps its time, so that nothing is built twice
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        os.utime(target)
    for path in CLONE.rglob("*"):
        relative = path.relative_to(CLONE)
        if path.is_file() and relative.parts[0] not in ("build", ".git") and str(relative) not in wanted:
            path.unlink()
    if not (CLONE / ".git").exists():  # tools/dev asks git for the project's files
        subprocess.run("git init -q && git add -A", shell=True, cwd=CLONE, check=True)


def judge(mutation, log):
    """Returns (ok, words)."""
    try:
        mutation.apply(CLONE)
    except (OSError, ValueError) as error:
        return False, str(error)
    if mutation.targets and run(f"tools/dev build {' '.join(mutation.targets)}", log):
        return False, f"does not build, which proves nothing: see {log}"
    status = run(mutation.test, log, TEST_SECONDS_MAX)
    if status == 0:
        return False, f"NOT NOTICED: the test passes without the feature: {mutation.test}"
    if status in (126, 127):
        return False, f"the test cannot be run (status {status}): see {log}"
    return True, f"noticed (status {status})"


def per_group(mutations):
    """How many there are for each group of requirements; one may count for several."""
    return " ".join(f"{group}={sum(group in mutation.groups for mutation in mutations)}" for group in GROUPS)


def main(arguments):
    mutations = [Mutation(path) for path in sorted(FOLDER.glob("*.mutation"))]
    if arguments == ["--list"]:
        for mutation in mutations:
            print(f"{mutation.name:32} {' '.join(mutation.ids):12} {mutation.file}: {mutation.what}")
        print(f"mutate: groups {per_group(mutations)}")
        return 0
    by_name = {mutation.name: mutation for mutation in mutations}
    unknown = set(arguments) - by_name.keys()
    if unknown:
        print(f"mutate: no such mutation: {', '.join(sorted(unknown))}; --list names them", file=sys.stderr)
        return 2
    chosen = [by_name[name] for name in arguments] or mutations
    logs = ROOT / "build" / "mutate-logs"
    logs.mkdir(parents=True, exist_ok=True)
    noticed = []
    for mutation in chosen:
        log = logs / f"{mutation.name}.log"
        log.unlink(missing_ok=True)
        refresh_clone()
        ok, words = judge(mutation, log)
        if ok:
            noticed.append(mutation)
        print(f"{'ok   ' if ok else 'FAIL '} {mutation.name}: {mutation.what}: {words}", flush=True)
    refresh_clone()
    print(f"mutate: noticed per group {per_group(noticed)}")
    print(f"mutate: mutations={len(chosen)} noticed={len(noticed)} not_noticed={len(chosen) - len(noticed)}")
    return 1 if len(noticed) < len(chosen) or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
