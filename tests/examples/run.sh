#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh NAME EXAMPLE TARE HELPER SOURCES CC STEPS: runs an example in an empty folder with few steps; fails unless it shows what it is for.
set -eu
absolute() { case $1 in */*) echo "$(cd "$(dirname "$1")" && pwd)/$(basename "$1")" ;; *) echo "$1" ;; esac; }
name=$1 example=$(absolute "$2") tare=$(absolute "$3") helper=$(absolute "$4") sources=$(absolute "$5") cc=$6 steps=$7
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail() { echo "$name: $*" >&2; exit 1; }
lines() { [ "$(wc -l <out)" -eq "$1" ] || fail "expected $1 lines, found $(wc -l <out)"; }
refused() { # an example that is used wrongly says so in one line
  if "$@" >out 2>err; then fail "expected '$*' to fail"; fi
  [ "$(wc -l <err)" -eq 1 ] || fail "expected one line of error, found: $(cat err)"
}

conv_step() {
  "$example" >out
  grep -q '^forward: ' out || fail 'no plan'
}

smallest() {
  "$example" "$steps" | tee out
  "$tare" check model.safetensors
  refused "$example" none
}

forensics() {
  "$example" leaves '' "$steps" | tee out
  grep -q '% of [0-9]* patches' out || fail 'no accuracy'
  refused "$example" "$scratch/missing"
  mkdir photos
  for i in 1 2 3 4; do "$helper" png photos/$i.png 200 160 $i; done
  if "$tare" data photos:photos >probe 2>&1 || ! grep -q 'needs libvips' probe; then
    "$example" photos photos/1.png "$steps" | tee out
    [ "$(grep -c 'of 6 patches look like' out)" -eq 6 ] || fail 'expected an opinion for each of the six classes'
  fi
}

pde() { # the order is the rule's, however short the training
  cp "$sources/upwind.json" .
  "$example" 200 | tee out
  lines 7
  awk 'NR > 1 { bad = $2 == "order" ? $NF < $3 - .4 || $NF > $3 + .8 : $NF > .3; if (bad) { print "wrong order: " $0; exit 1 } }' out
  rm upwind.json
  refused "$example" 2
}

denoise() { # f(a x + b) = a f(x) + b to rounding, and not so in the customary network
  "$example" 12 | tee out
  lines 10
  awk '/^keeps/ && !($NF <= 1e-4) { print "does not keep: " $0; bad = 1 }
       /^customary/ && $2 + 0 != 1 && !($NF > 1e-3) { print "keeps as well: " $0; bad = 1 } END { exit bad }' out
}

int8() {
  for rule in sum=0 bayar; do
    "$tare" train leaves --images 4 --steps 5 --net "conv 4x5 $rule; relu; gap; dense 6" --out model.safetensors -q
    "$example" model.safetensors >filters.c
    "$cc" -std=c99 -Wall -Wextra -Werror -DTRY_IT filters.c -o filters
    ./filters | tee out
    grep -q '^0 of 1024 ' out || fail "$rule: constant images are seen"
  done
  refused "$example" missing.safetensors
  "$tare" train leaves --images 4 --steps 1 --net 'conv 4x3x5 sum=0; gap; dense 6' --out other.safetensors -q
  refused "$example" other.safetensors
}

case $name in conv_step | smallest | forensics | pde | denoise | int8) $name ;; *) fail 'no such example' ;; esac
