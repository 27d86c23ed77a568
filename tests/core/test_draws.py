"""The random numbers that a builder of neurons draws are checked, and errors name the builder."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

import nengograd
from nengograd import hookimpl
from nengograd.plugin import NeuronBuilder


class Noisy(nengo.RectifiedLinear):
    """A rectified line with noise in its current."""

    def make_state(self, n_neurons: int, rng: Any = np.random, dtype: Any = None) -> Any:
        return {**super().make_state(n_neurons, rng=rng, dtype=dtype), "rng": rng}

    def step(self, dt: float, J: Any, output: Any, rng: Any) -> None:
        output[...] = self.amplitude * np.maximum(J + rng.normal(size=J.shape), 0)


class NoisyBuilder(NeuronBuilder):
    params = ("amplitude",)

    def step(self, xp: Any, J: Any, state: Any, params: SimpleNamespace, dt: float) -> Any:
        return params.amplitude * xp.maximum(J + state["random"], 0.0), {}


def network() -> Any:
    with nengo.Network(seed=0) as net:
        noisy = nengo.Ensemble(20, 1, neuron_type=Noisy(), gain=np.ones(20), bias=np.ones(20))
        net.p = nengo.Probe(noisy.neurons)
    return net


def run(draw: Any, net: Any = None, **options: Any) -> Any:
    class Plugin:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            return {Noisy: type("Draws", (NoisyBuilder,), {"draw": draw})()}

    net = network() if net is None else net
    options = {"backend": "numpy", "dtype": "float64", "progress_bar": False, **options}
    with nengograd.Simulator(net, plugins=[Plugin()], **options) as sim:
        sim.run_steps(5)
        return sim.data[net.p]


def method(self: Any, rng: Any, n: int) -> Any:
    return rng.normal(size=n)


def listed(rng: Any, n: int) -> list[float]:
    return [float(x) for x in rng.normal(size=n)]


@pytest.mark.parametrize("draw", [method, staticmethod(listed)], ids=["method", "list"])
def test_numbers_may_come_from_a_method_and_in_a_list(draw: Any) -> None:
    net = network()
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(5)
    np.testing.assert_allclose(run(draw, net), sim.data[net.p])


def reused() -> Callable[[Any, int], Any]:
    """A draw that writes into one array again and again, and returns it or a view of it."""
    numbers = np.zeros(20)

    def draw(rng: Any, n: int) -> Any:
        numbers[...] = rng.normal(size=n)
        return numbers[:n]

    return draw


def no_draw(rng: Any, n: int) -> Any:
    raise KeyError("boom")


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (staticmethod(lambda rng, n: rng.normal()), ["one number, which all neurons would share"]),
        (staticmethod(lambda rng, n: rng.normal(size=1)), ["an array of shape (1,)"]),
        (staticmethod(lambda rng, n: rng.normal(size=n + 1)), ["an array of shape (21,)"]),
        (staticmethod(lambda rng, n: rng.normal(size=(1, n))), ["an array of shape (1, 20)"]),
        (
            staticmethod(lambda rng, n: np.broadcast_to(rng.normal(), (n,))),
            ["one number, repeated for all neurons"],
        ),
        (staticmethod(lambda rng, n: None), ["a NoneType in place of numbers"]),
        (staticmethod(reused()), ["the array that it had returned before", "make a new one"]),
    ],
    ids=["scalar", "one", "too-many", "two-axes", "repeated", "nothing", "reused"],
)
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_numbers_that_are_not_one_for_each_neuron_are_refused(
    draw: Any, words: list[str], minibatch_size: int | None
) -> None:
    with pytest.raises(BuildError) as caught:
        run(draw, minibatch_size=minibatch_size)
    cure = "an array (n,) with a number for each of the n = 20 neurons"
    for word in [*words, cure, "draw of Draws, the builder of Noisy (plugin 'Plugin #0'"]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (
            lambda rng, n: rng.normal(size=n),
            ["its first argument, 'rng', is the builder itself", "write @staticmethod"],
        ),
        (staticmethod(lambda n: np.zeros(n)), ["cannot be called as draw(rng, n)"]),
        (np.zeros(20), ["a function draw(rng, n), or None, is needed"]),
        (staticmethod(no_draw), ["failed: KeyError: 'boom'"]),
    ],
    ids=["no-staticmethod", "one-argument", "array", "fails"],
)
def test_a_draw_that_cannot_be_called_is_told_with_the_cure(draw: Any, words: list[str]) -> None:
    with pytest.raises(BuildError) as caught:
        run(draw)
    for word in [*words, "Draws, the builder of Noisy (plugin 'Plugin #0'"]:
        assert word in str(caught.value)
