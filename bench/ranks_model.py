# SPDX-License-Identifier: Apache-2.0
"""ranks_model.py: the time of a training step on 8 to 1024 nodes, one rank each, as doc/ranks.md models it: compute, then what does not hide behind it.

gather of b bytes from each of N:   log2 N rounds of latency, (N - 1) b bytes received   (recursive doubling)
sum of a bucket of S bytes:         exchange and collect; each the cheaper of N - 1 small messages at the card's rate and log2 N rounds
"""
import math

NETWORKS = {"10 Gb Ethernet": (20e-6, 2e-6, 1.2e9), "100 Gb InfiniBand": (2e-6, 0.2e-6, 12e9)}  # latency, a message's cost at the card, bytes/s
GATHERS = [8 * (2 * c + 1) for c in (16, 32, 64)] + [8 * 2 * c for c in (16, 32, 64)] + [24, 4]  # batch norm forward and backward, loss, stop
BUCKETS = [25000 * 4]            # the default network's gradients: one bucket
TWO_CORES = {8: 1.0e-3, 64: 5.4e-3}  # a step's compute by images a rank, measured (doc/ranks.md)


def gather(n, size, latency, message, rate):
    return math.log2(n) * latency + (n - 1) * size / rate


def exchange(n, size, latency, message, rate):
    direct = latency + (n - 1) * message + size / rate
    rounds = math.log2(n) * (latency + size / 2 / rate)
    return min(direct, rounds)


def step(n, compute, network):
    waits = sum(gather(n, size, *network) for size in GATHERS)
    # Backward is two thirds of the work; a bucket that leaves at its end does not hide, one before it does.
    return compute + waits + 2 * exchange(n, BUCKETS[-1], *network)


print(f"{'nodes':>6}", *(f"{name + ', ' + str(images) + ' images':>32}" for name in NETWORKS for images in TWO_CORES))
for n in (2, 8, 32, 128, 512, 1024):
    cells = []
    for network in NETWORKS.values():
        for compute in TWO_CORES.values():
            t = step(n, compute, network)
            cells.append(f"{t * 1e3:>20.2f} ms, {100 * compute / t:>5.0f} %")
    print(f"{n:>6}", *cells)
