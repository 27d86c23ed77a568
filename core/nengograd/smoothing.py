"""LIF neurons that are trained with a smooth threshold: the setting ``lif_smoothing``."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from nengo.neurons import LIF

from .neurons import SoftLIFRate
from .plugin.builders import NeuronBuilder, State
from .plugin.hookspecs import hookimpl

__all__ = ["SmoothedLIF", "with_smoothing"]

Builders = list[Mapping[type, NeuronBuilder]]


def with_smoothing(plugins: Sequence[Any], sigma: float | None) -> list[Any]:
    """The plugins of a simulator, with a `SmoothedLIF` if the network has ``lif_smoothing``.

    Parameters
    ----------
    plugins : sequence of object
        Those that are given. Those of a simulator that was pickled have it already.
    sigma : float or None
        The setting.
    """
    if sigma is None or any(isinstance(plugin, SmoothedLIF) for plugin in plugins):
        return list(plugins)
    return [*plugins, SmoothedLIF(sigma)]


class SmoothedLIF:
    """A plugin that gives `nengo.LIF` the rate of `SoftLIFRate`; what runs stays as it is.

    Parameters
    ----------
    sigma : float
        The width of the threshold.
    """

    def __init__(self, sigma: float):
        self.sigma = sigma

    @hookimpl(wrapper=True)
    def nengograd_neurons(self) -> Generator[None, Builders, Builders]:
        """Put other builders in the place of those of LIF neurons."""
        found = yield
        soft = next(builders[SoftLIFRate] for builders in found if SoftLIFRate in builders)
        return [
            {**builders, LIF: _Smoothed(builders[LIF], soft, self.sigma)}
            if LIF in builders
            else builders
            for builders in found
        ]


class _Smoothed(NeuronBuilder):
    """The builder of LIF neurons with the rate of another builder."""

    def __init__(self, lif: NeuronBuilder, soft: NeuronBuilder, sigma: float):
        self._lif, self._soft, self._sigma = lif, soft, sigma
        self.params, self.states = lif.params, lif.states

    def accepts(self, neurons: Any) -> bool:
        return self._lif.accepts(neurons)

    def key(self, neurons: Any) -> Hashable:
        return self._lif.key(neurons)

    def step(
        self, xp: Any, J: Any, state: State, params: SimpleNamespace, dt: float
    ) -> tuple[Any, State]:
        return self._lif.step(xp, J, state, params, dt)

    def rate(self, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        given = SimpleNamespace(**vars(params), sigma=self._sigma)
        rate, _ = self._soft.step(xp, J, {}, given, dt)
        return rate
