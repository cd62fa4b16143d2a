#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/headers.sh INCLUDE CC CXX: every public header compiles alone, as C11 and as C++17, without a warning. TAP.
set -u
include=$1 cc=$2 cxx=$3 n=0
for header in "$include"/tare/*.h; do
  name=tare/$(basename "$header")
  for language in "$cc -std=c11 -xc" "$cxx -std=c++17 -xc++"; do
    n=$((n + 1))
    if echo "#include <$name>" | $language -Wall -Wextra -Werror -pedantic -fsyntax-only -I"$include" - 2>&1 | sed 's/^/# /'| grep . ; then
      echo "not ok $n - $name: $language"
    else
      echo "ok $n - $name: $language"
    fi
  done
done
echo "1..$n"
