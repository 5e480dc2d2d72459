#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over our sources; every finding is an error. `tools/dev lint` runs it.

lint.py [--list] [--fresh] [--since COMMIT] [--all | FILE...]

Without files: every source that changed, and every source that includes a header that changed, since COMMIT, or else
since where this branch left origin/main, or else (on main itself, or in a clone that has one branch only) within the
last 24 hours of commits; everything if the history is shorter, or if .clang-tidy itself changed. A source that was
clean is remembered by a hash of all it consists of, so what did not change costs nothing, in another clone either;
headers of the system are not part of it: --fresh forgets. --list only says which sources would be looked at.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(os.environ.get("SPLITNVE_LINT_ROOT", pathlib.Path(__file__).resolve().parents[2]))
BUILD = ROOT / "build/release"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "split-nve/lint"
TIDY = "clang-tidy-19"
SOURCES = ("src/*.cpp", "tools/*.cpp")
WINDOW_SECONDS = 24 * 3600
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.M)


def git(*arguments):
    """The lines of a git command; None if it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else None


def is_commit(name):
    return git("rev-parse", "-q", "--verify", f"{name}^{{commit}}") is not None


def base_commit():
    """(commit or None for everything, words)."""
    head = git("rev-parse", "-q", "--verify", "HEAD^{commit}")
    if head is None:
        return None, "there is no commit yet"
    fork = git("merge-base", "HEAD", "origin/main") if is_commit("origin/main") else None
    if fork and fork != head:
        return fork[0], f"since {fork[0][:10]}, where origin/main was left"
    newest = int(git("log", "-1", "--format=%ct", "HEAD")[0])
    older = git("rev-list", "-1", "--first-parent", f"--before={newest - WINDOW_SECONDS}", "HEAD")
    if older:
        return older[0], f"since {older[0][:10]}, 24 hours before the last commit"
    return None, "the history is shorter than 24 hours"


def changed_files(base):
    return set(git("diff", "--name-only", base) or []) | set(git("ls-files", "--others", "--exclude-standard") or [])


class Tree:
    """The sources as the compiler sees them: how each is compiled, and which of our files it consists of."""

    def __init__(self):
        self.commands = {}
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            path = pathlib.Path(entry["file"])
            if path.is_relative_to(ROOT):
                self.commands[str(path.relative_to(ROOT))] = entry["command"]
        self.included = {}
        # A folder may differ from the root in what it wants.
        names = git("ls-files", "--cached", "--others", "--exclude-standard", ".clang-tidy", "*/.clang-tidy")
        self.configuration = b"".join((ROOT / name).read_bytes() for name in sorted(names or []))

    def folders(self, source):
        """Where the compiler looks for headers of ours."""
        found = re.findall(r"(?:-I|-isystem) ?(\S+)", self.commands.get(source, ""))
        return [folder for folder in map(pathlib.Path, found) if folder.is_relative_to(ROOT)]

    def includes_of(self, path, folders):
        """The files of ours that one file names; what is generated counts, too, once it is there."""
        key = (path, tuple(folders))
        if key not in self.included:
            found = []
            for name in INCLUDE.findall(path.read_text(errors="replace")):
                place = next((f / name for f in [path.parent, *folders] if (f / name).is_file()), None)
                if place:
                    found.append(pathlib.Path(os.path.normpath(place)))
            self.included[key] = found
        return self.included[key]

    def parts(self, source):
        """The source and every file of ours that it includes, however deep; in a stable order."""
        folders = self.folders(source)
        seen, waiting = set(), [ROOT / source]
        while waiting:
            path = waiting.pop()
            if path not in seen and path.is_relative_to(ROOT):
                seen.add(path)
                waiting.extend(self.includes_of(path, folders))
        return sorted(str(path.relative_to(ROOT)) for path in seen)

    def digest(self, source, version):
        """Names everything that decides whether the source is clean."""
        command = self.commands.get(source, "").replace(str(ROOT), ".")
        digest = hashlib.sha256(f"{version}\0{command}\0".encode() + self.configuration)
        for part in self.parts(source):
            digest.update(part.encode() + b"\0" + (ROOT / part).read_bytes() + b"\0")
        return digest.hexdigest()


def choose(options, tree):
    """(sources, words)."""
    if options.files:
        return options.files, "as named"
    tracked = sorted(name for name in git("ls-files", "--cached", "--others", "--exclude-standard", *SOURCES) or []
                     if (ROOT / name).is_file())
    if options.all:
        return tracked, "all"
    if options.since:
        if not is_commit(options.since):
            sys.exit(f"lint: no such commit: {options.since}")
        base, words = options.since, f"since {options.since}"
    else:
        base, words = base_commit()
    if base is None:
        return tracked, f"all: {words}"
    changed = changed_files(base)
    if any(pathlib.PurePath(name).name == ".clang-tidy" for name in changed):
        return tracked, f"all: .clang-tidy changed {words}"
    return [source for source in tracked if changed & set(tree.parts(source))], f"changed {words}, with includers"


def look_at(source):
    """(source, clean, what clang-tidy says)."""
    done = subprocess.run([TIDY, "--quiet", "--warnings-as-errors=*", "-p", str(BUILD), source], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    return source, done.returncode == 0, done.stdout or done.stderr


def new_findings(text, said):
    """Each finding once, though every includer of a header repeats it."""
    blocks = re.split(r"^(?=\S+:\d+:\d+: (?:error|warning|fatal error):)", text.replace(f"{ROOT}/", ""), flags=re.M)
    fresh = [block for block in blocks if block.strip() and block not in said]
    said.update(fresh)
    return "".join(fresh)


def main():
    parser = argparse.ArgumentParser(prog="tools/dev lint")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--since", metavar="COMMIT")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    tree = Tree()
    sources, words = choose(options, tree)
    if options.list:
        print(*sources, sep="\n")
        return 0
    unknown = [source for source in sources if source not in tree.commands]
    if unknown:
        print(f"lint: not compiled, so not looked at: {' '.join(unknown)}: name it in a CMakeLists.txt, or remove it",
              file=sys.stderr)
        return 1
    version = subprocess.run([TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    CACHE.mkdir(parents=True, exist_ok=True)
    stamps = {source: CACHE / tree.digest(source, version) for source in sources}
    waiting = [source for source in sources if options.fresh or not stamps[source].exists()]
    print(f"lint: {len(sources)} sources ({words}), {len(waiting)} not known to be clean", flush=True)
    faulty, said = [], set()
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("SPLITNVE_JOBS", os.cpu_count() or 1))) as pool:
        for source, clean, text in pool.map(look_at, waiting):
            if clean:
                stamps[source].touch()
            else:
                faulty.append(source)
                print(new_findings(text, said), end="", flush=True)
    if faulty:
        print(f"lint: findings in {len(faulty)} sources: {' '.join(faulty)}", file=sys.stderr)
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
