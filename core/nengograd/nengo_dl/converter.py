"""Keras models as Nengo networks, in NengoDL's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nengo

from ..conversion.convert import convert

__all__ = ["Converter"]


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
        Nodes, probes, and neurons or nodes, by what they are in the model.
    """

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
        )
        self.net = self._converted.net
        self.inputs = self._converted.inputs
        self.outputs = self._converted.outputs
        self.layers = self._converted.layers

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


def _name(key: Any) -> Any:
    """The name of an activation that is given as a function."""
    is_other = isinstance(key, (str, type, nengo.neurons.NeuronType))
    return key if is_other else getattr(key, "__name__", key)
