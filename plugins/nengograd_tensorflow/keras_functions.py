"""Keras layers as nodes: called with weights, states and seeds that nengograd keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from nengograd_xla.built_layer import BuiltLayer
from nengograd_xla.keras_copies import NO_COPY, apart, copied
from nengograd_xla.keras_layers import stateless_call, variables_of
from nengograd_xla.layer_variables import (
    checked_shape,
    gathered,
    layer_names,
    states_and_statistics,
)
from nengograd_xla.tensor_functions import Shape

from .graph_functions import concrete_function, graph_function
from .graphs import check_graph
from .library import tf
from .tensor_functions import Function

__all__ = ["KerasFunction"]


class KerasFunction(Function):
    """A Keras layer.

    Its variables are of three kinds: the state of generators of random numbers, which keys take
    the place of; states, which a call changes; and weights, all others.
    """

    def __init__(self, layer: Any, shape_in: Shape, pass_time: bool):
        self._built = BuiltLayer(layer, checked_shape(layer.name, shape_in, pass_time))
        self._gathers: tuple[Any, list[bool]] = (None, [])
        self.shape_out = self._built.shape_out
        changed, self._draws = self._trace(training=False)
        self._names, self.names, self.states = layer_names(self._built.names, changed)
        variables, _ = variables_of(layer)
        self._by_batch = bool(self.states) and self._has_batch_axes(variables)
        self.dtypes, self.shapes = {}, {}
        for name, value in zip(self._names, self._built.values(), strict=True):
            shape = value.shape
            is_row = name in self.states and self._by_batch
            self.shapes[name] = shape[1:] if is_row else shape
            self.dtypes[name] = value.dtype

    @property
    def trainable(self) -> frozenset[str]:
        """Names of the weights that training may change, as the layer says now."""
        pairs = zip(self._names, self._built.trainable(), strict=True)
        return frozenset(name for name, free in pairs if free and name in self.names)

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the weights that the layer changes itself in training; see `TensorFunction`."""
        flags = self._built.flags()
        if self._gathers[0] != flags:
            self._gathers = flags, apart(lambda: self._trace(training=True))[0]
        pairs = zip(self._names, self._gathers[1], strict=True)
        names = frozenset(name for name, changed in pairs if changed)
        return gathered(self._built.name, self.names, names, self.trainable, _CURE)

    def is_random(self, training: bool) -> bool:
        """Whether one of the layer's generators draws."""
        return len(variables_of(self._built.layer)[1]) > 0 if training else self._draws

    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """Values of the variables; those that were not there before the node follow the seed."""
        pairs = zip(self._names, self._built.values(seed), strict=True)
        return {name: value.reshape(self.shapes[name]) for name, value in pairs}

    def _has_batch_axes(self, variables: Sequence[Any]) -> bool:
        """Whether the first axis of all states is that of the minibatch."""
        try:
            other = copied(self._built.layer, None, (2, *self._built.shape_in), carry=False)
        except NO_COPY:
            return False
        pairs = zip(self._names, variables, variables_of(other)[0], strict=True)
        return all(
            tuple(a.shape)[:1] == (1,) and tuple(b.shape) == (2, *a.shape[1:])
            for name, a, b in pairs
            if name in self.states
        )

    def call(
        self,
        weights: Sequence[Any],
        states: Sequence[Any],
        arguments: list[Any],
        key: Any,
        training: bool,
    ) -> tuple[Any, list[Any], list[Any]]:
        """Call the layer, without changing it; see `ArrayFunction.call`."""
        statistics = self.statistics if training else ()
        (x,) = arguments
        rows = x.shape[0]
        if self.states and rows > 1 and not self._by_batch:
            if statistics:
                raise states_and_statistics(self._built.name, self.states, statistics, _CURE)
            return (*self._call_one_by_one(weights, states, x, key, training), [])
        layer = self._built.computing(x.dtype.name, rows if self._by_batch else 1)
        shapes = {n: v.shape for n, v in zip(self._names, variables_of(layer)[0], strict=True)}
        given = dict(zip(self.names, weights, strict=True))
        for name, state in zip(self.states, states, strict=True):
            given[name] = tf.reshape(state, shapes[name])
        y, after = self._call(layer, [given[name] for name in self._names], x, key, training)
        found = dict(zip(self._names, after, strict=True))
        kept = [tf.reshape(found[name], (rows, *self.shapes[name])) for name in self.states]
        return y, kept, [tf.reshape(found[name], self.shapes[name]) for name in statistics]

    def _call_one_by_one(
        self, weights: Sequence[Any], states: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Call the layer for each item, where Keras knows no state of several items."""

        def one(parts: Any) -> Any:
            number, row, *own = parts
            own_key = None if key is None else key + tf.stack([0 * number, number * _ITEM])
            before = [state[None] for state in own]
            y, after, _ = self.call(weights, before, [row[None]], own_key, training)
            return [y[0], *(state[0] for state in after)]

        outputs = tf.map_fn(
            one,
            [tf.range(x.shape[0]), x, *states],
            fn_output_signature=[x.dtype, *(s.dtype for s in states)],
            parallel_iterations=1,
        )
        return outputs[0], outputs[1:]

    def _call(
        self, layer: Any, values: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Call a layer with values of its variables; returns them as they are after it."""
        variables, keys = variables_of(layer)
        given = list(zip(variables, values, strict=True))
        for number, variable in enumerate(keys):
            state = tf.convert_to_tensor(variable.value)
            if key is not None:
                # Keras begins with a seed of its own, another one for each layer that is made.
                state = tf.cast(key + tf.constant([0, number * _DRAWS]), state.dtype)
            given.append((variable, state))
        y, _, after = _called(layer, given, x, training)
        return y, after[: len(variables)]

    def _trace(self, training: bool) -> tuple[list[bool], bool]:
        """Call the layer symbolically.

        Returns
        -------
        changed : list of bool
            Whether a call changes each variable.
        draws : bool
            Whether a call draws random numbers.
        """
        layer = self._built.layer
        variables, keys = variables_of(layer)
        found: list[Any] = []

        def run(x: Any, *values: Any) -> Any:
            given = list(zip([*variables, *keys], values, strict=True))
            y, before, after = _called(layer, given, x, training)
            found[:] = [new is not old for new, old in zip(after, before, strict=True)]
            return y, after

        specs = [tf.TensorSpec((1, *self._built.shape_in), layer.compute_dtype)]
        specs += [tf.TensorSpec(v.shape, v.dtype) for v in (*variables, *keys)]
        traced = concrete_function(graph_function(run), specs)
        check_graph(traced.graph, layer.name, is_layer=True)
        n = len(variables)
        return found[:n], any(found[n:])

    def _specs(self) -> list[Any]:
        variables, _ = variables_of(self._built.layer)
        specs = [tf.TensorSpec((1, *self._built.shape_in), self._built.layer.compute_dtype)]
        return specs + [tf.TensorSpec(v.shape, v.dtype) for v in variables]

    def _for_one(self, *tensors: Any) -> Any:
        x, *values = tensors
        return self._call(self._built.layer, values, x, None, training=False)


_CURE = "set trainable=False on that layer"

_DRAWS = 1000
"""How many random arrays one of a layer's generators may draw in a step; Keras counts them."""

_ITEM = 2**20
"""By how much the counts of two items differ, where each draws by itself."""


def _called(
    layer: Any, given: list[tuple[Any, Any]], x: Any, training: bool
) -> tuple[Any, list[Any], list[Any]]:
    with _without_cudnn(layer):
        return stateless_call(layer, given, x, training)


@contextlib.contextmanager
def _without_cudnn(layer: Any) -> Iterator[None]:
    """Keep recurrent layers from operations of a GPU's library, which XLA does not compile."""
    parts = [part for part in layer._flatten_layers() if hasattr(part, "use_cudnn")]
    before = [part.use_cudnn for part in parts]
    try:
        for part in parts:
            part.use_cudnn = False
        yield
    finally:
        for part, used in zip(parts, before, strict=True):
            part.use_cudnn = used
