"""What closed simulators cost: megabytes of the process for each one made, used and closed.

    python benchmarks/memory.py --count 20

Each way of use is measured in a process of its own. "graph" is TensorFlow without XLA, and
"bare" is a loop of three operations in TensorFlow alone, compiled and dropped: what is left
of these is not nengograd's.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import nengo
import numpy as np

import nengograd

WARM = 5


def resident() -> float:
    """Megabytes of memory in use, what the allocator could give back given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def simulator(backend: str, train: bool, jit: bool | None) -> Callable[[], None]:
    def use() -> None:
        with nengo.Network(seed=0) as net:
            nengograd.configure_settings(spike_gradient="rate")
            first, second = nengo.Ensemble(50, 1), nengo.Ensemble(50, 1)
            nengo.Connection(first, second, synapse=0.01)
            nengo.Connection(second, second, synapse=0.1)
            probe = nengo.Probe(second, synapse=0.01)
        with nengograd.Simulator(net, backend=backend, jit=jit, progress_bar=False) as sim:
            sim.run_steps(10)
            if train:
                sim.train({}, {probe: np.zeros((1, 5, 1))}, "sgd")

    return use


def bare() -> None:
    import tensorflow as tf

    def loop(n: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        def body(i: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, tf.tanh(x @ tf.ones((50, 50)) + tf.sin(x))

        return tf.while_loop(lambda i, _: i < n, body, (tf.constant(0), x))[1]

    tf.function(loop, jit_compile=True, autograph=False)(tf.constant(3), tf.zeros((1, 50)))


WAYS: dict[str, Callable[[], None]] = {
    "numpy, run": simulator("numpy", train=False, jit=None),
    "tensorflow, run": simulator("tensorflow", train=False, jit=None),
    "tensorflow, run and train": simulator("tensorflow", train=True, jit=None),
    "tensorflow graph, run": simulator("tensorflow", train=False, jit=False),
    "tensorflow graph, run and train": simulator("tensorflow", train=True, jit=False),
    "tensorflow, bare": bare,
}


def slope(use: Callable[[], None], count: int) -> float:
    """Megabytes per call: the median of the slopes between all pairs of calls."""
    for _ in range(WARM):
        use()
    seen = []
    for _ in range(count):
        use()
        seen.append(resident())
    pairs = [(seen[j] - seen[i]) / (j - i) for j in range(count) for i in range(j)]
    return float(np.median(pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="simulators of each kind")
    parser.add_argument("--only", choices=WAYS, help="one way of use, in this process")
    arguments = parser.parse_args()
    if arguments.only:
        print(f"{slope(WAYS[arguments.only], arguments.count):.2f}")
        return
    print("MB per closed simulator")
    for way in WAYS:
        command = [sys.executable, __file__, "--count", str(arguments.count), "--only", way]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{way:34}{result.stdout.strip():>8}", flush=True)


if __name__ == "__main__":
    main()
