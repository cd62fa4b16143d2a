#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARE [STEPS]: training under mpirun; runs that are to be interrupted have STEPS (400). One line a check, in TAP. Skipped where there is no mpirun.
set -u
tare=$(realpath "$1") steps=${2:-400}
command -v mpirun >/dev/null || { echo '1..0 # SKIP no mpirun: install openmpi-bin'; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
# Containers and CI run as root and with few cores; ranks that wait must not starve those that compute.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_base_warn_component_unused=0 OMPI_MCA_btl=self,vader,tcp
ranks() { n=$1; shift; timeout 120 mpirun --oversubscribe --bind-to none -n "$n" "$tare" "$@"; }
count=0
check() { # NAME COMMAND...: the command succeeds
  name=$1
  shift
  count=$((count + 1))
  if "$@"; then echo "ok $count - $name"; else echo "not ok $count - $name"; fi
}
net='conv 8x7 sum=0 spectral; bn; relu; conv 16x3 /2; bn; relu; dropout 0.2; conv 96x5 /2; bn; relu; flatten; dense 6'
train() { # RANKS NAME [OPTIONS]
  n=$1 out=$2
  shift 2
  set -- train leaves --images 4 --patch 32 --net "$net" --batch 32 --schedule constant -t 1 -q --out "$out" "$@"
  if [ "$n" -eq 0 ]; then "$tare" "$@" >/dev/null; else ranks "$n" "$@" >"$out.out" 2>"$out.err"; fi
}
says() { grep -q "$2" "$1"; }

train 0 alone --steps 6
for n in 2 4; do
  train $n of$n --steps 6
  check "$n ranks write the file of one" cmp alone of$n
done

train 2 part --steps 3 --checkpoint state
train 4 part --steps 6 --checkpoint state --resume
check '3 steps on 2 ranks, 3 on 4: the same' cmp alone part

train 3 three --steps 2
check 'a batch that 3 ranks cannot share is refused' says three.err 'expected 24, 48, 96'
check 'once' test "$(grep -c expected three.err)" -eq 1
check 'and nothing is written' test ! -e three

train 2 own --steps 6 --own-statistics
check "each rank's own statistics train too" test -s own
check 'to other weights' test "$(cmp alone own 2>&1 | wc -l)" -gt 0

# Images of one grey each, in MNIST's form: 80 of them, a grey for each, labels 0 to 7.
mkdir grey
for part in train:0:64 t10k:64:80; do
  name=grey/${part%%:*} end=${part##*:} i=${part#*:}
  i=${i%:*}
  size=$(printf '\\%o' $((end - i)))
  printf "\\0\\0\\010\\003\\0\\0\\0$size\\0\\0\\0\\034\\0\\0\\0\\034" >"$name-images-idx3-ubyte"
  printf "\\0\\0\\010\\001\\0\\0\\0$size" >"$name-labels-idx1-ubyte"
  while [ "$i" -lt "$end" ]; do
    head -c 784 /dev/zero | tr '\0' "$(printf '\\%o' "$i")" >>"$name-images-idx3-ubyte"
    printf "\\$((i % 8))" >>"$name-labels-idx1-ubyte"
    i=$((i + 1))
  done
done
ranks 2 train mnist:grey --net 'conv 8x7 sum=0 whitened; relu; gap; dense 8' --batch 16 --steps 1 -t 1 --out grey.model >grey.out 2>grey.err
check 'what the start found is said, once' test "$(grep -c 'layer 1: its input has no detail' grey.err)" -eq 1

# A rank that dies ends the job, which names it; the checkpoint goes on, with another number of ranks.
train 0 long --steps "$steps" --checkpoint whole
(train 2 lost --steps "$steps" --checkpoint state2 --checkpoint-every 5; echo $? >code) &
while [ ! -s state2 ]; do sleep 0.1; done
rank1=$(pgrep -f -- "--out lost" | while read -r pid; do tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx OMPI_COMM_WORLD_RANK=1 && echo "$pid"; done | head -n 1)
kill -9 "$rank1"
wait
check 'a rank that dies ends the job' test "$(cat code)" -ne 0
check 'which names it' says lost.err 'rank 1'
check 'no model is written' test ! -e lost
train 4 lost --steps "$steps" --checkpoint state2 --resume
check 'the checkpoint goes on with 4 ranks: the same file' cmp long lost

# As Ctrl-C does, this has mpirun pass SIGTERM on to the ranks (a shell's background jobs ignore SIGINT).
OMPI_MCA_odls_base_sigkill_timeout=5 train 2 stopped --steps 100000 --checkpoint state3 --checkpoint-every 5 &
while [ ! -s state3 ]; do sleep 0.1; done
pkill -TERM -f -- '^mpirun.*--out stopped' # not the timeout around it
wait
check 'a job that is stopped leaves a checkpoint' test -s state3
check 'and says so once' test "$(grep -c 'goes on from' stopped.err)" -eq 1
check 'and nothing half-written' test -z "$(ls | grep tmp)"

# Two network namespaces stand for two machines: the second is entered where ssh would be.
a=tare-a-$$ b=tare-b-$$
if ip netns add "$a" 2>/dev/null && ip netns add "$b" 2>/dev/null; then
  trap 'ip netns del "$a"; ip netns del "$b"; rm -rf "$folder"' EXIT
  ip link add va$$ type veth peer name vb$$
  for end in "$a va$$ 10.77.0.1" "$b vb$$ 10.77.0.2"; do
    set -- $end
    ip link set "$2" netns "$1" && ip -n "$1" addr add "$3/24" dev "$2" && ip -n "$1" link set "$2" up && ip -n "$1" link set lo up
  done
  printf '#!/bin/sh\nshift\nexec ip netns exec %s sh -c "$*"\n' "$b" >agent
  chmod +x agent
  OMPI_MCA_btl=self,tcp timeout 120 ip netns exec "$a" mpirun --bind-to none --mca plm_rsh_agent "$folder/agent" --mca btl_tcp_if_include 10.77.0.0/24 \
    --mca oob_tcp_if_include 10.77.0.0/24 -H 10.77.0.1:1,10.77.0.2:1 -n 2 "$tare" train leaves --images 4 --patch 32 --net "$net" --batch 32 --schedule constant \
    -t 1 --out apart --steps 6 >apart.out 2>apart.err
  check 'two machines write the file of one' cmp alone apart
  check 'as two ranks' says apart.err '2 ranks'
  sent=$(ip netns exec "$a" cat /sys/class/net/va$$/statistics/tx_bytes)
  check 'over the network' test "$sent" -gt 1000000
fi

echo "1..$count"
