"""What the JAX backend has of its own; it passes the conformance kit beside the others."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
import pytest

import nengograd

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

OPTIONS: dict[str, Any] = {"backend": "jax", "progress_bar": False}


def oscillator() -> tuple[nengo.Network, nengo.Probe]:
    with nengo.Network(seed=1) as net:
        drive = nengo.Node(lambda t: [np.sin(20 * t), np.cos(20 * t)], size_out=2)
        ens = nengo.Ensemble(40, 2)
        nengo.Connection(drive, ens)
        nengo.Connection(ens, ens, synapse=0.1)
        probe = nengo.Probe(ens, synapse=0.01)
    return net, probe


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_precision_of_a_simulation_is_its_own_and_that_of_the_process_stays(
    user: bool, dtype: str
) -> None:
    net, probe = oscillator()
    with jax.enable_x64(user):
        with nengograd.Simulator(net, dtype=dtype, **OPTIONS) as sim:
            sim.run_steps(20)
            assert sim.data[probe].dtype == dtype
            assert all(np.isfinite(sim.data[probe][-1]))
        assert jax.numpy.zeros(1).dtype == ("float64" if user else "float32")


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("neurons", [10, 40_000])
def test_large_parts_of_a_step_are_compiled_and_small_ones_run_on_numpy(
    neurons: int, size: int | None
) -> None:
    with nengo.Network(seed=2) as net:
        drive = nengo.Node(lambda t: np.sin(20 * t))
        ens = nengo.Ensemble(neurons, 1, neuron_type=nengo.LIFRate(), seed=3)
        square = nengo.Node(lambda t, x: x**2, size_in=1)
        out = nengo.Node(size_in=1)
        solver = nengo.solvers.NoSolver(np.full((neurons, 1), 1e-5))
        nengo.Connection(drive, ens)
        nengo.Connection(ens, square, solver=solver)
        nengo.Connection(square, out, synapse=0.01)
        probe = nengo.Probe(out)
    with nengo.Simulator(net, optimize=False, progress_bar=False) as reference:
        reference.run_steps(30)
    with nengograd.Simulator(net, dtype="float64", minibatch_size=size, **OPTIONS) as sim:
        sim.run_steps(30)
        assert (sim.compilations > 0) == (neurons == 40_000)
        found = sim.data[probe] if size is None else sim.data[probe][size - 1]
        np.testing.assert_allclose(found, reference.data[probe], rtol=1e-9, atol=1e-12)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    "name", ["sgd", "adam", "adamw", "adamax", "rmsprop", "adagrad", "adadelta", "lion"]
)
def test_an_optimizer_by_name_takes_the_steps_of_that_of_keras(name: str) -> None:
    keras = pytest.importorskip("keras")
    from nengograd_jax.optimizers import find_optimizer

    start = np.array([1.0, -2.0, 0.5], dtype=np.float32)
    variable = keras.Variable(start)
    theirs, ours = keras.optimizers.get(name), find_optimizer(name)
    theirs.build([variable])
    values = jax.numpy.asarray(start)
    state = ours.init(values)
    for step in range(20):
        slope = np.array([0.3 * np.sin(step), 0.1, -1.0], dtype=np.float32)
        theirs.apply([keras.ops.convert_to_tensor(slope)], [variable])
        change, state = ours.update(jax.numpy.asarray(slope), state, values)
        values = optax.apply_updates(values, change)
    np.testing.assert_allclose(values, variable.numpy(), atol=1e-4)


def test_optimizers_of_optax_train_and_others_are_refused() -> None:
    with nengo.Network(seed=0) as net:
        u, y = nengo.Node([0.0]), nengo.Node(size_in=1)
        weight = nengo.Connection(u, y, transform=[[0.5]], synapse=None)
        probe = nengo.Probe(y)
    data = {u: np.full((4, 1, 1), 2.0)}, {probe: np.full((4, 1, 1), 2.0)}
    with nengograd.Simulator(net, minibatch_size=4, **OPTIONS) as sim:
        sim.train(*data, optax.sgd(0.1))
        # The loss (2 w - 2)^2 has the slope 4 (2 w - 2), which is -4 at w = 0.5.
        np.testing.assert_allclose(sim.data[weight].weights, [[0.9]], rtol=1e-6)
        with pytest.raises(nengo.exceptions.ValidationError, match="an optimizer of optax"):
            sim.train(*data, object())
        with pytest.raises(nengo.exceptions.ValidationError, match="there are sgd, adam"):
            sim.train(*data, "gradient descent")
