"""A process, a synapse and a neuron type as users write them, and builders for them.

What makes two instances differ is a plain attribute, no parameter of Nengo's: to Nengo they
compare equal. Each type comes twice, with a builder and, as ``Host...``, without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np

import nengograd
from nengograd.plugin import NeuronBuilder, ProcessBuilder

__all__ = ["PLUGIN", "TYPES"]


class Leak(nengo.Process):
    """Follows its input with a time constant."""

    def __init__(self, tau: float):
        super().__init__()
        self.tau = tau

    def make_state(
        self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None
    ) -> dict[str, np.ndarray]:
        return {"x": np.zeros(shape_out)}

    def make_step(
        self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: dict[str, np.ndarray]
    ) -> Callable[..., np.ndarray]:
        def step(t: float, u: np.ndarray, x: np.ndarray = state["x"]) -> np.ndarray:
            x += dt / self.tau * (u - x)
            return x.copy()

        return step


class Echo(nengo.synapses.Synapse):
    """Gives back its last input, scaled."""

    def __init__(self, gain: float):
        super().__init__()
        self.gain = gain

    def make_state(
        self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None
    ) -> dict[str, np.ndarray]:
        return {"last": np.zeros(shape_out)}

    def make_step(
        self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: dict[str, np.ndarray]
    ) -> Callable[..., np.ndarray]:
        def step(t: float, u: np.ndarray, last: np.ndarray = state["last"]) -> np.ndarray:
            output = self.gain * last
            last[...] = u
            return output

        return step


class Steep(nengo.RectifiedLinear):
    """A rectified line of a given slope."""

    def __init__(self, slope: float):
        super().__init__()
        self.slope = slope

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:
        output[...] = self.slope * np.maximum(J, 0)


class HostLeak(Leak):
    pass


class HostEcho(Echo):
    pass


class HostSteep(Steep):
    pass


class LeakBuilder(ProcessBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"tau": float(process.tau)}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return 1

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        (x,) = state["x"]
        x = x + dt / params.tau * (u - x)
        return x, {"x": [x]}


class EchoBuilder(ProcessBuilder):
    def key_and_params(self, process: Any, shape: Any, dt: float) -> Any:
        return None, {"gain": float(process.gain)}

    def rows(self, name: str, initial: Any, shape: Any) -> int:
        return 1

    def step(self, xp: Any, u: Any, state: Any, params: Any, dt: float) -> Any:
        (last,) = state["last"]
        return params.gain * last, {"last": [u]}


class SteepBuilder(NeuronBuilder):
    params = ("slope",)

    def step(self, xp: Any, J: Any, state: Any, params: Any, dt: float) -> Any:
        return params.slope * xp.maximum(J, 0.0), {}


class _Plugin:
    @nengograd.hookimpl
    def nengograd_processes(self, backend: str) -> dict[type, ProcessBuilder]:
        return {Leak: LeakBuilder(), Echo: EchoBuilder()}

    @nengograd.hookimpl
    def nengograd_neurons(self, backend: str) -> dict[type, NeuronBuilder]:
        return {Steep: SteepBuilder()}


PLUGIN = _Plugin()
TYPES = {c.__name__: c for c in (Leak, Echo, Steep, HostLeak, HostEcho, HostSteep)}
