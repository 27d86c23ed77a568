"""Tensor nodes of networks whose minibatch is shared out over devices: functions and modules.

As in `test_jax_devices`, the first test runs this module again in a process with four devices.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import nengo
import numpy as np
import pytest

import nengograd

jax = pytest.importorskip("jax")
jnp = jax.numpy
pytest.importorskip("optax")

IN_FOUR = "NENGOGRAD_TEST_FOUR_DEVICES"
on_four = pytest.mark.skipif(IN_FOUR not in os.environ, reason="runs in a process of its own")
SIZE, STEPS = 8, 12


@pytest.mark.slow
def test_this_module_passes_on_four_devices() -> None:
    if IN_FOUR in os.environ:
        assert len(jax.devices()) == 4
        return
    environment = {
        **os.environ,
        IN_FOUR: "1",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


def weighted() -> Any:
    """A function of each item and of time."""
    return lambda t, x: jnp.tanh(x[:, :1] * x[:, 1:] + jnp.sin(100 * t))


def centred() -> Any:
    """A function that mixes the items: each is told from the mean of the whole minibatch."""
    return lambda t, x: (x - x.mean(axis=0))[:, :1]


def equinox_module() -> Any:
    eqx = pytest.importorskip("equinox")
    return eqx.nn.MLP(2, 1, 6, 1, jnp.tanh, key=jax.random.key(0))


def nnx_module() -> Any:
    nnx = pytest.importorskip("flax.nnx")
    rngs = nnx.Rngs(0)
    return nnx.Sequential(nnx.Linear(2, 6, rngs=rngs), jnp.tanh, nnx.Linear(6, 1, rngs=rngs))


def nnx_sum() -> Any:
    """A module that adds up what each item has put in, step by step."""
    nnx = pytest.importorskip("flax.nnx")

    class Sum(nnx.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.linear = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
            self.total = nnx.Variable(jnp.zeros(1))

        def __call__(self, x: Any) -> Any:
            self.total[...] = 0.9 * self.total[...] + self.linear(x).sum(axis=0)
            return jnp.tanh(self.total[...] + 0 * x[:, :1])

    return Sum()


def network(function: Any) -> nengo.Network:
    """Neurons around a tensor node, which hears itself as well."""
    with nengo.Network(seed=2) as net:
        nengograd.configure_settings(spike_gradient="rate")
        net.drive = nengo.Node([0.0, 0.0])
        ensemble = nengo.Ensemble(30, 2)
        nengo.Connection(net.drive, ensemble, synapse=None)
        is_function = function.__class__.__name__ == "function"
        net.node = nengograd.TensorNode(
            function, shape_in=(2,), shape_out=(1,), pass_time=is_function, backend="jax"
        )
        nengo.Connection(ensemble, net.node)
        nengo.Connection(net.node, net.node[0], synapse=0.01, transform=0.5)
        out = nengo.Node(size_in=1)
        nengo.Connection(net.node, out, synapse=0.005)
        net.out = nengo.Probe(out)
    return net


def make_sim(net: nengo.Network, device: Any) -> nengograd.Simulator:
    return nengograd.Simulator(
        net, backend="jax", device=device, minibatch_size=SIZE, dtype="float64", progress_bar=False
    )


KINDS = pytest.mark.parametrize(
    "make", [weighted, centred, equinox_module, nnx_module, nnx_sum], ids=lambda make: make.__name__
)


@on_four
@KINDS
def test_runs_give_the_numbers_of_one_device(make: Any) -> None:
    values = np.random.RandomState(0).uniform(-1, 1, (SIZE, STEPS, 2))
    found = []
    for device in (None, "all", ["/cpu:1", "/cpu:3"]):
        net = network(make())
        with make_sim(net, device) as sim:
            sim.run_steps(STEPS, input_feeds={net.drive: values})
            found.append(sim.data[net.out])
    assert np.ptp(found[0][:, -1]) > 1e-3  # items differ
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-9, atol=1e-12)


@on_four
@KINDS
def test_training_takes_the_course_of_one_device(make: Any) -> None:
    rng = np.random.RandomState(1)
    x = rng.uniform(-1, 1, (2 * SIZE, STEPS, 2))
    y = x[..., :1] * x[..., 1:]
    found = []
    for device in (None, "all"):
        net = network(make())
        inputs, targets = {net.drive: x}, {net.out: y}
        with make_sim(net, device) as sim:
            history = sim.train(inputs, targets, "adam", n_epochs=3)
            learned = [sim.data[c].weights for c in net.all_connections]
            weights = [x for x in learned if x is not None]
            weights += dict(getattr(sim.data[net.node], "weights", {})).values()
            sim.run_steps(STEPS, input_feeds={net.drive: x[:SIZE]})
            found.append([history["loss"], sim.loss(inputs, targets), *weights, sim.data[net.out]])
    assert len(set(found[0][0])) == 3  # it trains
    for one, four in zip(*found, strict=True):
        np.testing.assert_allclose(four, one, rtol=1e-8, atol=1e-11)
