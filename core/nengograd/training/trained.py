"""Built ensembles and connections as they are after training."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import nengo
import numpy as np
from nengo.builder.connection import BuiltConnection
from nengo.builder.ensemble import BuiltEnsemble
from numpy.typing import NDArray

from ..tensor_node import BuiltTensorNode, layer_values, layer_weights

__all__ = ["BuildInfo", "with_values"]


def with_values(
    model: Any,
    obj: Any,
    values: Mapping[Any, NDArray[Any]],
    gains: Mapping[Any, NDArray[Any]] = MappingProxyType({}),
    gain_follows: bool = False,
) -> Any:
    """The built parameters of an object, with trained values.

    Parameters
    ----------
    model : nengo.builder.Model
        The built model.
    obj : NengoObject
        An object of its network.
    values : mapping
        What differs from the build, by signal; of a sparse one the stored elements.
    gains : mapping
        Gains that differ from the build, by ensemble.
    gain_follows : bool
        Whether the length of scaled encoders is shown as the gain, and encoders keep theirs.

    Returns
    -------
    built : object
        As ``model.params[obj]``. Of an ensemble ``scaled_encoders`` are as trained, and
        ``encoders`` the same in the units that Nengo's own have: multiplied by the radius and
        divided by the gain. ``max_rates`` and ``intercepts`` are those that its neurons have with
        the gain and the bias of now, as Nengo computes them. ``eval_points`` are those of the
        build, for which decoders were solved. Of a connection ``solver_info`` is a `BuildInfo`.
    """
    built = model.params[obj]
    if isinstance(built, BuiltEnsemble):
        return _ensemble(model, obj, built, values, gains.get(obj, built.gain), gain_follows)
    if isinstance(built, BuiltConnection):
        signal = model.sig[obj].get("weights")
        if signal in values:
            info = BuildInfo(built.solver_info) if built.solver_info else built.solver_info
            return built._replace(weights=_weights(signal, values[signal]), solver_info=info)
    if isinstance(built, BuiltTensorNode):
        signals = layer_weights(model, obj)
        held = {name: values[s] for name, s in signals.items() if s in values}
        trained = {name: _fixed(x) for name, x in layer_values(obj, held).items()}
        return built._replace(weights={**built.weights, **trained})
    return built


class BuildInfo(dict[str, Any]):
    """A solver's report about weights that have changed since.

    ``info["build"]`` is all that it said; the entries of it are not those of the weights of now.
    """

    def __init__(self, info: Mapping[str, Any]):
        super().__init__(build=dict(info))

    def __missing__(self, key: str) -> Any:
        raise KeyError(
            f"{key!r} is known of the weights of the build alone, which have changed since: "
            f"solver_info['build'][{key!r}]"
        )


def _ensemble(
    model: Any,
    ens: nengo.Ensemble,
    built: Any,
    values: Mapping[Any, Any],
    gain: Any,
    gain_follows: bool,
) -> Any:
    changes: dict[str, Any] = {}
    encoders, bias = model.sig[ens].get("encoders"), model.sig[ens.neurons].get("bias")
    has_other_gain = gain is not built.gain
    if encoders in values or has_other_gain:
        scaled = np.array(values.get(encoders, built.scaled_encoders))
        if gain_follows:
            gain, has_other_gain = _length(scaled * ens.radius, built.encoders, gain), True
        column = np.asarray(gain)[..., None]
        # A neuron without gain hears nothing, whatever its encoder.
        with np.errstate(divide="ignore", invalid="ignore"):
            unscaled = np.where(column == 0, built.encoders, scaled * ens.radius / column)
        changes = {"scaled_encoders": _fixed(scaled), "encoders": _fixed(unscaled)}
    if bias in values or has_other_gain:
        bias_now = np.array(values.get(bias, built.bias), dtype=np.float64)
        rates, intercepts = _rates_and_intercepts(ens.neuron_type, np.array(gain), bias_now)
        changes.update(bias=_fixed(values.get(bias, built.bias)), gain=_fixed(gain))
        changes.update(max_rates=_fixed(rates), intercepts=_fixed(intercepts))
    return built._replace(**changes)


def _length(scaled: Any, encoders: Any, gain: Any) -> NDArray[Any]:
    """Factors that make encoders as long as they are when they are scaled."""
    was, now = (np.linalg.norm(x, axis=-1) for x in (encoders, scaled))
    return np.where(was > 0, now / np.where(was > 0, was, 1), gain)


def _rates_and_intercepts(neuron_type: Any, gain: Any, bias: Any) -> tuple[Any, Any]:
    """Nengo's own computation; NaN where a neuron type has none."""
    try:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rates, intercepts = neuron_type.max_rates_intercepts(gain, bias)
    except Exception:  # of a type that leaves it out, or cannot do it for such values
        rates = intercepts = None
    unknown = np.full(gain.shape, np.nan)
    return (unknown if rates is None else rates), (unknown if intercepts is None else intercepts)


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
