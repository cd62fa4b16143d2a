# SPDX-License-Identifier: Apache-2.0
# For the scripts beside it: a folder of their own, TAP, and a small training whose weights can be compared.
set -u
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
scratch=$(mktemp -d) || exit 1
children=
# shellcheck disable=SC2086
trap 'for child in $children; do kill -9 $child 2>/dev/null; done; cd /; rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
cd "$scratch" || exit 1
tests=0 failed=0
ok() { # CODE 'what': 0 is success
  tests=$((tests + 1))
  if [ "$1" -eq 0 ]; then echo "ok $tests - $2"; else echo "not ok $tests - $2"; failed=1; fi
}
skip() { tests=$((tests + 1)); echo "ok $tests - $1 # SKIP $2"; }
finish() { echo "1..$tests"; }
net='conv 8x3 sum=0; bn; relu; gap; dense 3'
train() { "$tare" train mnist:"$scratch"/idx --net "$net" --batch 16 --lr 0.01 --quiet "$@" </dev/null; }
# The same for 'begin ... &': $! is then the command itself, not a shell that waits for it.
begin() { exec "$tare" train mnist:"$scratch"/idx --net "$net" --batch 16 --lr 0.01 --quiet "$@" </dev/null; }
