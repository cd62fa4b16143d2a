#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD UNINSTALL CC: an installation into an empty root works by itself, a C program builds against it, and it goes without a trace.
set -u
build=$1 uninstall=$2 cc=$3
root=$(mktemp -d) || exit 1
log=$build/meson-logs/install-log.txt
[ ! -e "$log" ] || cp "$log" "$root.log"
# The log of an installation of before is that one's way to be uninstalled.
restore() { rm -rf "$root"; if [ -e "$root.log" ]; then mv "$root.log" "$log"; else rm -f "$log"; fi; }
trap restore EXIT
number=0 prefix=
check() { # NAME COMMAND...
  name=$1
  shift
  number=$((number + 1))
  if "$@" >"$root/said" 2>&1; then echo "ok $number $name"; else echo "not ok $number $name"; sed 's/^/# /' "$root/said"; fi
}

program() {
  printf '#include <stdio.h>\n#include <tare/race.h>\nint main(void) { size_t n; return tare_race_methods(&n) && n > 5 && puts(tare_version()) >= 0 ? 0 : 1; }\n' >"$root/p.c"
  configs=$(dirname "$(find "$root" -name tare-train.pc)")
  flags=$(PKG_CONFIG_PATH=$configs PKG_CONFIG_SYSROOT_DIR=$root pkg-config --cflags --libs tare-train) || return 1
  $cc "$root/p.c" $flags ${CFLAGS:-} -o "$root/p" && LD_LIBRARY_PATH=$(dirname "$configs") "$root/p"
}
# From another folder, with an empty environment: nothing of the build is needed.
alone() { (cd / && env -i PATH=/usr/bin:/bin ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} "$prefix/bin/tare" "$@"); }
report() { alone race leaves --images 6 --patch 20 --kernel 5 --steps 5 --batch 8 --lr 0.01 --methods none,spectral --timing 0.1 --quiet \
             --report "$root/race.html" && grep -q 'Chart.js v3' "$root/race.html"; }
pages() { for page in tare tare-race tare-bench; do [ -s "$prefix/share/man/man1/$page.1" ] || return 1; done; }
completions() { [ -s "$prefix/share/bash-completion/completions/tare" ] && [ -s "$prefix/share/zsh/site-functions/_tare" ] &&
                  [ -s "$prefix/share/fish/vendor_completions.d/tare.fish" ]; }
nothing_left() { left=$(find "$prefix" -name '*tare*'); echo "$left"; [ -z "$left" ]; }

echo 1..7
DESTDIR=$root meson install -C "$build" --no-rebuild >"$root/installed" 2>&1 || { sed 's/^/# /' "$root/installed"; exit 1; }
prefix=$(dirname "$(dirname "$(find "$root" -path '*/bin/tare')")")
check 'the command runs' alone --version
check 'a report needs no file of the build' report
check 'manual pages' pages
check 'completions' completions
check 'a C program builds and runs' program
check 'uninstall' "$uninstall" "$build"
check 'nothing is left' nothing_left
