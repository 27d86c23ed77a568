"""Time the two bare matrix products of the dense network, with the same library; print JSON."""

from __future__ import annotations

import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

N, STEPS = 2000, 300


def main() -> None:
    rng = np.random.RandomState(0)
    first, second = (tf.constant(rng.uniform(-1, 1, (N, N)) / N, tf.float32) for _ in range(2))

    @tf.function(jit_compile=True, autograph=False)
    def run(n: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        def body(i: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, tf.linalg.matvec(second, tf.linalg.matvec(first, x))

        return tf.while_loop(lambda i, _: i < n, body, (tf.constant(0), x))[1]

    steps, x = tf.constant(STEPS), tf.ones(N)
    run(steps, x)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        run(steps, x).numpy()
        times.append(1e6 * (time.perf_counter() - begin) / STEPS)
    print(json.dumps({"item_us": statistics.median(times)}))


if __name__ == "__main__":
    main()
