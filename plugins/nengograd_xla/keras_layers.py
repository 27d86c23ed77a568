"""Keras layers as pure functions of their variables, on whatever Keras computes with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from nengo.exceptions import ValidationError

__all__ = ["is_float", "stateless_call", "variables_of"]


def stateless_call(
    layer: Any, given: list[tuple[Any, Any]], x: Any, training: bool
) -> tuple[Any, list[Any], list[Any]]:
    """Call a layer with values for its variables; returns its output, and them before and after."""
    with keras.StatelessScope(state_mapping=given) as scope:
        before = [scope.get_current_value(v) for v, _ in given]
        y = _entry(layer)(x, training=training)
        after = [scope.get_current_value(v) for v, _ in given]
    if set(scope.state_mapping) - {id(v) for v, _ in given}:
        raise ValidationError(
            f"{layer.name} changes a variable that is not its own, or draws random numbers of "
            "Keras without a seed: make its variables with self.add_weight, and give it a "
            "keras.random.SeedGenerator as an attribute to draw with",
            attr="tensor_func",
        )
    return y, before, after


def _entry(layer: Any) -> Any:
    """What calls a layer so that all layers within it know whether they are trained.

    A layer whose ``call`` takes no ``training`` does not pass it on by itself; in a Keras model
    the model does.
    """

    class Entry(keras.layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            return layer(x)

    entry = Entry(autocast=False)
    entry.built = True
    return entry


def variables_of(layer: Any) -> tuple[list[Any], list[Any]]:
    """A layer's variables, and apart from them the state of its generators of random numbers."""
    found = {id(v): v for v in layer.weights}
    found.update((id(v), v) for v in layer.variables)
    for part in layer._flatten_layers():
        # Recurrent layers keep their state where `variables` does not look.
        found.update((id(v), v) for v in _within(list(vars(part).values())))
    keys = [v for v in found.values() if v.name == "seed_generator_state"]
    own = [v for v in found.values() if v.name != "seed_generator_state"]
    return own, keys


def _within(value: Any) -> Iterator[Any]:
    """Variables in lists and dicts."""
    if isinstance(value, keras.Variable):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _within(item)
    elif isinstance(value, dict):
        yield from _within(list(value.values()))


def is_float(array: Any) -> bool:
    """Whether a variable or a tensor is of real numbers, of any precision."""
    return bool(keras.backend.is_float_dtype(keras.backend.standardize_dtype(array.dtype)))
