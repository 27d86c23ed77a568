"""Checks of neurons: the builder agrees with the type's own step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from unittest import SkipTest

import nengo
import numpy as np
from nengo.exceptions import BuildError, ValidationError
from nengo.neurons import RatesToSpikesNeuronType
from numpy.typing import NDArray

from ..arguments.table import check_arguments
from ..plugin import numpy_namespace, why_apart
from .conformance import OTHER_DT, ConformanceError, assert_same
from .neuron_gradients import NeuronGradients
from .neuron_steps import DT
from .neuron_subject import AVERAGED, SETTLING
from .suites import make_suite, run_checks
from .variants import numbers, varied, with_arrays

__all__ = ["NeuronConformance", "check_neuron"]

_RANDOM = 0.25
_FRESH = 200


class NeuronConformance(NeuronGradients):
    """Checks of a neuron type and its builder.

    Attributes
    ----------
    neuron : nengo.neurons.NeuronType or callable
        An instance, or a function of the number of neurons that returns one. It is checked with
        twice as many neurons as there are ``currents``, 16 by default: one half at constant
        currents, the other half at changing ones. An instance of which the builder's parameters
        are arrays is checked with as many neurons as they have elements. Without arrays, checks of
        the builder by itself take one neuron for each of the ``currents``.
    other : nengo.neurons.NeuronType, callable or None
        One with other parameters, or a function that returns it, which has to run in the same
        block; by default made by changing each of the builder's parameters by a tenth, where the
        type allows.
    currents : sequence of float
        Input currents that matter, in the unit of ``J``: below threshold, near it, above.
    steps : int
        Length of the runs that are compared.
    is_random : bool
        Whether random numbers differ from the type's own, as those of Poisson neurons; then
        means are compared, which takes more steps.
    rate_tolerance : float
        How far the builder's ``rate`` and the type's own ``rates`` may be from the mean output
        over a second: this share of the largest, and 1 Hz.
    """

    neuron: ClassVar[Any] = None
    other: ClassVar[Any] = None
    currents: ClassVar[Sequence[float]] = (-2.0, 0.0, 0.5, 0.95, 1.05, 1.5, 3.0, 10.0)
    steps: ClassVar[int] = 100
    is_random: ClassVar[bool] = False
    rate_tolerance: ClassVar[float] = 0.1

    def dtype(self, backend: str) -> str:
        """Float64: in float32 a spike may come a step earlier, and only means can be compared."""
        return "float64"

    # -- simulations

    def test_it_runs_by_its_builder(self, backend: str) -> None:
        with self.open(self._network(self._neuron), backend) as sim:
            self.assert_on_device(sim, backend)

    def test_outputs_and_states_are_those_of_its_own_step(self, backend: str) -> None:
        if not self.is_random:
            self._compare_with_its_own_step(self._neuron, backend, "in float64")
            return
        net = self._network(self._neuron)
        expected = self.reference(net, self.steps)
        actual = self.simulate(net, backend, self.steps)
        self._compare_means(actual, expected, net.outputs[0], _RANDOM)

    def test_it_follows_another_time_step(self, backend: str) -> None:
        if not self.is_random:
            self._compare_with_its_own_step(self._neuron, backend, "with another dt", OTHER_DT)

    def test_it_follows_parameters_that_the_builder_does_not_name(self, backend: str) -> None:
        if self.is_random:
            return
        named = self._builder(backend).params
        for name in numbers(self._neuron):
            other = None if name in named else varied(self._neuron, [name])
            if other is not None:
                what = f"with {name} = {getattr(other, name):.6g}, which params does not name,"
                self._compare_with_its_own_step(other, backend, what)

    def _compare_with_its_own_step(
        self, neuron: Any, backend: str, what: str, dt: float = DT
    ) -> None:
        net = self._network(neuron)
        expected = self.reference(net, self.steps, dt)
        actual = self.simulate(net, backend, self.steps, dt=dt)
        for probe in (*net.outputs, *net.kept):
            scale = max(float(np.abs(expected[probe]).max()), 1e-300)
            assert_same(actual[probe], expected[probe], f"{probe.attr} {what}", 1e-9 * scale, 1e-7)

    def test_float32_stays_near_float64(self, backend: str) -> None:
        net = self._network(self._neuron)
        expected = self.reference(net, self.steps)
        actual = self.simulate(net, backend, self.steps, dtype="float32")
        (probe,) = net.outputs
        if actual[probe].dtype != np.float32:
            raise ConformanceError(f"the output is {actual[probe].dtype} in a float32 simulation")
        # A spike may come a step earlier or later: what counts is how many there are.
        self._compare_means(actual, expected, probe, _RANDOM if self.is_random else 0.05)

    def _compare_means(self, actual: Any, expected: Any, probe: Any, tolerance: float) -> None:
        ours, theirs = actual[probe].mean(axis=0), expected[probe].mean(axis=0)
        one_spike = float(np.abs(expected[probe]).max()) / len(expected[probe])
        atol = 1.5 * one_spike + tolerance * float(np.abs(theirs).max())
        assert_same(ours[None], theirs[None], "mean output", atol, 0.0)

    def test_neurons_of_other_parameters_run_in_the_same_block(self, backend: str) -> None:
        other = self._other
        if other is None:
            other = varied(self._neuron, self._builder(backend).params)
        if other is None:
            return
        net = self._network(self._neuron, other)
        with self.open(net, backend) as sim:
            self.assert_on_device(sim, backend)
            name = type(self._neuron).__name__
            blocks = [b for b in sim.program.blocks if b.name == name and not b.host]
            if len(blocks) != 1:
                reason = "none of them has a builder"
                if len(blocks) > 1:
                    reason = why_apart(sim.program, *blocks[:2])
                raise ConformanceError(
                    f"two ensembles of {name} became {len(blocks)} blocks, since {reason}; what "
                    "they may differ in belongs into params, not into key"
                )
            sim.run_steps(self.steps)
            if self.is_random:
                return
            expected = self.reference(net, self.steps)
            for probe in net.outputs:
                scale = max(float(np.abs(expected[probe]).max()), 1e-300)
                what = "output of merged neurons"
                assert_same(sim.data[probe], expected[probe], what, 1e-9 * scale, 1e-7)

    def test_parameters_may_differ_from_neuron_to_neuron(self, backend: str) -> None:
        """Where the type takes arrays, the builder has to."""
        if self.is_random or self._array_size(self._neuron):
            return
        n = 2 * len(self.currents)
        names = [name for name in self._builder(backend).params if name in numbers(self._neuron)]
        for name in names:
            other = with_arrays(self._neuron, [name], n)
            if other is not None and self._runs(other):
                what = f"with a {name} of its own for each neuron"
                self._compare_with_its_own_step(other, backend, what)

    def _runs(self, neuron: Any) -> bool:
        """Whether the type's own step does what the kit asks of it."""
        try:
            self.reference(self._network(neuron), 1)
        except Exception:
            return False
        return True

    def test_each_item_of_a_minibatch_is_a_simulation_of_its_own(self, backend: str) -> None:
        net = self._network(self._neuron)
        n = net.drive.size_out
        rng = np.random.RandomState(1)
        low, high = min(self.currents), max(self.currents)
        feeds = rng.uniform(low, high, (3, 1, n)).repeat(self.steps, axis=1)
        (probe,) = net.outputs
        together = self.simulate(
            net, backend, self.steps, minibatch_size=3, input_feeds={net.drive: feeds}
        )[probe]
        if together.shape != (3, self.steps, n):
            raise ConformanceError(f"the output of 3 items has shape {together.shape}")
        # Random numbers are those of a single run in the first item alone.
        draws = self._builder(backend).draw is not None
        alike = 3 if not draws else 0 if self.is_random else 1
        fed = [{net.drive: own} for own in feeds[:alike]]
        for item, alone in enumerate(self.runs(net, backend, self.steps, fed)):
            scale = max(float(np.abs(alone[probe]).max()), 1e-300)
            assert_same(together[item], alone[probe], f"item {item}", 1e-9 * scale, 1e-7)

    def test_a_run_in_pieces_is_a_run_in_one(self, backend: str) -> None:
        net = self._network(self._neuron)
        whole = self.simulate(net, backend, 20)
        with self.open(net, backend) as sim:
            for steps in (1, 7, 12):
                sim.run_steps(steps)
            for probe in (*net.outputs, *net.kept):
                assert_same(sim.data[probe], whole[probe], f"{probe.attr} in pieces", 0.0, 1e-12)

    # -- rates

    def test_the_rate_is_near_the_mean_output(self) -> None:
        builder = self._builder("numpy")
        if not self._neuron.spiking or not builder.has_rate:
            return
        current = self._constant_currents()
        mean, driven = self._mean_output(self._neuron), current
        if isinstance(self._neuron, RatesToSpikesNeuronType):
            # Where another type makes the rates, a builder is handed them instead of currents.
            driven = self._mean_output(self._neuron.base_type)
        self._check_states(builder)
        initial = self._neuron.make_state(len(current), rng=np.random.RandomState(0))
        state = {name: np.array(initial[name], float) for name in builder.rate_states}
        rates, params = [], self._params(builder, np.float64)
        for _ in range(SETTLING + AVERAGED):
            rate, state = self._rate_step(builder, numpy_namespace, driven, dict(state), params)
            rates.append(rate)
        rate = np.mean(rates[SETTLING:], axis=0)
        self._assert_rates("the rate", rate, mean, float(np.abs(mean).max()))

    def test_the_types_own_rates_are_near_its_mean_output(self) -> None:
        """Nengo chooses gains, biases and decoders by ``rates``."""
        self._check_neuron()
        if self._has_no_rates():
            return
        current = self._constant_currents()
        n = len(current)
        # Each neuron at its own current; parameters may differ from one to the next.
        try:
            rates = np.diag(self._neuron.rates(current, np.ones(n), np.zeros(n)))
        except Exception as error:
            raise ConformanceError(
                f"rates of {type(self._neuron).__name__} fails for inputs, gains and biases of "
                f"shape {(n,)}: {type(error).__name__}: {error}{self._array_hint()}"
            ) from error
        output = self._output(self._neuron)
        # Some are the rates of neurons that have not adapted yet, such as those of AdaptiveLIF.
        means = [output[SETTLING:].mean(axis=0), output[:_FRESH].mean(axis=0)]
        near = np.clip(rates, np.minimum(*means), np.maximum(*means))
        what = f"rates of {type(self._neuron).__name__}, by which Nengo chooses gains and decoders,"
        self._assert_rates(what, rates, near, float(np.abs(means[0]).max()))

    def test_nengo_can_choose_gains_and_decoders(self) -> None:
        """In an ensemble like most, of which no gains and biases are given."""
        self._check_neuron()
        if self._has_no_rates():
            return
        n = len(self._constant_currents())
        current = np.linspace(min(self.currents), max(self.currents), n)
        try:
            curve = np.asarray(self._neuron.rates(current, np.ones(n), np.zeros(n)))
        except Exception:
            return  # what is wrong with rates by themselves is another check's
        largest = float(np.abs(curve).max())
        if not np.isfinite(largest):
            return
        with nengo.Network(seed=0) as net:
            rates = nengo.dists.Uniform(0.3 * largest, 0.5 * largest)
            ens = nengo.Ensemble(n, 1, neuron_type=self._neuron, max_rates=rates)
            nengo.Connection(ens, nengo.Node(size_in=1))
        try:
            with nengo.Simulator(net, progress_bar=False):
                return
        except (BuildError, ValidationError):
            return  # Nengo says itself which rates and intercepts a type cannot have.
        except Exception as error:
            found = (
                f"Nengo cannot build an ensemble of {type(self._neuron).__name__} without a gain "
                f"and a bias: {type(error).__name__}: {error}"
            )
            if self._array_size(self._neuron):
                # Those who give them to each ensemble, and decode nothing, need no more.
                raise SkipTest(
                    f"{found}. It looks for gains on one curve, as if all neurons shared it: give "
                    "each ensemble its gain and bias, or write gain_bias and max_rates_intercepts"
                ) from error
            raise ConformanceError(f"{found}. Look at the type's rates and gain_bias") from error

    def _has_no_rates(self) -> bool:
        return type(self._neuron).rates is nengo.neurons.NeuronType.rates

    def _assert_rates(
        self, what: str, found: NDArray[Any], needed: NDArray[Any], largest: float
    ) -> None:
        """Compare rates at each of the currents, and name the current that is worst."""
        atol = self.rate_tolerance * largest + 1.0
        off = np.abs(found - needed)
        if np.all(off <= atol):
            return
        worst = int(np.argmax(off))  # the first NaN, if there are any
        raise ConformanceError(
            f"at current {self._constant_currents()[worst]} {what} is {found[worst]:.4g} Hz; the "
            f"mean output of its own step is {needed[worst]:.4g} Hz (tolerance {atol:.3g}); "
            f"{np.mean(~(off <= atol)):.0%} of the currents differ"
        )


def check_neuron(
    neuron: Any,
    backends: Sequence[str] | None = None,
    plugins: Sequence[Any] = (),
    **options: Any,
) -> None:
    """Check a neuron type and its builder; see `NeuronConformance`.

    Parameters
    ----------
    neuron : nengo.neurons.NeuronType or callable
        An instance, or a function of the number of neurons that returns one.
    backends : sequence of str, optional
        The backends to check on; by default all usable ones.
    plugins : sequence of object
        Plugins that are not installed.
    **options
        Further attributes of `NeuronConformance`.

    Raises
    ------
    ConformanceError
        With all checks that failed.
    """
    check_arguments("testing.check_neuron", locals())
    attributes = {"neuron": neuron, "backends": backends, "plugins": plugins, **options}
    run_checks(make_suite(NeuronConformance, attributes))
