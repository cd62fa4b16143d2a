#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/avx.sh BUILD: no AVX instruction outside the objects that are compiled for AVX, so that tare runs where there is none.
set -u
echo 1..1
if ! command -v objdump >/dev/null; then echo 'ok 1 # SKIP no objdump'; exit 0; fi
if ! ls "$1"/src/kernel/libkernel_avx2_f32.a.p >/dev/null 2>&1; then echo 'ok 1 # SKIP not built for x86'; exit 0; fi
uses_avx() { objdump -d --no-show-raw-insn "$@" | grep -qE '	v[a-z0-9]+ .*%[xyz]mm'; }
# Checks the check.
if ! uses_avx "$1"/src/kernel/libkernel_avx2_f32.a.p/*.o; then echo 'not ok 1 - AVX is found where it should be'; exit 1; fi
# shellcheck disable=SC2046 # our object files have no spaces in their names
set -- $(find "$1/src" -name '*.o' ! -path '*_avx*')
if ! uses_avx "$@"; then echo "ok 1 - $# objects without AVX"; exit 0; fi
echo 'not ok 1 - AVX instructions in'
for object in "$@"; do ! uses_avx "$object" || echo "# $object"; done
exit 1
