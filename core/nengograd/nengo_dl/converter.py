"""Keras models as Nengo networks, in NengoDL's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import nengo
from nengo.exceptions import ValidationError

from ..conversion.convert import convert
from ..plugin.hookspecs import hookimpl

__all__ = ["Converter"]

_ADVICE = (
    "a converter of a layer is a function (layer, inputs, to), which makes objects with methods of "
    "`to` and returns the tensor of its output: to.weighted(...), to.fallback(reason) and others, "
    "see nengograd.plugin.LayerConversion"
)


class Converter:
    """A Keras model as a Nengo network; `nengograd.convert` does it.

    Parameters
    ----------
    model : keras.Model
        A sequential or functional model.
    allow_fallback, inference_only, max_to_avg_pool, split_shared_weights : bool
        See `nengograd.convert`.
    swap_activations : dict, optional
        See `nengograd.convert`. A function with the name of one of Keras' activations, such as that
        of another namespace, means that activation.
    scale_firing_rates, synapse : object, optional
        See `nengograd.convert`.
    temporal_model : bool
        Whether the first axis of tensors is time.

    Attributes
    ----------
    net : nengo.Network
        The network.
    inputs, outputs, layers : mapping
        Nodes, probes, and neurons or nodes, by what they are in the model; see
        `nengograd.Converted`.
    """

    _registered: ClassVar[dict[type, Callable[..., Any]]] = {}

    @classmethod
    def register(cls, keras_layer: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a function that converts layers of a class, for all converters from then on.

        Parameters
        ----------
        keras_layer : type
            The class of the layers.

        Returns
        -------
        decorator : callable
            Takes a function ``(layer, inputs, to)``; see the hook ``nengograd_converters``.

        Raises
        ------
        nengo.exceptions.ValidationError
            If what is decorated is a class, as NengoDL's converters of layers are.
        """

        def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
            if isinstance(function, type) or not callable(function):
                raise ValidationError(f"{function!r} is a class; {_ADVICE}", attr="register")
            cls._registered[keras_layer] = function
            return function

        return decorator

    def __init__(
        self,
        model: Any,
        allow_fallback: bool = True,
        inference_only: bool = False,
        max_to_avg_pool: bool = False,
        split_shared_weights: bool = False,
        swap_activations: Mapping[Any, Any] | None = None,
        scale_firing_rates: Any = None,
        synapse: Any = None,
        temporal_model: bool = False,
    ):
        self.model = model
        plugins = [_Registered(dict(self._registered))] if self._registered else []
        self._converted = convert(
            model,
            swap_activations={_name(k): v for k, v in (swap_activations or {}).items()},
            scale_firing_rates=scale_firing_rates,
            synapse=synapse,
            max_to_avg_pool=max_to_avg_pool,
            inference_only=inference_only,
            split_shared_weights=split_shared_weights,
            temporal=temporal_model,
            allow_fallback=allow_fallback,
            plugins=plugins,
        )
        self.net = self._converted.net
        self.inputs = self._converted.inputs
        self.outputs = self._converted.outputs
        for probe in self.outputs.values():
            probe.label = None  # histories call them "probe", "probe_1" and so on
        self.layers = self._converted.inputs | self._converted.layers

    def verify(
        self, training: bool = False, inputs: Any = None, atol: float = 1e-4, rtol: float = 1e-3
    ) -> bool:
        """Compare the network with the model; see `nengograd.Converted.verify`.

        Parameters
        ----------
        training : bool
            Whether to compare after a step of gradient descent, too.
        inputs : array or list of array, optional
            What the model takes.
        atol, rtol : float
            What may differ: ``atol + rtol * |value in the model|``.

        Raises
        ------
        nengo.exceptions.ValidationError
            If outputs differ.
        """
        return self._converted.verify(training, inputs, atol, rtol)


class _Registered:
    """A plugin with the converters that were registered."""

    def __init__(self, converters: Mapping[type, Callable[..., Any]]):
        self._converters = converters

    @hookimpl
    def nengograd_converters(self) -> Mapping[type, Callable[..., Any]]:
        """Converters by class."""
        return self._converters


def __getattr__(name: str) -> Any:
    """Advise who looks for NengoDL's base class of converters."""
    advice = f"; {_ADVICE}" if name == "LayerConverter" else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{advice}")


def _name(key: Any) -> Any:
    """The name of an activation that is given as a function."""
    is_other = isinstance(key, (str, type, nengo.neurons.NeuronType))
    return key if is_other else getattr(key, "__name__", key)
