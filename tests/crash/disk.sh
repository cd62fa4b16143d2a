#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# disk.sh TARE HELPER: no room, no permission, a folder that goes away: one line, exit code 4, the last good checkpoint as it was. TAP.
here=$(cd "$(dirname "$0")" && pwd) tare=$1 helper=$2
case $tare in /*) ;; *) tare=$PWD/$tare ;; esac
case $helper in /*) ;; *) helper=$PWD/$helper ;; esac
. "$here/tap.sh"
mkdir idx && "$helper" idx idx 240 60 || exit 1

# What a failed run must look like: TEXT 'what', after `code`, err and the checkpoint FOLDER/state with its copy good.
failed() {
  lines=$(wc -l <err)
  [ "$code" -eq 4 ] && [ "$lines" -eq 1 ] && grep -q "$1" err
  result=$?
  [ $result -eq 0 ] || sed "s/^/# exit $code: /" err
  ok $result "$2: one line, exit 4"
}
intact() { cmp -s good "$1/state"; ok $? "$2: the checkpoint is as it was"; }
more() { train --steps 400 --threads 1 --out "$1"/m.safetensors --checkpoint "$1"/state --checkpoint-every 10 --resume >out 2>err; code=$?; }

# A file that may not grow beyond a kilobyte, as on a full disk.
mkdir limited
train --steps 20 --threads 1 --out limited/m.safetensors --checkpoint limited/state >/dev/null || exit 1
cp limited/state good
(ulimit -f 1; train --steps 400 --threads 1 --out limited/m.safetensors --checkpoint limited/state --checkpoint-every 10 --resume >out 2>err)
code=$?
failed 'state: cannot be written' 'no more than a kilobyte a file'
intact limited 'no more than a kilobyte a file'
[ "$(ls limited | wc -l)" -eq 2 ]
ok $? 'nothing half-written is left'

# The folder disappears while the training runs.
mkdir away
begin --steps 1000000 --threads 1 --out away/m.safetensors --checkpoint away/state --checkpoint-every 1 >out 2>err &
pid=$! children=$pid
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s away/state ] && break; sleep 0.2; done
mv away gone
wait $pid
code=$? children=
failed 'away/state: cannot be written: No such file or directory' 'the folder is gone'
[ -s gone/state ]
ok $? 'the folder is gone: the last checkpoint is where it went'

# Standard output and logs that cannot be written.
train --steps 20 --threads 1 --out limited/m.safetensors --log /dev/full >out 2>err
code=$?
failed '/dev/full: cannot be written' 'a full --log'
train --steps 20 --threads 1 --out limited/m.safetensors >/dev/full 2>err
code=$?
failed 'standard output cannot be written' 'a full standard output'

# A small disk of its own, full and then read-only; only root may make one.
mkdir disk
if mount -t tmpfs -o size=64k tmpfs disk 2>/dev/null; then
  train --steps 20 --threads 1 --out disk/m.safetensors --checkpoint disk/state >/dev/null
  cp disk/state good
  cat /dev/zero >disk/filler 2>/dev/null
  more disk
  failed 'disk/.*: cannot be written: No space left' 'a full disk'
  intact disk 'a full disk'
  rm disk/filler
  mount -o remount,ro disk
  more disk
  failed 'disk/.*: cannot be written: Read-only' 'a read-only disk'
  intact disk 'a read-only disk'
  umount disk
else
  skip 'a full disk' 'only root may make one'
fi
finish
