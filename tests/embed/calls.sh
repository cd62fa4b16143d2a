#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# calls.sh LIBTARE LIBTARE_TRAIN: the libraries do not print, do not end the process and handle no signals: they do not even ask for such
# functions. TAP.
set -u
n=0
for library in "$@"; do
  for pattern in 'printf|vprintf|puts|putchar|perror|__printf_chk|__vprintf_chk|stdout|stderr|syslog' 'exit|_exit|abort|quick_exit|__assert_fail|raise|kill' \
    'signal|sigaction|sigprocmask|pthread_sigmask|sigset'; do
    n=$((n + 1))
    found=$(nm -D --undefined-only "$library" | awk '{ print $2 }' | sed 's/@.*//' | grep -xE "$pattern" | tr '\n' ' ')
    if [ -z "$found" ]; then echo "ok $n - $(basename "$library"): none of $pattern"; else echo "not ok $n - $(basename "$library") calls $found"; fi
  done
done
echo "1..$n"
