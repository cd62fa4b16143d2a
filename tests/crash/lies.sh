#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lies.sh TARE LIAR: a folder of images that lie beside three that do not: the liars are skipped, named and counted, in bounded memory and time. TAP.
here=$(cd "$(dirname "$0")" && pwd) tare=$1 liar=$2
case $tare in /*) ;; *) tare=$PWD/$tare ;; esac
case $liar in /*) ;; *) liar=$PWD/$liar ;; esac
. "$here/tap.sh"
mkdir lies true && "$liar" lies || exit 1
if ! "$tare" data photos:lies --quiet >out 2>err && grep -q 'needs libvips' err; then
  skip 'images that lie' 'built without libvips'
  finish
  exit 0
fi
"$tare" data leaves --images 2 --preview true/sheet.png --quiet >/dev/null
for copy in 1 2 3; do "$tare" data leaves --images 2 --seed $copy --columns $((8 + copy)) --preview true/sheet-$copy.png --quiet >/dev/null; done
cp true/*.png lies

# A gigabyte of addresses is far from what the liars claim; a sanitizer needs more for itself.
limit=1500000
(ulimit -v $limit && "$tare" --version) >/dev/null 2>&1 || limit=unlimited
began=$(date +%s)
(ulimit -v $limit; timeout 100 "$tare" data photos:lies --threads 2 --verbose >out 2>err)
code=$?
lasted=$(($(date +%s) - began))
sed 's/^/# /' err
ok $code "read within $limit kB of addresses, in $lasted s"
for name in claims.png claims.jpg claims.tif bomb.png cut.png text.gif; do
  grep -q "$name: skipped: " err
  ok $? "$name is skipped and named"
done
for name in sheet.png sheet-1.png sheet-2.png sheet-3.png; do
  if grep -q "$name: skipped" err; then false; fi
  ok $? "$name is used"
done
skipped=$(grep -c ': skipped: ' err)
grep -qi "$skipped .*skipped\|skipped.* $skipped" out err
ok $? "$skipped skipped files are counted"
finish
