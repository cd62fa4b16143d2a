#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kill.sh TARE HELPER [KILLS]: a training that writes a checkpoint after every step is killed (SIGKILL) KILLS times at random moments, and
# resumed each time: it must end with the bits of a training that was left alone. TAP.
here=$(cd "$(dirname "$0")" && pwd) tare=$1 helper=$2 kills=${3:-5}
case $tare in /*) ;; *) tare=$PWD/$tare ;; esac
case $helper in /*) ;; *) helper=$PWD/$helper ;; esac
. "$here/tap.sh"
mkdir idx && "$helper" idx idx 240 60 || exit 1
steps=$((kills * 60))
milliseconds() { date +%s%3N; }

began=$(milliseconds)
train --steps $steps --threads 1 --out left-alone.safetensors --checkpoint alone --checkpoint-every 1 >/dev/null || exit 1
lasted=$(($(milliseconds) - began))

killed=0 finished=0
mkdir run
while [ $killed -lt "$kills" ] && [ $finished -eq 0 ]; do
  begin --steps $steps --threads 2 --out run/m.safetensors --checkpoint run/state --checkpoint-every 1 --resume >out 2>err &
  pid=$!
  # From before the first line of main to the time that a share of the steps takes.
  wait_ms=$(($(od -An -N4 -tu4 /dev/urandom) % (lasted / kills + 100)))
  sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
  if kill -9 $pid 2>/dev/null; then killed=$((killed + 1)); fi
  wait $pid 2>/dev/null
  code=$?
  [ $code -ne 0 ] || finished=1
  if [ $code -ne 0 ] && [ $code -ne 137 ]; then cat err; ok 1 "resume number $killed"; fi
done
ok $([ $killed -gt 0 ]; echo $?) "killed $killed times of $kills in $steps steps of $lasted ms"
if [ $finished -eq 0 ]; then train --steps $steps --threads 1 --out run/m.safetensors --checkpoint run/state --checkpoint-every 1 --resume >/dev/null; fi
cmp left-alone.safetensors run/m.safetensors
ok $? 'the weights are those of a training that was left alone'
left=$(ls run | grep -c -v -e '^m.safetensors$' -e '^state$')
echo "# $left unfinished files were left behind"
ok $([ "$left" -le $((1 + kills / 10)) ]; echo $?) 'killed runs leave nothing behind (but in the moment between naming a file and renaming it)'
finish
