#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hours.sh TARE SECONDS [SRC]: trains for so long within 1 GiB of addresses on pictures that are made as it goes, asks 60 times how much memory the
# process holds, then interrupts it and resumes from its checkpoint. Fails if the second half of the time holds more memory than the first, if the limit was
# not kept, or if the resumed run does not go on. Prints a line a look, then TAP.
here=$(cd "$(dirname "$0")" && pwd) tare=$1 seconds=$2 src=${3:-leaves}
case $tare in /*) ;; *) tare=$PWD/$tare ;; esac
. "$here/tap.sh"
limit=1048576 # kB
looks=60
every=$((seconds / looks))
[ $every -ge 1 ] || every=1

go() { # in the background; no fewer steps than a day has room for
  ulimit -v $limit
  exec "$tare" train "$src" --steps 100000000 --checkpoint-every 200 --brightness 1 --quiet --log log --out m.safetensors "$@" </dev/null
}
held() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' /proc/"$1"/status 2>/dev/null; }
steps() { [ -s log ] && wc -l <log || echo 0; }

first=0 second=0
go & children=$!
sleep $every
for look in $(seq 1 $looks); do
  sleep $every
  kb=$(held $children)
  [ -n "$kb" ] || break
  echo "# $((look * every)) s: $kb kB, $(steps) steps"
  # The first tenth fills pools and caches.
  if [ "$look" -le $((looks / 10)) ]; then continue; fi
  if [ "$look" -le $((looks / 2)) ]; then [ "$kb" -le $first ] || first=$kb; else [ "$kb" -le $second ] || second=$kb; fi
done
[ -n "$kb" ]; ok $? "trained for $seconds s within $limit kB of addresses"
[ "$second" -gt 0 ] && [ $second -le $((first + first / 200)) ]; ok $? "memory: at most $first kB in the first half, $second kB in the second"
kill -INT $children
wait $children; code=$?
[ $code -eq 130 ]; ok $? "an interrupt ends it with exit code $code"
before=$(steps)
go --resume & children=$!
sleep 20
[ "$(steps)" -gt "$before" ]; ok $? "resumed at step $before, $(($(steps) - before)) steps later"
finish
exit $failed
