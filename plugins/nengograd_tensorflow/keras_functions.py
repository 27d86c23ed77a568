"""Keras layers as nodes: called with weights, states and seeds that nengograd keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import BuildError, ValidationError
from numpy.typing import NDArray

from nengograd_xla.keras_copies import NO_COPY, apart, copied, follow_flags, fresh
from nengograd_xla.keras_layers import is_float, stateless_call, variables_of
from nengograd_xla.tensor_functions import Shape, item_shape, unique_names

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
        if shape_in is None:
            raise ValidationError(
                f"a layer needs an input: give shape_in for {layer.name}", attr="shape_in"
            )
        if pass_time:
            raise ValidationError(
                f"{layer.name} is a layer and takes no time: give pass_time=False",
                attr="pass_time",
            )
        self._layer = layer
        self._shape_in = shape_in
        self._copies: dict[tuple[str, int], Any] = {}
        self._is_checked = False
        # Variables that are there before the layer is built are the user's, values included.
        given = {id(v) for v in variables_of(layer)[0]}
        try:
            out = layer(tf.keras.KerasTensor((1, *shape_in), dtype=layer.compute_dtype))
        except Exception as error:
            raise ValidationError(
                f"{layer.name} cannot be called with an input of shape {shape_in} per item: "
                f"{type(error).__name__}: {error}",
                attr="shape_in",
            ) from error
        self.shape_out = item_shape(out, layer.name)
        variables, _ = variables_of(layer)
        self._is_new = [id(v) not in given for v in variables]
        changed, self._draws = self._trace(training=False)
        names = iter(
            unique_names([v.name for v, c in zip(variables, changed, strict=True) if not c])
        )
        kept = iter(unique_names([v.name for v, c in zip(variables, changed, strict=True) if c]))
        self._names = tuple(f"state.{next(kept)}" if c else next(names) for c in changed)
        self.names = tuple(n for n, c in zip(self._names, changed, strict=True) if not c)
        self.states = tuple(n for n, c in zip(self._names, changed, strict=True) if c)
        self._by_batch = bool(self.states) and self._has_batch_axes(variables)
        self.dtypes, self.shapes = {}, {}
        for name, variable in zip(self._names, variables, strict=True):
            shape = tuple(variable.shape)
            is_row = name in self.states and self._by_batch
            self.shapes[name] = shape[1:] if is_row else shape
            self.dtypes[name] = _as_array(variable).dtype

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_copies": {}}

    @property
    def trainable(self) -> frozenset[str]:
        """Names of the weights that training may change, as the layer says now."""
        variables, _ = variables_of(self._layer)
        return frozenset(
            name
            for name, v in zip(self._names, variables, strict=True)
            if name in self.names and v.trainable and self._layer.trainable and is_float(v)
        )

    def is_random(self, training: bool) -> bool:
        """Whether one of the layer's generators draws."""
        return len(variables_of(self._layer)[1]) > 0 if training else self._draws

    def initial(self, seed: int) -> dict[str, NDArray[Any]]:
        """Values of the variables; those that were not there before the node follow the seed."""
        own, _ = variables_of(self._layer)
        fresh = variables_of(self._fresh(seed))[0] if any(self._is_new) else own
        values = {}
        for name, a, b, new in zip(self._names, own, fresh, self._is_new, strict=True):
            values[name] = _as_array(b if new else a).reshape(self.shapes[name])
        return values

    def _fresh(self, seed: int) -> Any:
        """The layer with weights drawn from a seed."""
        return fresh(self._layer, (1, *self._shape_in), seed)

    def _has_batch_axes(self, variables: Sequence[Any]) -> bool:
        """Whether the first axis of all states is that of the minibatch."""
        try:
            other = copied(self._layer, None, (2, *self._shape_in), carry=False)
        except NO_COPY:
            return False
        pairs = zip(self._names, variables, variables_of(other)[0], strict=True)
        return all(
            tuple(a.shape)[:1] == (1,) and tuple(b.shape) == (2, *a.shape[1:])
            for name, a, b in pairs
            if name in self.states
        )

    def _computing(self, dtype: str, rows: int) -> Any:
        """The layer, computing in a dtype, for a number of items if that matters."""
        if self._layer.compute_dtype == dtype and rows == 1:
            return self._layer
        key = dtype, rows
        if key not in self._copies:
            try:
                shape = (rows, *self._shape_in)
                layer = apart(lambda: copied(self._layer, dtype, shape))
            except NO_COPY as error:
                raise BuildError(
                    f"{self._layer.name} computes in {self._layer.compute_dtype}; to run it in "
                    f"{dtype}, in which gradients are checked, too, Keras has to make another "
                    f"one from its configuration: {type(error).__name__}: {error}"
                ) from error
            self._copies[key] = layer
        follow_flags(self._layer, self._copies[key])
        return self._copies[key]

    def call(
        self,
        weights: Sequence[Any],
        states: Sequence[Any],
        arguments: list[Any],
        key: Any,
        training: bool,
    ) -> tuple[Any, list[Any]]:
        """Call the layer, without changing it; see `ArrayFunction.call`."""
        if training and not self._is_checked:
            apart(lambda: self._trace(training=True))
            self._is_checked = True
        (x,) = arguments
        rows = x.shape[0]
        if self.states and rows > 1 and not self._by_batch:
            return self._call_one_by_one(weights, states, x, key, training)
        layer = self._computing(x.dtype.name, rows if self._by_batch else 1)
        shapes = {n: v.shape for n, v in zip(self._names, variables_of(layer)[0], strict=True)}
        given = dict(zip(self.names, weights, strict=True))
        for name, state in zip(self.states, states, strict=True):
            given[name] = tf.reshape(state, shapes[name])
        y, after = self._call(layer, [given[name] for name in self._names], x, key, training)
        found = dict(zip(self._names, after, strict=True))
        return y, [tf.reshape(found[name], (rows, *self.shapes[name])) for name in self.states]

    def _call_one_by_one(
        self, weights: Sequence[Any], states: Sequence[Any], x: Any, key: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Call the layer for each item, where Keras knows no state of several items."""

        def one(parts: Any) -> Any:
            number, row, *own = parts
            own_key = None if key is None else key + tf.stack([0 * number, number * _ITEM])
            before = [state[None] for state in own]
            y, after = self.call(weights, before, [row[None]], own_key, training)
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
        y, before, after = _called(layer, given, x, training)
        if training:
            for name, v, old, new in zip(self._names, variables, before, after, strict=False):
                if new is not old and name not in self.states:
                    raise BuildError(
                        f"{v.path} changes while {layer.name} is trained, other than by "
                        "gradients, and not while the network runs. Statistics over minibatches "
                        "have no meaning within a simulation: set trainable=False on that layer, "
                        "before the simulator is made, to train with the statistics that it has."
                    )
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
        layer = self._layer
        variables, keys = variables_of(layer)
        found: list[Any] = []

        def run(x: Any, *values: Any) -> Any:
            given = list(zip([*variables, *keys], values, strict=True))
            y, before, after = _called(layer, given, x, training)
            found[:] = [new is not old for new, old in zip(after, before, strict=True)]
            return y, after

        specs = [tf.TensorSpec((1, *self._shape_in), layer.compute_dtype)]
        specs += [tf.TensorSpec(v.shape, v.dtype) for v in (*variables, *keys)]
        traced = concrete_function(graph_function(run), specs)
        check_graph(traced.graph, layer.name, is_layer=True)
        n = len(variables)
        return found[:n], any(found[n:])

    def _specs(self) -> list[Any]:
        variables, _ = variables_of(self._layer)
        specs = [tf.TensorSpec((1, *self._shape_in), self._layer.compute_dtype)]
        return specs + [tf.TensorSpec(v.shape, v.dtype) for v in variables]

    def _for_one(self, *tensors: Any) -> Any:
        x, *values = tensors
        return self._call(self._layer, values, x, None, training=False)


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


def _as_array(variable: Any) -> NDArray[Any]:
    array = np.asarray(variable.numpy())
    is_native = not is_float(variable) or array.dtype in (np.float32, np.float64)
    return array if is_native else array.astype(np.float32)
