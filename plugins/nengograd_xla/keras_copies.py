"""Copies of Keras layers that compute in another dtype, or for another number of items."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from .keras_layers import is_float

__all__ = ["NO_COPY", "apart", "copied", "follow_flags", "fresh"]

NO_COPY = (NotImplementedError, TypeError, ValueError)
"""What Keras raises where it cannot make a layer from a configuration."""


def copied(layer: Any, dtype: str | None, shape: tuple[int, ...], carry: bool = True) -> Any:
    """Another layer of the same configuration.

    Parameters
    ----------
    layer : keras.layers.Layer
        A layer that is built.
    dtype : str or None
        What the copy computes in; None for what the layer does.
    shape : tuple of int
        Of the input that the copy is built for.
    carry : bool
        Whether the copy gets what the layer has beyond its configuration, such as what it was
        adapted to. Values of variables are always its own.
    """
    copy = _built(layer, dtype, shape)
    if carry:
        # The same configuration says how a layer is without what it was given later.
        plain = _built(layer, None, (1, *shape[1:]))
        parts = (layer._flatten_layers(), plain._flatten_layers(), copy._flatten_layers())
        for own, made, target in zip(*parts, strict=True):
            _carry(vars(own), vars(made), vars(target))
        if dtype is not None:
            _cast_all(copy, dtype)
    return copy


def fresh(layer: Any, shape: tuple[int, ...], seed: int) -> Any:
    """A layer like another, with weights drawn from a seed.

    Where Keras cannot make one from the configuration it is the layer itself.
    """
    # Keras' initializers take the seeds they were not given from here.
    before = random.getstate()
    random.seed(seed)
    try:
        return copied(layer, None, shape, carry=False)
    except NO_COPY:
        return layer  # such as a user's own layer without a configuration
    finally:
        random.setstate(before)


def apart(function: Callable[[], Any]) -> Any:
    """Call a function in a thread of its own, outside of all that is being traced in this one.

    What is made while a program is traced would belong to it, tensors and variables alike.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def follow_flags(layer: Any, copy: Any) -> None:
    """Freeze and free the parts of a copy as those of the layer are now."""
    for own, target in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
        if own.trainable != target.trainable:
            target.trainable = own.trainable


def _built(layer: Any, dtype: str | None, shape: tuple[int, ...]) -> Any:
    config = layer.get_config()
    if dtype is not None:
        config = _with_dtype(config, dtype)
    # Keras makes the parts of a model by name; it knows a user's classes only if registered.
    makers = {type(p).__name__: _Maker(type(p), dtype) for p in layer._flatten_layers()}
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype or layer.dtype_policy)
    try:
        with keras.utils.custom_object_scope(makers):
            made = makers[type(layer).__name__].from_config(config)
    finally:
        keras.config.set_dtype_policy(before)
    try:
        made(keras.KerasTensor(shape, dtype=made.compute_dtype))
    finally:
        for part in made._flatten_layers():
            if isinstance(part.build, _CastingBuild):
                vars(part)["build"] = part.build.original
    return made


class _Maker:
    """Makes layers of a class that compute in a dtype, those within them included."""

    def __init__(self, kind: Any, dtype: str | None):
        self._kind = kind
        self._dtype = dtype

    def from_config(self, config: dict[str, Any]) -> Any:
        """Make a layer."""
        kind = self._kind
        try:
            layer = kind.from_config(config)
        except TypeError:
            # A user's own may take no name and no dtype, which Keras always keeps.
            known = inspect.signature(kind.__init__).parameters
            layer = kind.from_config({name: x for name, x in config.items() if name in known})
        if self._dtype is not None:
            # Tensors that it makes in its constructor, or when it is built, have their own.
            _cast_all(layer, self._dtype)
            for part in layer._flatten_layers():
                if not isinstance(part.build, _CastingBuild):
                    vars(part)["build"] = _CastingBuild(part, self._dtype)
        return layer


class _CastingBuild:
    """A layer's ``build`` that casts what it makes."""

    def __init__(self, layer: Any, dtype: str):
        self.original = layer.build
        self._layer = layer
        self._dtype = dtype
        functools.update_wrapper(self, self.original)  # Keras reads the signature, and a mark

    def __call__(self, *args: Any, **options: Any) -> None:
        self.original(*args, **options)
        _cast_all(self._layer, self._dtype)


def _with_dtype(config: Any, dtype: str) -> Any:
    """A layer's configuration with another dtype, in all its parts."""
    if isinstance(config, dict):
        changed = {name: _with_dtype(value, dtype) for name, value in config.items()}
        if "dtype" in changed:
            changed["dtype"] = dtype
        return changed
    if isinstance(config, (list, tuple)):
        return type(config)(_with_dtype(value, dtype) for value in config)
    return config


def _carry(own: dict[str, Any], made: dict[str, Any], target: dict[str, Any]) -> None:
    """Give a copy the plain data that its configuration does not give."""
    for name, value in own.items():
        if _is_data(value) and not (name in made and _is_same(value, made[name])):
            target[name] = value


def _is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_data(x) for x in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_data(x) for x in value)
    plain = (bool, int, float, str, np.ndarray, np.generic, type(None))
    return isinstance(value, plain) or _is_tensor(value)


def _is_tensor(value: Any) -> bool:
    # Keras' variables may pass for tensors; they have their dtype already.
    return not isinstance(value, keras.Variable) and bool(keras.ops.is_tensor(value))


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_is_same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_is_same, a, b))
    if _is_data(a) and _is_data(b):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return False


def _cast_all(layer: Any, dtype: str) -> None:
    for part in layer._flatten_layers():
        for name, value in vars(part).items():
            vars(part)[name] = _cast(value, dtype)


def _cast(value: Any, dtype: str) -> Any:
    """Tensors of real numbers, alone or in lists and dicts, in another dtype."""
    if isinstance(value, dict) and any(map(_is_tensor, value.values())):
        return {name: _cast(x, dtype) for name, x in value.items()}
    if isinstance(value, (list, tuple)) and any(map(_is_tensor, value)):
        return [_cast(x, dtype) for x in value]
    if _is_tensor(value) and is_float(value):
        return keras.ops.cast(value, dtype)
    return value
