"""Checks of a builder's step and rate, called by themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np

from ..plugin import checked_rate, make_namespace, numpy_namespace, output_and_states
from .conformance import ConformanceError
from .neuron_draws import NeuronDraws
from .strict import StrictArray, strict_namespace, wrapped

__all__ = ["DT", "NeuronSteps"]

DT = 0.001


class NeuronSteps(NeuronDraws):
    """Checks of ``step`` and of ``rate`` on NumPy's arrays, without a simulation."""

    is_random: ClassVar[bool]

    def test_the_builder_names_states_and_parameters_of_the_type(self, backend: str) -> None:
        builder = self._builder(backend)
        for name in builder.params:
            if not hasattr(self._neuron, name):
                raise ConformanceError(f"params names {name!r}, which the type does not have")
        self._check_states(builder)

    def test_step_leaves_its_arguments_as_they_are(self) -> None:
        builder = self._builder("numpy")
        current, state = self._arguments(builder, np.float64)
        copies = {name: value.copy() for name, value in {"J": current, **state}.items()}
        params = self._params(builder, np.float64)
        self._step(builder, numpy_namespace, current, dict(state), params)
        for name, value in {"J": current, **state}.items():
            if not np.array_equal(value, copies[name]):
                raise ConformanceError(f"step has changed {name} in place; return a new array")
            value.flags.writeable = False
        # Numbers may have been written that were there before.
        self._step(builder, numpy_namespace, current, dict(state), params)

    def test_step_keeps_shapes_and_dtypes(self) -> None:
        builder = self._builder("numpy")
        for dtype, lead in ((np.float32, ()), (np.float64, ()), (np.float32, (3,))):
            current, state = self._arguments(builder, dtype, lead)
            xp = make_namespace(dtype)
            params = self._params(builder, dtype)
            out, after = self._step(builder, xp, current, state, params)
            returned = {"the output": out, **after}
            if self._neuron.spiking and builder.has_rate:
                before = {name: state[name] for name in builder.rate_states}
                rate, after = self._rate_step(builder, xp, current, before, params)
                returned.update({"the rate": rate, **after})
            for name, value in returned.items():
                shape = getattr(value, "shape", None)
                if shape != current.shape or value.dtype != dtype:
                    found = (
                        f"is a {type(value).__name__}, not an array,"
                        if shape is None
                        else f"has shape {shape} and dtype {value.dtype}"
                    )
                    raise ConformanceError(
                        f"{name} {found} for a current of shape {current.shape} and dtype "
                        f"{np.dtype(dtype).name}"
                    )

    def test_step_and_rate_use_what_every_backend_has(self) -> None:
        """Whichever backends are installed here."""
        builder = self._builder("numpy")
        if not self.is_for_many("neurons", type(self._neuron)):
            raise SkipTest(f"{type(builder).__name__} is for the backend 'numpy' alone")
        xp = strict_namespace(np.float64)
        current, state = self._arguments(builder, np.float64, (3,))
        given, before = StrictArray(current), wrapped(state)
        params = SimpleNamespace(**wrapped(vars(self._params(builder, np.float64))))
        self._step(builder, xp, given, before, params)
        if self._neuron.spiking and builder.has_rate:
            rates = {name: before[name] for name in builder.rate_states}
            self._rate_step(builder, xp, given, rates, params)

    def _step(self, builder: Any, xp: Any, current: Any, state: Any, params: Any) -> Any:
        """What a step returns, where it returns a pair."""
        with _named(f"step of {type(builder).__name__}", state, params):
            result = builder.step(xp, current, state, params, DT)
        return output_and_states(builder, result, builder.states)

    def _rate_step(self, builder: Any, xp: Any, current: Any, state: Any, params: Any) -> Any:
        """What a step of rates returns, where it returns a pair."""
        with _named(f"the rate of {type(builder).__name__}", state, params):
            result = builder.rate_step(xp, current, state, params, DT)
        rate, after = output_and_states(builder, result, builder.rate_states, "rate_step")
        return checked_rate(builder, rate, current), after

    def _arguments(self, builder: Any, dtype: Any, lead: tuple[int, ...] = ()) -> Any:
        current = self._constant_currents().astype(dtype)
        rng = np.random.RandomState(0)
        state = self._neuron.make_state(len(current), rng=rng)
        self._check_states(builder)
        given = {name: np.asarray(state[name]) for name in builder.states}
        if builder.draw is not None:
            given["random"] = self._draw(builder, rng, len(current))
        shape = (*lead, len(current))
        given = {name: np.array(np.broadcast_to(v, shape), dtype) for name, v in given.items()}
        return np.array(np.broadcast_to(current, shape)), given

    def _params(self, builder: Any, dtype: Any) -> SimpleNamespace:
        given = {name: getattr(self._neuron, name) for name in builder.params}
        return SimpleNamespace(
            **{name: np.asarray(x, dtype) if np.ndim(x) else x for name, x in given.items()}
        )

    def _check_states(self, builder: Any) -> None:
        """Say which names of states differ; random numbers may take the place of a state."""
        own, named = set(self._neuron.state), set(builder.states)
        if named - own or (own - named and not self.is_random):
            raise ConformanceError(f"states are {sorted(named)}; the type has {sorted(own)}")
        unknown = set(builder.rate_states) - named
        if unknown:
            raise ConformanceError(f"rate_states has {sorted(unknown)}; states has {sorted(named)}")


@contextlib.contextmanager
def _named(what: str, state: Any, params: Any) -> Iterator[None]:
    """Say whose an error is, and what it was given."""
    try:
        yield
    except Exception as error:
        if "read-only" in str(error):
            raise ConformanceError(
                f"{what} writes into an array that it was given ({error}); return a new array"
            ) from error
        raise ConformanceError(
            f"{what} fails: {type(error).__name__}: {error}; `state` has "
            f"{sorted(state)}, `params` has {sorted(vars(params))}"
        ) from error
