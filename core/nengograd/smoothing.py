"""LIF neurons that are trained with a smooth threshold: the setting ``lif_smoothing``."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from copy import copy
from types import SimpleNamespace
from typing import Any

from nengo.neurons import LIF

from .neurons import SoftLIFRate
from .plugin.builders import NeuronBuilder
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
            {**builders, LIF: _smoothed(builders[LIF], soft, self.sigma)}
            if LIF in builders
            else builders
            for builders in found
        ]


def _smoothed(lif: NeuronBuilder, soft: NeuronBuilder, sigma: float) -> NeuronBuilder:
    """The builder of LIF neurons with the rate of another builder.

    It is of a subclass without attributes of its own, so that all but the rate is seen to be the
    same on each backend, and a simulation in progress can go on with another one.
    """

    def rate(self: NeuronBuilder, xp: Any, J: Any, params: SimpleNamespace, dt: float) -> Any:
        given = SimpleNamespace(**vars(params), sigma=sigma)
        return soft.step(xp, J, {}, given, dt)[0]

    made = copy(lif)
    made.__class__ = type(f"Smoothed{type(lif).__name__}", (type(lif),), {"rate": rate})
    return made
