"""Keras on JAX, and errors where it computes with something else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengograd

pytest.importorskip("jax")
pytest.importorskip("optax")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["keras_on_jax.py", "keras_conversion_on_jax.py", "../training/test_layer_statistics.py"],
)
def test_what_keras_has_works_where_it_computes_with_jax(name: str) -> None:
    """Keras has one backend in a process: that of this one is TensorFlow's."""
    pytest.importorskip("keras")
    tests = (Path(__file__).parent / name).resolve()
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.needs("tensorflow")
def test_what_is_of_keras_on_tensorflow_is_refused_on_jax() -> None:
    import tensorflow as tf

    message = "Keras computes with 'tensorflow'; set the environment variable KERAS_BACKEND=jax"
    layer: Any = tf.keras.layers.Dense(2)
    with nengo.Network(), pytest.raises(ValidationError, match=message):
        nengograd.TensorNode(layer, (4,), pass_time=False, backend="jax")
    with nengo.Network(seed=0) as net:
        u, x = nengo.Node([1.0]), nengo.Node(size_in=1)
        nengo.Connection(u, x, transform=nengo.Dense((1, 1), [[1.0]]), synapse=None)
        probe = nengo.Probe(x)
    data = {u: np.ones((1, 1, 1))}, {probe: np.ones((1, 1, 1))}
    with nengograd.Simulator(net, backend="jax", progress_bar=False) as sim:
        with pytest.raises(ValidationError, match=message):
            sim.train(*data, tf.keras.optimizers.SGD(0.1))
        sim.train(*data, "sgd")
