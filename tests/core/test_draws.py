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
from nengograd.plugin import NeuronBuilder, why_not_callable


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


def network(neurons: Any = None) -> Any:
    neurons = Noisy() if neurons is None else neurons
    with nengo.Network(seed=0) as net:
        noisy = nengo.Ensemble(20, 1, neuron_type=neurons, gain=np.ones(20), bias=np.ones(20))
        net.p = nengo.Probe(noisy.neurons)
    return net


def run(
    draw: Any,
    net: Any = None,
    steps: int = 5,
    shares_noise: bool = False,
    probe: Any = None,
    **options: Any,
) -> Any:
    names = {"draw": draw, "shares_noise": shares_noise}

    class Plugin:
        @hookimpl
        def nengograd_neurons(self, backend: str) -> Any:
            builder = type("Draws", (NoisyBuilder,), names)()
            return dict.fromkeys((Noisy, Common), builder)

    net = network() if net is None else net
    options = {"backend": "numpy", "dtype": "float64", "progress_bar": False, **options}
    with nengograd.Simulator(net, plugins=[Plugin()], **options) as sim:
        sim.run_steps(steps)
        return sim.data[net.p if probe is None else probe]


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


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (None, None),
        (staticmethod(lambda rng, n: rng.normal(size=n)), None),
        (np.zeros(20), "a function draw(rng, n) is needed"),
        (lambda rng, n: rng.normal(size=n), "write @staticmethod above def draw(rng, n)"),
    ],
    ids=["none", "right", "array", "no-staticmethod"],
)
def test_an_author_can_ask_why_a_draw_cannot_be_called(draw: Any, reason: str | None) -> None:
    builder = type("Draws", (NoisyBuilder,), {"draw": draw})()
    found = why_not_callable(builder)
    assert found is None if reason is None else reason in str(found)


def fixed(rng: Any, n: int) -> Any:
    return np.random.RandomState(0).normal(size=n)


def of_numpy(rng: Any, n: int) -> Any:
    return np.random.normal(size=n)


@pytest.mark.parametrize("draw", [fixed, of_numpy, lambda rng, n: np.zeros(n)])
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_numbers_that_do_not_come_from_the_generator_are_refused(
    draw: Any, minibatch_size: int | None
) -> None:
    with pytest.raises(BuildError) as caught:
        run(staticmethod(draw), minibatch_size=minibatch_size)
    for word in [
        "draw of Draws, the builder of Noisy (plugin 'Plugin #0'",
        "left the generator that it was given as it was",
        "rng.normal(size=n)",
    ]:
        assert word in str(caught.value)


def shared(rng: Any, n: int) -> Any:
    return np.full(n, rng.normal())


def test_one_number_that_is_copied_to_all_neurons_is_refused() -> None:
    with pytest.raises(BuildError) as caught:
        run(staticmethod(shared), steps=10)
    for word in [
        "draw of Draws, the builder of Noisy (plugin 'Plugin #0'",
        "all 20 neurons of an ensemble the same number, in each of its first 10",
        "shares_noise = True",
    ]:
        assert word in str(caught.value)


class Common(Noisy):
    """A rectified line whose neurons have their noise in common."""

    def step(self, dt: float, J: Any, output: Any, rng: Any) -> None:
        output[...] = self.amplitude * np.maximum(J + rng.normal(), 0)


@pytest.mark.parametrize("draw", [shared, lambda rng, n: np.broadcast_to(rng.normal(), (n,))])
def test_neurons_may_share_their_noise_if_the_builder_says_so(draw: Any) -> None:
    net = network(Common())
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(30)
    ours = run(staticmethod(draw), net, steps=30, shares_noise=True)
    np.testing.assert_allclose(ours, sim.data[net.p])


def test_neurons_with_rare_events_may_all_have_the_same_number_at_first() -> None:
    run(staticmethod(lambda rng, n: rng.random_sample(n) < 0.002), steps=30)


def test_ensembles_of_one_block_have_the_noise_that_nengo_gives_them() -> None:
    with nengo.Network(seed=0) as net:
        for _ in range(2):
            one = nengo.Ensemble(20, 1, neuron_type=Noisy(), gain=np.ones(20), bias=np.ones(20))
            nengo.Probe(one.neurons)
    with nengo.Simulator(net, progress_bar=False, optimize=False) as sim:
        sim.run_steps(5)
    first, second = (run(method, net, probe=probe) for probe in net.probes)
    np.testing.assert_allclose(first, sim.data[net.probes[0]])
    np.testing.assert_allclose(second, sim.data[net.probes[1]])
    assert not np.any((first == second) & (first > 0))
