#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# same.sh TARE HELPER: 1, 2, 3 and 4 threads, a busy machine, and a resume give the same bits. TAP.
here=$(cd "$(dirname "$0")" && pwd) tare=$1 helper=$2
case $tare in /*) ;; *) tare=$PWD/$tare ;; esac
case $helper in /*) ;; *) helper=$PWD/$helper ;; esac
. "$here/tap.sh"
mkdir idx && "$helper" idx idx 240 60 || exit 1
net='conv 8x7 sum=0 spectral; bn; relu; conv 8x3 sum=0 whitened pad=reflect; relu; dropout 0.2; gap; dense 3'
one() { train --steps 30 --batch 20 --out "$@" >/dev/null; }

one reference --threads 1 || exit 1
for threads in 1 2 3 4; do
  one again --threads $threads && cmp -s reference again
  ok $? "$threads threads"
done
for spinner in 1 2 3 4; do
  sh -c 'while :; do :; done' &
  children="$children $!"
done
for threads in 1 2 4; do
  one again --threads $threads && cmp -s reference again
  ok $? "$threads threads on a busy machine"
done
for child in $children; do kill -9 "$child"; done
children=
train --steps 11 --batch 20 --threads 3 --out half --checkpoint state --schedule constant >/dev/null
train --steps 30 --batch 20 --threads 2 --out resumed --checkpoint state --schedule constant --resume >/dev/null
train --steps 30 --batch 20 --threads 4 --out straight --schedule constant >/dev/null
cmp -s straight resumed
ok $? 'stopped after 11 steps and resumed with another number of threads'
finish
