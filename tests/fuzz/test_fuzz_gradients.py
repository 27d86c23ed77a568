"""Gradients of random networks are those that finite differences of `nengo.Simulator` give.

The gradient is what one step of plain gradient descent takes off the parameters. Nothing of
ours takes part in the other side: Nengo runs the model with each parameter moved a little.
``NENGOGRAD_FUZZ`` and ``NENGOGRAD_FUZZ_SEED`` work as in `test_fuzz`.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import nengo
import numpy as np
import pytest
from hypothesis import reject
from hypothesis import strategies as st
from nengo.exceptions import ValidationError

import nengograd
from fuzz.networks import NetworkSpec, networks
from fuzz.own_types import PLUGIN
from fuzz.test_fuzz import LARGEST, PARTS, SEED, for_all, quiet, valid_reference

N_STEPS = 9
SHIFT = 1e-5
TOLERANCE = 1e-5
DEFAULT = 4
SHARE = 5
"""One network in so many is also differentiated: that takes longer than to run it."""


def examples() -> int:
    total = os.environ.get("NENGOGRAD_FUZZ")
    return -(-int(total) // SHARE // PARTS) if total else DEFAULT // PARTS


Values = Mapping[Any, np.ndarray]
"""The values of parameters, by signal."""


def summed_loss(
    reference: nengo.Simulator, weights: Mapping[Any, np.ndarray]
) -> Callable[[Values], float]:
    """The weighted sum of what probes record on `nengo.Simulator`, as a function of parameters."""

    def loss(values: Values) -> float:
        reference.reset()
        for signal, value in values.items():
            array = reference.signals[signal]
            array = array.data if signal.sparse else array
            array.setflags(write=True)
            array[...] = value.reshape(array.shape)
        reference.run_steps(N_STEPS)
        return float(sum(np.vdot(w, reference.data[p]) for p, w in weights.items()))

    return loss


def slope(loss: Callable[[Values], float], at: Values, signal: Any, way: np.ndarray) -> Any:
    """The slope of a loss as one parameter goes a way; None at a kink or where numbers explode."""
    here, ahead, behind = (
        loss({**at, signal: at[signal] + shift * way}) for shift in (0, SHIFT, -SHIFT)
    )
    if not np.isfinite([here, ahead, behind]).all() or abs(here) > LARGEST:
        return None
    found = (ahead - behind) / (2 * SHIFT)
    bent = abs(ahead + behind - 2 * here) / SHIFT
    return found if bent <= 0.01 * TOLERANCE * max(1.0, abs(here), abs(found)) else None


def keras_descent() -> Any:
    """Gradient descent by the gradient itself."""
    import tensorflow as tf

    return tf.keras.optimizers.SGD(1.0)


def optax_descent() -> Any:
    """The same."""
    import optax

    return optax.sgd(1.0)


DESCENTS = {"tensorflow": keras_descent, "jax": optax_descent}
SUMS = {
    "tensorflow": lambda: importlib.import_module("tensorflow").reduce_sum,
    "jax": lambda: importlib.import_module("jax.numpy").sum,
}


def descend(spec: NetworkSpec, backend: str, minibatch_size: int | None) -> Any:
    """The model, its parameters before, their gradients, names, and weights of the probes."""
    net, probes = spec.build()
    rng = np.random.RandomState(spec.seed)
    sum_of = SUMS[backend]()
    with (
        quiet(),
        nengograd.Simulator(
            net,
            backend=backend,
            dtype="float64",
            minibatch_size=minibatch_size,
            plugins=[PLUGIN],
            jit=False,
            progress_bar=False,
        ) as sim,
    ):
        parameters = sim._learning.parameters
        if not parameters:
            reject()
        items = minibatch_size or 1
        sizes = {p: sim.model.sig[p]["in"].size for p in probes}
        weights = {p: rng.normal(size=(1, N_STEPS, n)) for p, n in sizes.items()}
        before = {p.signal: np.array(sim._learning.values[p.signal]) for p in parameters}
        sim.train(
            {},
            {p: np.repeat(w, items, axis=0) for p, w in weights.items()},
            DESCENTS[backend](),
            objective=lambda output, target: sum_of(output * target) / items,
        )
        after = {p.signal: np.array(sim._learning.values[p.signal]) for p in parameters}
        # The loss is the mean of those of all probes.
        gradients = {s: (before[s] - after[s]) * len(weights) for s in before}
        return sim.model, before, gradients, {p.signal: p.name for p in parameters}, weights


@pytest.mark.slow
@pytest.mark.needs("differentiate")
@pytest.mark.parametrize("part", range(PARTS))
def test_gradients_of_random_networks_agree_with_differences_of_nengo(
    backend: str, part: int
) -> None:

    def body(spec: NetworkSpec, minibatch_size: int | None) -> None:
        probes = (dataclasses.replace(probe, sample_every=None) for probe in spec.probes)
        spec = dataclasses.replace(spec, probes=tuple(probes))
        valid_reference(spec)
        try:
            model, at, gradients, names, weights = descend(spec, backend, minibatch_size)
        except ValidationError as error:
            if "training cannot change the loss" not in str(error):
                raise
            reject()
        with (
            quiet(),
            np.errstate(all="ignore"),
            nengo.Simulator(None, model=model, optimize=False, progress_bar=False) as reference,
        ):
            loss = summed_loss(reference, weights)
            wrong, compared = [], 0
            rng = np.random.RandomState(spec.seed)
            for signal, gradient in gradients.items():
                way = rng.uniform(-1, 1, at[signal].shape)
                theirs = slope(loss, at, signal, way)
                if theirs is None:
                    continue
                compared += 1
                ours = float(np.sum(gradient * way))
                # Not "error > limit", which is false for NaN.
                if not abs(ours - theirs) <= TOLERANCE * max(1.0, abs(theirs), abs(loss(at))):
                    wrong.append(f"{names[signal]}: {ours!r} instead of {theirs!r}")
        if not compared:
            reject()
        assert not wrong, "\n".join([*wrong, repr(spec)])

    for_all(
        body,
        examples(),
        1000 * SEED + part,
        spec=networks(smooth=True, max_objects=4, max_connections=4),
        minibatch_size=st.sampled_from([None, 2]),
    )
