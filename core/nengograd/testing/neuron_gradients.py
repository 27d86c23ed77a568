"""Checks of gradients of neurons: of rates and surrogates, against differences of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from nengo.exceptions import NengoWarning
from nengo.neurons import RatesToSpikesNeuronType
from numpy.typing import NDArray

from ..config import configure_settings
from ..plugin import numpy_namespace
from ..surrogates import SURROGATES
from .conformance import Conformance, ConformanceError, assert_same
from .neuron_steps import DT, NeuronSteps

__all__ = ["NeuronGradients"]

_SGD_RATE = 0.01
_OFF_THRESHOLDS = 0.00137


class NeuronGradients(NeuronSteps):
    """Checks of derivatives by currents, on each backend that differentiates."""

    currents: ClassVar[Sequence[float]]

    def test_gradients_are_those_of_finite_differences(self, backend: str) -> None:
        """In float64; where a backend has float32 alone, in one step of training.

        A simulation in float32 is too coarse for differences of its outputs. Those of the
        builder's functions can be taken on NumPy.
        """
        self._need_gradient(backend)
        net = self._network(self._neuron)
        with net:
            configure_settings(spike_gradient="rate")
        if "float64" in self._capabilities(backend).dtypes:
            with self.open(net, backend) as sim:
                sim.check_gradients(net.outputs)
            return
        builder = self._builder(backend)
        if builder.draw is not None or isinstance(self._neuron, RatesToSpikesNeuronType):
            return
        current = self._smooth_currents(net)
        smooth = self._output_by_current(builder, len(current))
        what = f"slope of the output at currents {current.tolist()}"
        self._compare_slopes(backend, net, current, smooth(current), smooth, what)

    def test_gradients_of_surrogates_are_those_of_finite_differences(self, backend: str) -> None:
        """One step of "sgd", at which the loss changes by the derivative of the surrogate."""
        builder = self._builder(backend)
        if not self._neuron.spiking or builder.draw is not None:
            return
        self._need_gradient(backend)
        if isinstance(self._neuron, RatesToSpikesNeuronType):
            return  # what it is driven by are rates, not currents
        net = self._network(self._neuron)
        current = self._smooth_currents(net)
        rate = self._output_by_current(builder, len(current))
        options = {"minibatch_size": 1, "dtype": Conformance.dtype(self, backend)}
        feeds = {net.drive: current.reshape(1, 1, -1)}
        (probe,) = net.outputs
        spikes = self.simulate(net, backend, 1, input_feeds=feeds, **options)[probe]
        for name, surrogate in SURROGATES.items():
            with net:
                configure_settings(spike_gradient="surrogate", surrogate=name)

            def smooth(current: Any, surrogate: Callable[..., Any] = surrogate) -> Any:
                return surrogate(numpy_namespace, rate, current)

            what = f"slope of the surrogate {name!r} at currents {current.tolist()}"
            self._compare_slopes(backend, net, current, spikes, smooth, what)

    def _smooth_currents(self, net: Any) -> NDArray[Any]:
        """A current for each neuron at which there is a derivative to compare.

        Noise that a surrogate adds to a round number may end exactly at a threshold, where
        functions such as maximum have none.
        """
        currents = np.asarray(self.currents, dtype=float)
        return np.resize(currents, net.drive.size_out) + _OFF_THRESHOLDS

    def _output_by_current(self, builder: Any, n: int) -> Callable[[Any], Any]:
        """The output of the first step as a function of the current, on NumPy; rates of spikes."""
        initial = self._neuron.make_state(n, rng=np.random.RandomState(0))
        takes_rate = self._neuron.spiking
        names = builder.rate_states if takes_rate else builder.states
        state = {key: np.broadcast_to(np.asarray(initial[key], float), n) for key in names}
        params = self._params(builder, np.float64)
        step = builder.rate_step if takes_rate else builder.step
        return lambda J: step(numpy_namespace, J, dict(state), params, DT)[0]

    def _compare_slopes(
        self,
        backend: str,
        net: Any,
        current: NDArray[Any],
        output: NDArray[Any],
        smooth: Callable[[Any], Any],
        what: str,
    ) -> None:
        """Compare the derivatives that one step of "sgd" follows with differences of a function.

        Parameters
        ----------
        backend : str
            It trains in float64, if it has that.
        net : nengo.Network
            That of `_network`.
        current : (n,) array
            What the neurons are fed.
        output : array of n numbers
            What they put out in training.
        smooth : callable
            What is differentiated, of the current.
        what : str
            What is compared, for people.
        """
        n = len(current)
        feeds, (probe,) = {net.drive: current.reshape(1, 1, n)}, net.outputs
        options = {"minibatch_size": 1, "dtype": Conformance.dtype(self, backend)}
        with self.open(net, backend, **options) as sim:
            before = sim.data[net.driven[0]].bias.copy()
            # With this target the mean squared error has the slope 2 / n at each output.
            target = np.reshape(output, (1, 1, n)) - 1
            sim.train(feeds, {probe: target}, "sgd", progress_bar=False)
            moved = before - sim.data[net.driven[0]].bias
        found = moved * n / 2 / _SGD_RATE
        slopes = [(smooth(current + by) - smooth(current)) / by for by in (1e-6, -1e-6)]
        scale = float(np.abs(slopes[0]).max())
        # Where they differ on both sides there is a kink or a pole.
        is_smooth = np.abs(slopes[0] - slopes[1]) <= 1e-3 * scale + 1e-6
        expected = np.where(is_smooth, slopes[0], found)
        assert_same(found[None], expected[None], what, 2e-3 * scale + 1e-6, 2e-3)

    def test_training_keeps_parameters_finite(self, backend: str) -> None:
        """Derivatives at thresholds and in saturation are where infinities hide."""
        self._need_gradient(backend)
        net = self._network(self._neuron)
        with net:
            configure_settings(spike_gradient="rate", stop_at_nan=False)
        n = net.drive.size_out
        currents = np.linspace(min(self.currents), max(self.currents), 4 * n)
        inputs = np.concatenate([currents, np.resize(self.currents, 4 * n)]).reshape(8, 1, n)
        # Float32 overflows first.
        dtype = sorted(self._capabilities(backend).dtypes)[0]
        with self.open(net, backend, dtype=dtype, minibatch_size=8) as sim:
            (probe,) = net.outputs
            targets = np.zeros((8, 5, n))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "parameters are not finite", NengoWarning)
                sim.train(
                    {net.drive: inputs.repeat(5, axis=1)},
                    {probe: targets},
                    "sgd",
                    progress_bar=False,
                )
            if not np.isfinite(sim.data[net.driven[0]].bias).all():
                raise ConformanceError(
                    "a training step made biases infinite or NaN: a derivative is not finite. In "
                    "xp.where, both branches are differentiated: keep both finite everywhere"
                )
