"""The neurons that are checked, and the network that they run in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar
from unittest import SkipTest

import nengo
import numpy as np
from numpy.typing import NDArray

from ..plugin import get_registry, why_not_callable
from .conformance import (
    Conformance,
    ConformanceError,
)

__all__ = ["AVERAGED", "SETTLING", "NeuronSubject"]

SETTLING, AVERAGED = 500, 1000
"""Steps until adapting neurons have settled, and those that means are taken over."""


class NeuronSubject(Conformance):
    """A neuron type to check; see `nengograd.testing.NeuronConformance` for the attributes."""

    neuron: ClassVar[Any]
    other: ClassVar[Any]
    currents: ClassVar[Sequence[float]]

    # -- what is simulated

    @cached_property
    def _neuron(self) -> Any:
        return self._made(type(self).neuron)

    @cached_property
    def _other(self) -> Any:
        return self._made(type(self).other)

    def _made(self, given: Any) -> Any:
        """An instance as it is; of a function of the number of neurons what it returns."""
        return given(2 * len(self.currents)) if _is_factory(given) else given

    def _network(self, *neurons: Any, seed: int = 0) -> Any:
        """Each neuron type, driven by constant and by changing currents."""
        self._check_neuron()
        currents = np.asarray(self.currents, dtype=float)
        sizes = [self._array_size(neuron) for neuron in neurons]
        n = next((size for size in sizes if size), 2 * len(currents))
        constant = np.resize(currents, (n + 1) // 2)
        spread = max(float(np.ptp(currents)), 1e-3)

        def drive(t: float) -> NDArray[Any]:
            wave = 0.5 + 0.5 * np.sin(2 * np.pi * t / 0.03 + np.arange(len(constant)))
            return np.asarray(np.concatenate([constant, currents.min() + spread * wave])[:n])

        with nengo.Network(seed=seed) as net:
            net.drive = nengo.Node(drive, size_out=n)
            net.driven, net.outputs, net.kept = [], [], []
            for neuron in neurons:
                net.driven.append(self._ensemble(net.drive, neuron))
                net.outputs.append(nengo.Probe(net.driven[-1].neurons))
                states = [n for n in neuron.probeable if n in neuron.state]
                net.kept += [nengo.Probe(net.driven[-1].neurons, n) for n in states]
        return net

    def _ensemble(self, drive: Any, neuron: Any) -> Any:
        n = drive.size_out
        ones, zeros = np.ones(n), np.zeros(n)
        ens = nengo.Ensemble(n, 1, neuron_type=neuron, gain=ones, bias=zeros, encoders=[[1]] * n)
        ens.seed = 3
        nengo.Connection(drive, ens.neurons, synapse=None)
        return ens

    def _check_neuron(self) -> None:
        if not isinstance(self._neuron, nengo.neurons.NeuronType):
            raise ConformanceError(
                "neuron has to be an instance of a neuron type, such as LIF(), or a function of "
                "the number of neurons that returns one; it is "
                f"{self._neuron!r}"
            )

    def _builder(self, backend: str) -> Any:
        self._check_neuron()
        builder = get_registry(backend, self.plugins).neurons.get(type(self._neuron))
        if builder is None:
            raise ConformanceError(
                f"no plugin has a builder of {type(self._neuron).__name__} through "
                "nengograd_neurons; is the distribution installed, or given as plugins?"
            )
        wrong = why_not_callable(builder)
        if wrong is not None:
            raise ConformanceError(wrong)
        return builder

    def reference(self, network: nengo.Network, steps: int, dt: float = 0.001) -> Any:
        """The data of a run of `nengo.Simulator`, in float64."""
        try:
            return super().reference(network, steps, dt)
        except ConformanceError as error:
            raise ConformanceError(f"{error}{self._array_hint()}") from error.__cause__

    def _array_hint(self) -> str:
        """What a type's own code may lack, as the end of a message; "" where it has no arrays."""
        if not self._array_size(self._neuron):
            return ""
        return (
            ". Where parameters are arrays, the type's own step and rates have to compute element "
            "by element, such as with np.where. Those of Nengo's types, such as LIF, pick out some "
            "neurons, and not their parameters: write them anew"
        )

    def _array_size(self, neuron: Any) -> int | None:
        """The number of neurons that the arrays of an instance are for; None without arrays."""
        if _is_factory(type(self).neuron):
            return 2 * len(self.currents)
        builder = get_registry("numpy", self.plugins).neurons.get(type(neuron))
        names = () if builder is None else builder.params
        sizes = [np.size(getattr(neuron, name, 0)) for name in names]
        return max((size for size in sizes if size > 1), default=None)

    def _constant_currents(self) -> NDArray[Any]:
        """One current for each neuron: the given ones, repeated where arrays are for more."""
        n = self._array_size(self._neuron) or len(self.currents)
        return np.asarray(np.resize(np.asarray(self.currents, dtype=float), n))

    def _mean_output(self, neuron: Any) -> Any:
        """Over a second at each of the currents, after adapting neurons have settled."""
        return self._output(neuron)[SETTLING:].mean(axis=0)

    def _output(self, neuron: Any) -> Any:
        """The output of its own step at each of the currents, ``(time, currents)``."""
        with nengo.Network(seed=0) as net:
            ens = self._ensemble(nengo.Node(self._constant_currents()), neuron)
            probe = nengo.Probe(ens.neurons)
        return self.reference(net, SETTLING + AVERAGED)[probe]

    def _need_gradient(self, backend: str) -> None:
        """Skip a check of gradients where there are none."""
        builder = self._builder(backend)
        if self._neuron.spiking and not builder.has_rate:
            raise SkipTest(
                f"{type(self._neuron).__name__} spikes, and {type(builder).__name__} has no rate "
                "to differentiate"
            )
        self.need(backend, "differentiate")


def _is_factory(given: Any) -> bool:
    return callable(given) and not isinstance(given, (type, nengo.neurons.NeuronType))
