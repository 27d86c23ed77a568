"""Neuron types for training that Nengo does not have. They run on `nengo.Simulator`, too."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.neurons import LIFRate, RectifiedLinear, SpikingRectifiedLinear
from nengo.params import NumberParam
from numpy.typing import NDArray

from .arguments.table import check_arguments

__all__ = ["LeakyReLU", "SoftLIFRate", "SpikingLeakyReLU"]


class SoftLIFRate(LIFRate):  # type: ignore[misc]
    """A rate LIF neuron with a smooth threshold.

    The current beyond the threshold, ``J - 1``, is replaced by
    ``sigma * log(1 + exp((J - 1) / sigma))``, so that the slope is finite everywhere and 0
    nowhere (E. Hunsberger and C. Eliasmith, "Spiking deep networks with LIF neurons", 2015,
    equation 5). Far above the threshold it is `nengo.LIFRate`.

    Parameters
    ----------
    sigma : float
        The width of the transition at the threshold, in the unit of the current.
    tau_rc : float
        Membrane time constant, in seconds.
    tau_ref : float
        Refractory time, in seconds.
    amplitude : float
        Factor of the output.
    initial_state : dict, optional
        Initial values of states, as for all neuron types of Nengo.
    """

    sigma = NumberParam("sigma", low=0, low_open=True)

    def __init__(
        self,
        sigma: float = 1.0,
        tau_rc: float = 0.02,
        tau_ref: float = 0.002,
        amplitude: float = 1,
        initial_state: Any = None,
    ):
        check_arguments("SoftLIFRate", locals())
        super().__init__(
            tau_rc=tau_rc, tau_ref=tau_ref, amplitude=amplitude, initial_state=initial_state
        )
        self.sigma = sigma

    def step(self, dt: float, J: NDArray[Any], output: NDArray[Any]) -> None:
        """Compute rates in Hz, times the amplitude, from currents."""
        x = (J - 1) / self.sigma
        # Far below the threshold 1 / beyond overflows, and its logarithm is -x to rounding.
        near = np.maximum(x, -20)
        beyond = self.sigma * (np.maximum(near, 0) + np.log1p(np.exp(-np.abs(near))))
        delay = np.log1p(1 / beyond) + (near - x)
        output[...] = self.amplitude / (self.tau_ref + self.tau_rc * delay)

    def rates(self, x: Any, gain: Any, bias: Any) -> NDArray[Any]:
        """Rates for the solving of decoders; gains and biases are chosen as for `nengo.LIFRate`."""
        J = self.current(x, gain, bias)
        rates: NDArray[Any] = np.zeros_like(J)
        self.step(1.0, J, rates)
        return rates


class LeakyReLU(RectifiedLinear):  # type: ignore[misc]
    """A leaky rectified linear unit: negative currents give a negative, smaller output.

    Parameters
    ----------
    negative_slope : float
        The slope below 0, as a part of that above.
    amplitude : float
        Factor of the output.
    initial_state : dict, optional
        Initial values of states, as for all neuron types of Nengo.
    """

    negative = True
    negative_slope = NumberParam("negative_slope")

    def __init__(
        self, negative_slope: float = 0.3, amplitude: float = 1, initial_state: Any = None
    ):
        check_arguments("LeakyReLU", locals())
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.negative_slope = negative_slope

    def step(self, dt: float, J: NDArray[Any], output: NDArray[Any]) -> None:
        """Compute rates in Hz, times the amplitude, from currents."""
        output[...] = self.amplitude * np.where(J < 0, self.negative_slope * J, J)


class SpikingLeakyReLU(SpikingRectifiedLinear):  # type: ignore[misc]
    """The spiking version of `LeakyReLU`; negative currents make negative spikes.

    Parameters
    ----------
    negative_slope : float
        The slope of the rate below 0, as a part of that above.
    amplitude : float
        Factor of the output.
    initial_state : dict, optional
        Initial values of states, as for all neuron types of Nengo.
    """

    negative = True
    negative_slope = NumberParam("negative_slope")

    def __init__(
        self, negative_slope: float = 0.3, amplitude: float = 1, initial_state: Any = None
    ):
        check_arguments("SpikingLeakyReLU", locals())
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.negative_slope = negative_slope

    def step(self, dt: float, J: NDArray[Any], output: NDArray[Any], voltage: NDArray[Any]) -> None:
        """Integrate currents; each whole unit, of either sign, is a spike."""
        voltage += np.where(J < 0, self.negative_slope * J, J) * dt
        spikes = np.trunc(voltage)
        output[...] = (self.amplitude / dt) * spikes
        voltage -= spikes

    def rates(self, x: Any, gain: Any, bias: Any) -> NDArray[Any]:
        """The rates of `LeakyReLU`, with the given gains and biases."""
        J = self.current(x, gain, bias)
        rates: NDArray[Any] = self.amplitude * np.where(J < 0, self.negative_slope * J, J)
        return rates
