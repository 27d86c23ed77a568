"""The options of a conversion: which neurons, rates and synapses a layer gets."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nengo
from nengo.exceptions import ValidationError

from ..arguments.rules import NEURONS, POSITIVE, SYNAPSE
from ..arguments.table import check_arguments
from ..plugin.model_reader import LayerCall
from .tensor import Activation

__all__ = ["Options", "RateTarget", "scaled"]


@dataclass(frozen=True)
class RateTarget:
    """Firing rates found from data: `nengograd.convert` scales each layer of neurons to them.

    Parameters
    ----------
    rate : float
        The rate in Hz that a layer's busiest neurons should have.
    data : array or list of array
        Inputs of the model, ``(items, *shape)``, one for each input: a hundred items of the
        training data do well.
    percentile : float
        Which of a layer's activities on the data, over all neurons and items, gets that rate. Below
        100 few outliers do not make the others slow (B. Rueckauer et al., "Conversion of
        continuous-valued deep networks to efficient event-driven networks for image
        classification", 2017, section 2.2.2).
    """

    rate: float
    data: Any
    percentile: float = 99.9

    def __post_init__(self) -> None:
        check_arguments("RateTarget", {name: getattr(self, name) for name in _RATE_TARGET})


_RATE_TARGET = ("rate", "data", "percentile")


@dataclass
class Options:
    """What `nengograd.convert` was asked for; see there.

    Attributes
    ----------
    warns : bool
        Whether to warn of tensor nodes.
    rates : dict of str to float
        Scales found from data, by name of a call.
    used : set
        Keys of mappings that some layer has used.
    """

    swap_activations: Mapping[Any, Any] = field(default_factory=dict)
    scale_firing_rates: Any = None
    synapse: Any = None
    max_to_avg_pool: bool = False
    inference_only: bool = False
    split_shared_weights: bool = False
    temporal: bool = False
    allow_fallback: bool = True
    warns: bool = True
    rates: dict[str, float] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for key, value in self.swap_activations.items():
            if not NEURONS.accepts(value):
                raise ValidationError(
                    f"{key!r} needs {NEURONS.what}, not {value!r}", attr="swap_activations"
                )
        for name, rule in (("scale_firing_rates", POSITIVE), ("synapse", SYNAPSE)):
            given = getattr(self, name)
            for key, value in given.items() if isinstance(given, Mapping) else ():
                if not (rule.accepts(value) or (value is None and rule is SYNAPSE)):
                    raise ValidationError(f"{key!r} needs {rule.what}, not {value!r}", attr=name)

    def neurons_of(self, activation: Activation) -> nengo.neurons.NeuronType | None:
        """The neurons of an activation, swapped if that was asked for."""
        own = activation.neurons
        for number, (key, value) in enumerate(self.swap_activations.items()):
            is_meant = (
                key is activation.function
                or (isinstance(key, str) and key == activation.name)
                or (isinstance(key, type) and type(own) is key)
                or (isinstance(key, nengo.neurons.NeuronType) and key == own)
            )
            if is_meant:
                self.used.add(number)
                return value  # type: ignore[no-any-return]
        return own

    @property
    def unused_swaps(self) -> list[Any]:
        """Keys of ``swap_activations`` that no layer has."""
        return [k for i, k in enumerate(self.swap_activations) if i not in self.used]

    def scale_of(self, call: LayerCall) -> float:
        """The factor of a layer's currents, by which its output is divided again."""
        given = self.scale_firing_rates
        if given is None:
            return 1.0
        if isinstance(given, RateTarget):
            return self.rates.get(call.name, 1.0)
        return float(_by_layer(given, call, 1.0) if isinstance(given, Mapping) else given)

    def synapse_of(self, call: LayerCall) -> Any:
        """The synapse behind a layer's neurons."""
        given = self.synapse
        return _by_layer(given, call, None) if isinstance(given, Mapping) else given

    def check_layers(self, calls: tuple[LayerCall, ...]) -> None:
        """Make sure that each key of a mapping by layer is a layer.

        Raises
        ------
        nengo.exceptions.ValidationError
            If one is not.
        """
        for name in ("scale_firing_rates", "synapse"):
            given = getattr(self, name)
            for key in given if isinstance(given, Mapping) else ():
                if not any(_is_layer(key, call) for call in calls):
                    raise ValidationError(
                        f"{key!r} is no layer of the model; there are "
                        f"{', '.join(repr(call.name) for call in calls)}",
                        attr=name,
                    )


def _is_layer(key: Any, call: LayerCall) -> bool:
    return (
        key is call.layer
        or (key is call.wrapper and key is not None)
        or (isinstance(key, str) and key in (call.name, call.name.partition("#")[0]))
    )


def _by_layer(given: Mapping[Any, Any], call: LayerCall, default: Any) -> Any:
    return next((value for key, value in given.items() if _is_layer(key, call)), default)


def scaled(neurons: nengo.neurons.NeuronType, scale: float) -> nengo.neurons.NeuronType | None:
    """Neurons whose output is divided by a scale; None where the type has no amplitude."""
    if scale == 1:
        return neurons
    if not hasattr(type(neurons), "amplitude"):
        return None
    names = [n for n in inspect.signature(type(neurons).__init__).parameters if n != "self"]
    arguments = {name: getattr(neurons, name) for name in names if hasattr(neurons, name)}
    return type(neurons)(**{**arguments, "amplitude": neurons.amplitude / scale})
