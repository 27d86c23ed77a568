"""Connections: their weights and operators, without what Nengo's build asks anew for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nengo.builder import Signal
from nengo.builder.connection import BuiltConnection, build_solver, slice_signal
from nengo.builder.node import SimPyFunc
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo.builder.transforms import build_dense, build_no_transform, multiply
from nengo.dists import Distribution
from nengo.ensemble import Ensemble, Neurons
from nengo.neurons import Direct
from nengo.transforms import Dense, NoTransform

from .draws import Draws
from .tuning import is_shared

__all__ = ["Connections"]

_TRANSFORMS = {Dense: build_dense, NoTransform: build_no_transform}
"""Nengo's build function for each type of transform that is built here."""


class Connections:
    """Builds the connections of one network that need no random numbers and learn nothing.

    Parameters
    ----------
    draws : Draws
        The generator that solvers are handed.
    dtype : dtype
        Of all signals.
    function_of : callable
        The build function that Nengo would call for an object.
    """

    def __init__(self, draws: Draws, dtype: Any, function_of: Callable[[Any], Any]):
        self._draws = draws
        self._dtype = dtype
        self._function_of = function_of
        self._identities: dict[tuple[int, int], Any] = {}

    def build(self, model: Any, connection: Any) -> bool:
        """Build a connection into a model, as `nengo.builder.connection.build_connection` does.

        Weights, signals and operators are the same, in the same order and with the same names.

        Parameters
        ----------
        model : nengo.builder.Model
            Where to build.
        connection : nengo.Connection
            What to build.

        Returns
        -------
        is_built : bool
            False, with nothing changed, where Nengo has to build the connection.
        """
        source = _end(model, connection.pre_obj, "out")
        target = _end(model, connection.post_obj, "in")
        if source is None or target is None or not self._is_plain(connection):
            return False
        signals = model.sig[connection]
        signals.update({"in": source, "out": target})
        points = decoders = info = None
        if _is_decoded(connection):
            rng = self._draws.started(model.seeds[connection])
            points, decoders, info = model.build(connection.solver, connection, rng)
        else:
            source = self._value(model, connection, source)
        weighted, weights = self._transform(model, connection.transform, source, decoders)
        signals["weights"] = weights
        if connection.synapse is not None:
            weighted = model.build(connection.synapse, weighted, mode="update")
        signals["weighted"] = weighted
        self._add_to(model, connection, weighted, target)
        model.params[connection] = BuiltConnection(
            eval_points=points,
            solver_info=info,
            transform=connection.transform,
            weights=None if weights is None else weights.initial_value,
        )
        return True

    def _is_plain(self, connection: Any) -> bool:
        """Whether a connection is of the kinds that are built here."""
        if connection.learning_rule is not None or connection.solver.weights:
            return False
        if not self._is_plain_transform(connection.transform):
            return False
        if isinstance(connection.post_obj, Neurons) and not isinstance(
            connection.post_slice, slice
        ):
            return False
        if not _is_decoded(connection):
            return not isinstance(connection.function, np.ndarray)
        return is_shared(connection) and self._function_of(connection.solver) is build_solver

    def _is_plain_transform(self, transform: Any) -> bool:
        function = _TRANSFORMS.get(type(transform))
        is_drawn = isinstance(getattr(transform, "init", None), Distribution)
        return function is not None and not is_drawn and self._function_of(transform) is function

    def _value(self, model: Any, connection: Any, source: Any) -> Any:
        """What a connection takes from something that is not decoded."""
        sliced = slice_signal(model, source, connection.pre_slice)
        if connection.function is None or isinstance(connection.pre_obj, Neurons):
            return sliced
        value = Signal(np.zeros(connection.size_mid, self._dtype), name=f"{connection}.func")
        model.operators.append(SimPyFunc(value, connection.function, None, sliced))
        return value

    def _transform(self, model: Any, transform: Any, source: Any, decoders: Any) -> Any:
        """The weighted signal, and the signal of the weights, or None where there are none."""
        if type(transform) is NoTransform:
            if decoders is None:
                return source, None
            transform = self._identity(transform.size_out, transform.size_in)
        weights = transform.sample().astype(self._dtype)
        if decoders is not None:
            weights = multiply(weights, decoders.astype(self._dtype))
        name = str(transform)
        weight = Signal(weights, readonly=True, name=f"{name}.weights")
        weighted = Signal(np.zeros(transform.size_out, self._dtype), name=f"{name}.weighted")
        model.operators.append(Reset(weighted))
        kind = ElementwiseInc if weights.ndim < 2 else DotInc
        model.operators.append(kind(weight, source, weighted, tag=f"{name}.apply_weights"))
        return weighted, weight

    def _identity(self, size_out: int, size_in: int) -> Any:
        shape = size_out, size_in
        if shape not in self._identities:
            self._identities[shape] = Dense(shape=shape, init=1.0)
        return self._identities[shape]

    def _add_to(self, model: Any, connection: Any, weighted: Any, target: Any) -> None:
        """Add what has come through a connection to the input of what it ends at."""
        name, post, where = str(connection), connection.post_obj, connection.post_slice
        if isinstance(post, Neurons):
            gains = Signal(model.params[post.ensemble].gain[where], name=f"{name}.gains")
            tag = f"{name}.gains_elementwiseinc"
            step = ElementwiseInc(gains, weighted, target[where], tag=tag)
        else:
            step = Copy(weighted, target, dst_slice=where, inc=True, tag=name)
        model.operators.append(step)


def _is_decoded(connection: Any) -> bool:
    pre = connection.pre_obj
    return isinstance(pre, Ensemble) and not isinstance(pre.neuron_type, Direct)


def _end(model: Any, obj: Any, key: str) -> Any:
    """The signal at an end of a connection, or None where Nengo has an error to raise."""
    signal = model.sig[obj].get(key) if obj in model.sig else None
    return signal if signal is not None and signal.size else None
