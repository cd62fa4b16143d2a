#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# outside.sh MESON BUILD SOURCE CC CXX: installed into an empty folder, the libraries are what a program of others needs: they export the API
# and nothing else, have a soname, are found by pkg-config, and a C and a C++ program outside the tree build with them and run. TAP.
set -u
meson=$1 build=$2 source=$3 cc=$4 cxx=$5
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
tests=0
ok() { tests=$((tests + 1)); if [ "$1" -eq 0 ]; then echo "ok $tests - $2"; else echo "not ok $tests - $2"; fi; }

DESTDIR=$scratch/root "$meson" install -C "$build" --no-rebuild >"$scratch/log" 2>&1
ok $? 'installs'
pc=$(find "$scratch/root" -name tare-train.pc) lib=$(dirname "$(dirname "${pc:-/x/x}")")
for name in tare tare-train; do
  file=$lib/lib$name.so
  nm -D --defined-only "$file" | awk '$2 ~ /[TDBRWVi]/ { print $3 }' | sed 's/@.*//' | sort >"$scratch/exported"
  grep -v '^tare_' "$scratch/exported" | sed 's/^/# exported: /' | tee "$scratch/foreign"
  [ -s "$scratch/exported" ] && [ ! -s "$scratch/foreign" ]
  ok $? "lib$name.so exports only tare_"
  # What it exports stands in a header.
  while read -r symbol; do
    grep -qw "$symbol" "$source"/include/tare/*.h || echo "# exported, but in no header: $symbol"
  done <"$scratch/exported" | tee "$scratch/hidden"
  [ ! -s "$scratch/hidden" ]
  ok $? "lib$name.so exports only what the headers have"
  readelf -d "$file" | grep -q "SONAME.*\[lib$name.so.0\]"
  ok $? "lib$name.so has the soname lib$name.so.0"
  # No mutable state that others could see, no printing, no end of the process, no signal handlers: what the objects of the library itself call.
done

prefix=$(sed -n 's/^prefix=//p' "$pc")
PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$scratch/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
mkdir "$scratch/program"
cp "$source/examples/conv_step.c" "$scratch/program/step.c"
cat >"$scratch/program/train.cpp" <<'END'
#include <cstdio>
#include <tare/race.h>
#include <tare/train.h>
int main() {
  tare_net *net = nullptr;
  tare_error error = {};
  tare_net_options options = {};
  options.height = options.width = 8;
  options.channels = options.batch = options.threads = 1;
  if (tare_net_create("conv 2x3 sum=0; relu; gap; dense 2", &options, &net, &error)) return std::puts(error.message), 1;
  std::puts(tare_net_line(net));
  tare_net_free(net);
  return 0;
}
END
cd "$scratch/program" || exit 1
# shellcheck disable=SC2046
$cc step.c -o step $(pkg-config --cflags --libs tare) -Wl,-rpath-link,"$lib" 2>&1 | sed 's/^/# /'
LD_LIBRARY_PATH=$lib ./step >step.out 2>&1 && grep -q forward step.out
ok $? "a C program builds outside with pkg-config tare and runs (prefix $prefix)"
# shellcheck disable=SC2046
$cxx -std=c++17 train.cpp -o train $(pkg-config --cflags --libs tare-train) -Wl,-rpath-link,"$lib" 2>&1 | sed 's/^/# /'
LD_LIBRARY_PATH=$lib ./train 2>&1 | grep -q 'conv 2x3 sum=0'
ok $? 'a C++ program builds outside with pkg-config tare-train and runs'
echo "1..$tests"
