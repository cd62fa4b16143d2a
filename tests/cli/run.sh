#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARE HELPER CASE.sh: runs a case in an empty folder and compares its transcript with CASE.expected beside it.
# With UPDATE=1 in the environment the transcript becomes the expected one (read the difference before you commit it).
#
# In a case:
#   tare WORDS...     prints "$ tare WORDS", what it wrote to stdout, what it wrote to stderr (each line after "! "), and "exit N" unless 0
#   helper WORDS...   see helper.c
#   left              prints the files in the folder: nothing half-written may be among them
#   numbers           a filter (command | numbers) that makes every number N; seconds "N s"
set -u
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
tare_binary=$(absolute "$1") helper_binary=$(absolute "$2") case=$(absolute "$3")
expected=${case%.sh}.expected
unset COLUMNS TARE_CPU TARE_VERBOSE NO_COLOR
LC_ALL=C TERM=dumb
export LC_ALL TERM

scratch=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
mkdir "$scratch/work" && cd "$scratch/work" || exit 1

tare() {
  printf '$ tare'
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=,@-]* | '') printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  echo
  "$tare_binary" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
  code=$?
  cat "$scratch/out"
  sed 's/^/! /' "$scratch/err"
  [ $code -eq 0 ] || echo "exit $code"
}
helper() { "$helper_binary" "$@"; }
left() { for name in $(ls -A); do echo "left: $name"; done; }
numbers() { sed -E -e 's/[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?/N/g; s/ +/ /g; s/N:N min/N s/g'; }

(. "$case") >"$scratch/transcript" 2>&1
if [ -s "$scratch/transcript" ] && [ "$(tail -n 1 "$scratch/transcript")" = SKIP ]; then exit 77; fi
if [ -n "${UPDATE:-}" ]; then cp "$scratch/transcript" "$expected"; fi
diff -u "$expected" "$scratch/transcript"
