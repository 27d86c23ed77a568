"""A Keras layer that is built for an input, on whatever Keras computes with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from nengo.exceptions import BuildError
from numpy.typing import NDArray

from .keras_copies import NO_COPY, apart, copied, follow_flags, fresh
from .keras_layers import is_float, variables_of
from .layer_variables import cannot_be_called
from .tensor_functions import item_shape

__all__ = ["BuiltLayer"]


class BuiltLayer:
    """A Keras layer with its variables, and with copies of it that compute in another dtype.

    Parameters
    ----------
    layer : keras.layers.Layer
        A layer or a model. It is built, if it has not been.
    shape_in : tuple of int
        Of the input of one item.

    Attributes
    ----------
    layer, shape_in
        See above.
    name : str
        For people.
    shape_out : tuple of int
        Of the output of one item.
    names : tuple of str
        What the layer calls its variables, those of its generators of random numbers left out.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the layer cannot be called with such an input, or does not put out one tensor.
    """

    def __init__(self, layer: Any, shape_in: tuple[int, ...]):
        self.layer = layer
        self.shape_in = shape_in
        self.name: str = layer.name
        self._copies: dict[tuple[str, int], Any] = {}
        # Variables that are there before the layer is built are the user's, values included.
        given = {id(v) for v in variables_of(layer)[0]}
        try:
            output = layer(keras.KerasTensor((1, *shape_in), dtype=layer.compute_dtype))
        except Exception as error:
            raise cannot_be_called(self.name, shape_in, error) from error
        self.shape_out = item_shape(output, self.name)
        variables, _ = variables_of(layer)
        self._is_new = [id(v) not in given for v in variables]
        self.names = tuple(v.name for v in variables)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_copies": {}}

    def trainable(self) -> list[bool]:
        """Whether training may change each variable, as the layer says now."""
        variables, _ = variables_of(self.layer)
        return [bool(v.trainable and self.layer.trainable and is_float(v)) for v in variables]

    def flags(self) -> tuple[bool, ...]:
        """Which of its parts are frozen: what it does in training depends on that."""
        return tuple(bool(part.trainable) for part in self.layer._flatten_layers())

    def values(self, seed: int | None = None) -> list[NDArray[Any]]:
        """Values of the variables; real numbers of less than 32 bits are given as float32.

        Parameters
        ----------
        seed : int, optional
            Variables that were not there before the layer was built follow it; by default they
            have the values that the layer has drawn itself.
        """
        own, _ = variables_of(self.layer)
        if seed is None or not any(self._is_new):
            return [_as_array(variable) for variable in own]
        other, _ = variables_of(fresh(self.layer, (1, *self.shape_in), seed))
        pairs = zip(own, other, self._is_new, strict=True)
        return [_as_array(b if new else a) for a, b, new in pairs]

    def computing(self, dtype: str, rows: int = 1) -> Any:
        """The layer, or a copy of it that computes in a dtype.

        Parameters
        ----------
        dtype : str
            Such as "float32".
        rows : int
            Number of items, where the layer keeps states for so many.

        Raises
        ------
        nengo.exceptions.BuildError
            If Keras cannot make a copy.
        """
        layer = self.layer
        if layer.compute_dtype == dtype and rows == 1:
            return layer
        key = dtype, rows
        if key not in self._copies:
            shape = (rows, *self.shape_in)
            try:
                self._copies[key] = apart(lambda: copied(layer, dtype, shape))
            except NO_COPY as error:
                why = ", in which gradients are checked, too," if dtype == "float64" else ""
                raise BuildError(
                    f"{self.name} computes in {layer.compute_dtype}; to run it in {dtype}{why} "
                    "Keras has to make another one from its configuration: "
                    f"{type(error).__name__}: {error}"
                ) from error
        follow_flags(layer, self._copies[key])
        return self._copies[key]


def _as_array(variable: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(variable.numpy())
    is_native = not is_float(variable) or array.dtype in (np.float32, np.float64)
    return array if is_native else array.astype(np.float32)
