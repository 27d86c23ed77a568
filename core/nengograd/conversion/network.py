"""From the calls of a model's layers to a network."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import BuildError, NengoException, NengoWarning, ValidationError

from ..config import configure_settings
from ..plugin.model_reader import LayerCall, ModelGraph, ModelReader, is_over_time
from .layer import ALIKE_IN_STEPS, LayerConversion
from .lookup import Converters
from .options import Options
from .tensor import Tensor

__all__ = ["ConvertedLayer", "ConvertedNetwork", "build_network"]


@dataclass(frozen=True)
class ConvertedLayer:
    """A call of a layer, and what it has become.

    Attributes
    ----------
    call : LayerCall
        The call.
    tensors : list of Tensor
        Its outputs in the network.
    neurons : Neurons or None
        Its neurons, if it has any.
    scale : float
        By how much their currents are scaled.
    reasons : list of str
        Why it is, at least in part, a tensor node.
    """

    call: LayerCall
    tensors: list[Tensor]
    neurons: Any
    scale: float
    reasons: list[str]


@dataclass
class ConvertedNetwork:
    """A network, and where the values of the model are in it.

    Attributes
    ----------
    net : nengo.Network
        The network.
    inputs : list of nengo.Node
        One for each input of the model.
    outputs : list of nengo.Probe
        One for each output.
    layers : list of ConvertedLayer
        In the order of the calls.
    tensors : dict
        By key of the value.
    """

    net: nengo.Network
    inputs: list[nengo.Node] = field(default_factory=list)
    outputs: list[nengo.Probe] = field(default_factory=list)
    layers: list[ConvertedLayer] = field(default_factory=list)
    tensors: dict[Hashable, Tensor] = field(default_factory=dict)


def build_network(
    graph: ModelGraph, reader: ModelReader, converters: Converters, options: Options
) -> ConvertedNetwork:
    """Make the network of a model.

    Warns
    -----
    nengo.exceptions.NengoWarning
        Once, if layers are tensor nodes; it names them and says why.
    """
    options.check_layers(graph.calls)
    made = ConvertedNetwork(nengo.Network(label=graph.name, add_to_container=False))
    uses = Counter(id(call.layer) for call in graph.calls if call.weights)
    with made.net:
        # What is fixed in a layer is set at each object.
        configure_settings(trainable=False if options.inference_only else None)
        if not options.inference_only:
            configure_settings(trainable={nengo.Ensemble: False, nengo.ensemble.Neurons: False})
        for put in graph.inputs:
            shape = _fixed(put.shape[1:] if options.temporal else put.shape, put.name)
            node = nengo.Node(np.zeros(int(np.prod(shape))), label=put.name)
            made.inputs.append(node)
            made.tensors[put.key] = Tensor(node, shape, has_time=options.temporal)
        for call in graph.calls:
            inputs = [made.tensors[key] for key in call.inputs]
            to = LayerConversion(call, inputs, options, reader, converters)
            if call.is_by_step:
                to = to.in_a_step()
            tensors = _convert(to, converters, is_shared=uses[id(call.layer)] > 1)
            made.tensors.update(zip(call.outputs, tensors, strict=True))
            made.layers.append(ConvertedLayer(call, tensors, to.neurons, to.scale, to.reasons))
        for key in graph.outputs:
            x = made.tensors[key]
            made.outputs.append(nengo.Probe(x.obj, synapse=x.synapse, label=str(x.obj)))
    _warn(made.layers, options)
    return made


def _convert(to: LayerConversion, converters: Converters, is_shared: bool) -> list[Tensor]:
    """Convert one call, and check what its converter has returned."""
    call, options = to.call, to.options
    found = converters.find(call.layer)
    kind = type(call.layer).__name__
    who = f"The converter of {kind} ({found[1] if found else ''}) for {call.name!r}"
    if call.is_identity:
        result: Any = to.same(to.inputs[0])
    elif found is None or isinstance(found[0], ModelReader):
        result = _without(to, f"there is no converter for {kind}, see nengograd_converters")
    elif options.temporal and not is_over_time(found[0]) and any(x.has_time for x in to.inputs):
        to.refuse_time()
    elif is_shared and not (options.split_shared_weights or options.inference_only):
        result = to.fallback(
            "it is used several times and connections cannot share weights (with "
            "split_shared_weights=True each use gets its own, with inference_only=True none is "
            "trained)"
        )
    else:
        try:
            result = found[0](call.layer, to.inputs, to)
        except NengoException:
            raise
        except Exception as error:
            raise BuildError(f"{who} failed: {type(error).__name__}: {error}") from error
    tensors = list(result) if isinstance(result, (list, tuple)) else [result]
    if len(tensors) != len(call.shapes) or not all(isinstance(x, Tensor) for x in tensors):
        raise BuildError(f"{who} has returned {result!r}; {len(call.shapes)} Tensor are needed")
    return [
        _checked(x, shape, who, options.temporal, call.is_by_step)
        for x, shape in zip(tensors, call.shapes, strict=True)
    ]


def _without(to: LayerConversion, reason: str) -> Tensor:
    if any(x.has_time for x in to.inputs):
        raise ValidationError(
            f"{to.call.name!r} cannot be converted: {reason}. {ALIKE_IN_STEPS}", attr="temporal"
        )
    return to.fallback(reason)


def _checked(
    x: Tensor, shape: tuple[int | None, ...], who: str, temporal: bool, is_step: bool
) -> Tensor:
    """A converter's tensor, which knows whether the model has a time axis there."""
    if x.shape == shape or (temporal and x.shape == shape[1:]):
        if x.obj.size_out == x.size:
            return dataclasses.replace(x, has_time=is_step or len(x.shape) < len(shape))
        raise BuildError(f"{who} has returned {x.obj}, with {x.obj.size_out} outputs for {x.shape}")
    raise BuildError(f"{who} has returned a tensor of shape {x.shape}; it is {shape} in the model")


def _fixed(shape: Sequence[int | None], name: str) -> tuple[int, ...]:
    if any(n is None for n in shape):
        raise ValidationError(
            f"the input {name!r} has the shape {tuple(shape)}, and a network needs a fixed one: "
            "make the model with an input of fixed shape, or give temporal=True if the first axis "
            "is time",
            attr="model",
        )
    return tuple(int(n) for n in shape if n is not None)


def _warn(layers: Sequence[ConvertedLayer], options: Options) -> None:
    """Name the layers that are tensor nodes, or refuse them; name swaps that nothing uses."""
    found = [
        f"{layer.call.name!r} ({type(layer.call.layer).__name__}), since {reason}"
        for layer in layers
        for reason in layer.reasons[:1]
    ]
    if found and not options.allow_fallback:
        raise ValidationError(
            f"with False there are layers that cannot be converted: {'; '.join(found)}",
            attr="allow_fallback",
        )
    if found and options.warns:
        warnings.warn(
            "These layers are tensor nodes, which compute what the layer does and have neither "
            f"neurons nor connections in it: {'; '.join(found)}",
            NengoWarning,
            stacklevel=4,
        )
    if options.unused_swaps:
        raise ValidationError(
            f"no layer has the activation {', '.join(map(repr, options.unused_swaps))}",
            attr="swap_activations",
        )
