#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which sources `tools/dev lint` looks at: what changed and whatever includes it, also in a clone that has one branch and
# no origin/main. In a small repository of its own; clang-tidy is not run.
set -euo pipefail
lint=$(cd "$(dirname "$0")/../.." && pwd)/tools/dev.d/lint.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.org
status=0

# make_tree DIR: two sources, one of which includes a header by way of another.
make_tree() {
  mkdir -p "$1/src" "$1/include" "$1/build/release"
  echo build >"$1/.gitignore"
  echo 'Checks: -*' >"$1/.clang-tidy"
  echo 'int inner();' >"$1/include/inner.hpp"
  echo '#include "inner.hpp"' >"$1/include/outer.hpp"
  echo '#include "outer.hpp"' >"$1/src/one.cpp"
  echo 'int two();' >"$1/src/two.cpp"
  compile_database "$1"
}
compile_database() {
  mkdir -p "$1/build/release"
  cat >"$1/build/release/compile_commands.json" <<JSON
[{"directory": "$1", "command": "c++ -I$1/include -c $1/src/one.cpp", "file": "$1/src/one.cpp"},
 {"directory": "$1", "command": "c++ -I$1/include -c $1/src/two.cpp", "file": "$1/src/two.cpp"}]
JSON
}
# commit DIR SECONDS MESSAGE: everything, at that time.
commit() {
  git -C "$1" add -A
  GIT_AUTHOR_DATE="@$2 +0000" GIT_COMMITTER_DATE="@$2 +0000" git -C "$1" commit -q -m "$3"
}
# chosen WORDS EXPECTED DIR [ARGUMENTS]: what would be looked at, on one line.
chosen() {
  local words=$1 expected=$2 dir=$3 got; shift 3
  got=$(SPLITNVE_LINT_ROOT=$dir python3 "$lint" --list "$@" | paste -sd' ')
  if [ "$got" = "$expected" ]; then echo "ok    $words"; else echo "FAULT $words: '$got', wanted '$expected'"; status=1; fi
}

day=86400
tree=$work/tree
make_tree "$tree"
git -C "$tree" init -q -b main
commit "$tree" $((20000 * day)) "first"
chosen "a history shorter than a day: everything" "src/one.cpp src/two.cpp" "$tree"
echo 'int more();' >>"$tree/src/two.cpp"
commit "$tree" $((20002 * day)) "second"
chosen "on main: what the last day changed" "src/two.cpp" "$tree"
chosen "all on demand" "src/one.cpp src/two.cpp" "$tree" --all
echo 'int more();' >>"$tree/include/inner.hpp"
chosen "a header's includers, however deep, uncommitted changes too" "src/one.cpp src/two.cpp" "$tree"
chosen "since a commit" "src/one.cpp" "$tree" --since HEAD
git -C "$tree" checkout -q include/inner.hpp

git clone -q --single-branch "$tree" "$work/clone" && compile_database "$work/clone"
chosen "a clone of main alone: what the last day changed" "src/two.cpp" "$work/clone"
git -C "$work/clone" checkout -q -b topic
echo 'int more();' >>"$work/clone/src/one.cpp"
commit "$work/clone" $((20002 * day + 10)) "third"
chosen "a branch: what it changed" "src/one.cpp" "$work/clone"
git clone -q --single-branch -b topic "$work/clone" "$work/single" && compile_database "$work/single"
chosen "a clone of the branch alone: what the last day changed" "src/one.cpp src/two.cpp" "$work/single"
git clone -q --depth 1 "file://$work/clone" "$work/shallow" && compile_database "$work/shallow"
chosen "a shallow clone: everything" "src/one.cpp src/two.cpp" "$work/shallow"
echo 'Checks: bugprone-*' >"$tree/.clang-tidy"
chosen "another .clang-tidy: everything" "src/one.cpp src/two.cpp" "$tree"
exit "$status"
