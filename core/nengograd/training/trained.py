"""Built ensembles and connections as they are after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nengo
import numpy as np
from nengo.builder.connection import BuiltConnection
from nengo.builder.ensemble import BuiltEnsemble
from numpy.typing import NDArray

from ..tensor_node import BuiltTensorNode, layer_weights

__all__ = ["with_values"]


def with_values(model: Any, obj: Any, values: Mapping[Any, NDArray[Any]]) -> Any:
    """What the build step made of an object, with the values that training has found.

    Parameters
    ----------
    model : nengo.builder.Model
        The built model.
    obj : NengoObject
        An object of its network.
    values : mapping
        The value of each parameter, by signal; of a sparse one the stored elements.

    Returns
    -------
    built : object
        As ``model.params[obj]``. Of an ensemble ``scaled_encoders`` are as trained, and
        ``encoders`` the same in the units that Nengo's own have: multiplied by the radius and
        divided by the gain.
    """
    built = model.params[obj]
    if isinstance(built, BuiltEnsemble):
        return _ensemble(model, obj, built, values)
    if isinstance(built, BuiltConnection):
        signal = model.sig[obj].get("weights")
        if signal in values:
            return built._replace(weights=_weights(signal, values[signal]))
    if isinstance(built, BuiltTensorNode):
        signals = layer_weights(model, obj)
        trained = {n: _fixed(values[s]) for n, s in signals.items() if s in values}
        return built._replace(weights={**built.weights, **trained})
    return built


def _ensemble(model: Any, ens: nengo.Ensemble, built: Any, values: Mapping[Any, Any]) -> Any:
    changes = {}
    encoders, bias = model.sig[ens].get("encoders"), model.sig[ens.neurons].get("bias")
    if encoders in values:
        scaled = np.array(values[encoders])
        gain = built.gain[:, None]
        # A neuron without gain hears nothing, whatever its encoder.
        with np.errstate(divide="ignore", invalid="ignore"):
            unscaled = np.where(gain == 0, built.encoders, scaled * ens.radius / gain)
        changes = {"scaled_encoders": _fixed(scaled), "encoders": _fixed(unscaled)}
    if bias in values:
        changes["bias"] = _fixed(values[bias])
    return built._replace(**changes)


def _weights(signal: Any, value: NDArray[Any]) -> Any:
    if not signal.sparse:
        return _fixed(value)
    weights = signal.initial_value
    if isinstance(weights, nengo.transforms.SparseMatrix):
        return nengo.transforms.SparseMatrix(weights.indices, _fixed(value), weights.shape)
    weights = weights.copy()
    weights.data = _fixed(value)
    return weights


def _fixed(value: Any) -> NDArray[Any]:
    """A copy that, like all built parameters, cannot be written."""
    array = np.array(value)
    array.setflags(write=False)
    return array
